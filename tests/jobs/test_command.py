"""``python -m deluge_nb score``: a job outside a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deluge_nb import SettingError
from deluge_nb.__main__ import _with_options, main
from deluge_nb.jobs.storage.files import write_whole
from deluge_nb.printable import printable
from tests.jobs.rows import TEMPLATE, RowServer, row_server, rows, share
from tests.openai_server import Reply


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


@pytest.fixture
def words(server: RowServer, tmp_path: Path) -> list[str]:
    """The words of a command that scores 20 rows."""
    pq.write_table(rows(20), tmp_path / "in.parquet")
    where = ["--model", "vllm/x", "--base-url", server.url, "--out", str(tmp_path / "job")]
    return ["score", str(tmp_path / "in.parquet"), "--template", TEMPLATE, "--labels", "yes, no", *where]


@pytest.mark.slow
def test_a_process_scores_a_file_and_goes_on_where_it_was_stopped(
    server: RowServer, words: list[str], tmp_path: Path
) -> None:
    result = tmp_path / "scores.parquet"
    command = [sys.executable, "-m", "deluge_nb", *words, "--result", str(result), "--part-rows", "5"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("20 rows are done, in ")
    assert "20/20" in ended.stderr
    assert ended.stderr.count("/20 [") < 6  # a file has a line for each state
    assert pq.read_table(result)["p_yes"].to_pylist() == pytest.approx([share(row) for row in range(20)])
    (tmp_path / "job" / "parts" / "part-000002.parquet").unlink()
    assert main([*words, "--quiet"]) == 0
    assert server.requests == 25


def test_a_template_can_come_from_a_file(server: RowServer, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "template.txt"
    file.write_text(TEMPLATE, encoding="utf-8-sig")
    words[words.index("--template") : words.index("--template") + 2] = ["--template-file", str(file)]
    assert main([*words, "--quiet"]) == 0
    assert server.requests == 20


def test_labels_can_be_classified_by_a_method(server: RowServer, words: list[str]) -> None:
    assert main([*words, "--method", "first-token", "--quiet"]) == 0
    assert server.requests == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--template", "nothing"], "--template has no placeholder"),
        (["--part-rows", "0"], "--part-rows must be"),
        (["--out", ""], "--out must be the path of a folder, or be left out for one in your cache folder, not ''."),
        (["--out", "{folder}/in.parquet"], "--out '{folder}/in.parquet' cannot be made a folder"),
        (["--top-logprobs", "50"], "--top-logprobs must be an integer from 0 to 20, not 50."),
        (["--base-url", "out="], "such as 'http://127.0.0.1:8000/v1', not 'out='."),
        (["--model", "local"], "leave out --base-url '{url}'."),
        (["--temperature", "nan"], "--temperature must be a number of at least 0, not nan."),
        (["--max-requests-per-minute", "0"], "--max-requests-per-minute must be a number above 0"),
        (["--model", "claude-3-5-haiku-latest"], "gives no log-probabilities"),
    ],
)
def test_an_error_is_one_sentence_that_names_options(
    server: RowServer,
    words: list[str],
    tmp_path: Path,
    change: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*words, *(word.format(folder=tmp_path) for word in change)]) == 1
    written = capsys.readouterr().err
    assert message.format(folder=tmp_path, url=server.url) in written
    assert written.count("\n") == 1
    assert server.requests == 0


def test_a_folder_of_another_job_is_refused_with_the_options_that_differ(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--quiet"]) == 0
    assert main([*words, "--keep", "all", "--temperature", "1"]) == 1
    assert capsys.readouterr().err.endswith(
        "holds another job: the models or their settings (--temperature 0.0 there, 1.0 here), --keep ('logprobs' "
        "there, 'all' here), asking equal prompts once (True there, False here) differ; choose another folder with "
        "--out.\n"
    )


@pytest.mark.parametrize(
    ("in_python", "as_command"),
    [
        ("set X, or give api_key=; 'local' needs none", "set X; 'local' needs none"),
        ("set X or give api_key=.", "set X."),
        ("pass base_url=.", "pass --base-url."),
        ("data='x' is none; pass what f() returns.", "data 'x' is none; make one of what f() returns."),
        ("top_logprobs=5 needs logprobs=True: there", "--top-logprobs 5 needs --keep logprobs: there"),
        ("so top_logprobs cannot be 7", "so --top-logprobs cannot be 7"),
        ("only with temperature=1.0, not", "only with --temperature 1.0, not"),
        ("use method='exact' with a server", "use --method 'exact' with a server"),
        ("Anthropic's API has no out=; the 'out=' stays", "Anthropic's API has no --out; the 'out=' stays"),
        ("/tmp/out= holds, 'it\\'s keep=' and 'labels=…", "/tmp/out= holds, 'it\\'s keep=' and 'labels=…"),
        ("the template differs", "the template differs"),
        ("parts are done; the same call asks the rest.", "parts are done; the same command asks the rest."),
        ("job.retry() asks the rest again", "the same command with --retry asks the rest again"),
        ("score_frame() needs pyarrow", "score needs pyarrow"),
    ],
)
def test_messages_for_python_are_said_for_the_command_line(in_python: str, as_command: str) -> None:
    assert _with_options(in_python) == as_command


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_an_output_that_cannot_be_written_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["course"]) == 1
    assert capsys.readouterr().err == "The output cannot be written (No space left on device).\n"
    ends = os.pipe()
    os.close(ends[0])
    with os.fdopen(ends[1], "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(["course"]) == 0  # as with head, which has read enough


def test_failures_are_counted(server: RowServer, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    server.bad = {3: Reply({"error": {"message": "bad"}}, 400)}
    with pytest.warns(UserWarning, match="1 of 20 rows failed"):
        assert main([*words, "--quiet"]) == 0
    assert "20 rows are done; 1 of 20 rows failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--result", "{folder}/none/x.parquet"], "must be a file in a folder that exists"),
        (["--result", "{folder}"], "must be a file in a folder that exists"),
        (["--result", "{folder}/in.parquet"], "is the input; name another file"),
        (["--result", "{folder}/pipe"], "is a pipe or a device; name a file"),
    ],
)
def test_a_result_that_cannot_be_written_is_refused_before_anything_is_sent(
    server: RowServer,
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SystemExit) as ended:
        main([*words, *(word.format(folder=tmp_path) for word in more)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert server.requests == 0
    assert pq.read_table(tmp_path / "in.parquet").num_rows == 20


def test_a_file_never_takes_the_place_of_a_pipe_or_a_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingError, match="is a pipe or a device"):
        write_whole(tmp_path / "pipe", lambda file: file.write(b"x"))
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", lambda file: file.write(b"x"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"


def test_failed_rows_are_asked_again_on_request(
    server: RowServer, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # closed
    server.bad = dict.fromkeys(range(20), Reply({"error": {"message": "wait"}}, 403))
    with pytest.warns(UserWarning, match="20 of 20 rows failed"):
        assert main([*words, "--quiet"]) == 1
    server.bad = {}
    with pytest.warns(UserWarning, match="20 of 20 rows failed"):
        assert main([*words, "--quiet", "--retry"]) == 0
    monkeypatch.undo()
    assert main([*words, "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("20 rows are done, in ")


def test_a_template_file_that_is_missing_is_one_sentence(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words[words.index("--template") : words.index("--template") + 2] = ["--template-file", str(tmp_path / "none")]
    with pytest.raises(SystemExit):
        main(words)
    assert "--template-file cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--result", "/no\x1b[2J/x"], ["--no\x1b[2J"], ["--method", "\x9b2J"], ["--template-file", "no\x1b[2J"]]
)
def test_no_argument_commands_a_terminal(words: list[str], more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if "--template-file" in more:
        del words[words.index("--template") : words.index("--template") + 2]
    with pytest.raises(SystemExit):
        main([*words, *more])
    written = capsys.readouterr().err
    assert "2J" in written
    assert printable(written) == written


def test_a_method_without_labels_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words[words.index("--labels") : words.index("--labels") + 2] = ["--method", "trie"]
    with pytest.raises(SystemExit):
        main(words)
    assert "--method needs --labels" in capsys.readouterr().err
