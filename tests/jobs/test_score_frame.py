"""`score_frame`: frames in, the same rows out in order, equal prompts asked once."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deluge_nb import (
    Conversation,
    LLMClient,
    LogprobsMissingError,
    LogprobView,
    SettingError,
    classify,
    classify_frame,
    score_frame,
    score_llm,
)
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, ask, check, row_server, rows
from tests.openai_server import Reply

pytestmark = pytest.mark.filterwarnings("ignore:.* rows failed:UserWarning")


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


def frames(tmp_path: Path) -> dict[str, Any]:
    table = rows(30)
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, row_group_size=7)
    connection = duckdb.connect()
    connection.register("given", table)
    return {
        "pandas": table.to_pandas(),
        "polars": pl.from_arrow(table),
        "lazy polars": pl.DataFrame(pl.from_arrow(table)).lazy(),
        "arrow": table,
        "arrow in chunks": pa.concat_tables([table.slice(0, 11), table.slice(11)]),
        "duckdb": connection.sql("select * from given order by number"),
        "dict": table.to_pydict(),
        "path": path,
    }


@pytest.mark.parametrize(
    "kind", ["pandas", "polars", "lazy polars", "arrow", "arrow in chunks", "duckdb", "dict", "path"]
)
def test_every_kind_of_frame_gives_the_same_rows_in_order(server: RowServer, tmp_path: Path, kind: str) -> None:
    data = frames(tmp_path)[kind]
    out = tmp_path / "job"
    job = score_frame(data, TEMPLATE, server.client(), labels=LABELS, out=out, part_rows=8, show_progress=False)
    check(job, 30)
    # The same rows in another form are the same job.
    again = score_frame(rows(30), TEMPLATE, server.client(), labels=LABELS, out=out, show_progress=False)
    check(again, 30)
    assert server.requests == 30


def test_the_index_of_a_data_frame_returns(server: RowServer, tmp_path: Path) -> None:
    frame = rows(5).to_pandas().set_index(pd.Index(list("vwxyz"), name="key"))
    job = score_frame(frame, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    result = job.to_pandas()
    assert result.index.equals(frame.index)
    assert result["number"].tolist() == frame["number"].tolist()
    assert job.report(pd.Series(LABELS[:1] * 5, frame.index)).dropped == 0


def test_rows_with_another_range_as_index_are_another_job(server: RowServer, tmp_path: Path) -> None:
    frame = rows(4).to_pandas()
    moved = frame.set_axis(range(5, 9))
    for data, out in ((frame, tmp_path / "a"), (moved, tmp_path / "b"), (moved, tmp_path / "b")):
        job = score_frame(data, TEMPLATE, server.client(), labels=LABELS, out=out, show_progress=False)
        assert job.to_pandas().index.equals(data.index)
    with pytest.raises(
        SettingError, match=r"the index of the input \('0, 1, 2, …' there, '5, 6, 7, …' here\) differs;"
    ):
        score_frame(moved, TEMPLATE, server.client(), labels=LABELS, out=tmp_path / "a", show_progress=False)


def test_a_job_is_read_from_another_working_directory(
    server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = ask(server.client(), 3, Path("scores"))
    monkeypatch.chdir("/")
    assert job.folder == tmp_path / "scores"
    assert len(job.retry(show_progress=False).table) == 3


def test_the_table_has_the_columns_of_the_input_and_then_the_results(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 3, tmp_path)
    results = ["completion", "label", "probability", "matched_mass", "decided", "p_yes", "p_no", "error", "status_code"]
    assert job.table.column_names == ["number", "text", *results, "logprobs"]
    assert job.to_polars().columns == job.table.column_names
    assert "logprobs" not in job.to_pandas(logprobs=False)


def test_the_probabilities_are_those_of_score_llm(server: RowServer, tmp_path: Path) -> None:
    table = rows(12)
    job = ask(server.client(logprobs=True, top_logprobs=20), 12, tmp_path)
    client = server.client(logprobs=True, top_logprobs=20)
    scores = score_llm(TEMPLATE, table.to_pylist(), client, return_probabilities=True, show_progress=False)
    assert job.table["p_yes"].to_pylist() == scores


def test_the_log_probabilities_of_a_row_are_those_of_its_answer(server: RowServer, tmp_path: Path) -> None:
    client = server.client(logprobs=True, top_logprobs=20)
    job = ask(client, 20, tmp_path, part_rows=7)
    for row, given in enumerate(rows(20).to_pylist()):
        prompt = TEMPLATE.format(**given)
        (response,) = client.process_prompts_sync([prompt], show_progress=False)
        assert job.logprobs(row) == response.logprobs
        assert job.logprobs(row - 20) == response.logprobs
    assert isinstance(job.view(19), LogprobView)
    with pytest.raises(IndexError, match="no row 20 in a job of 20 rows"):
        job.view(20)


def test_equal_prompts_are_asked_once_over_all_parts_at_temperature_0(server: RowServer, tmp_path: Path) -> None:
    given = {"number": [3, 5, 3, 5, 3, 8] * 5, "text": ["same"] * 30, "other": list(range(30))}
    client = server.client()
    job = score_frame(given, TEMPLATE, client, labels=LABELS, out=tmp_path, part_rows=4, show_progress=False)
    assert server.counts == {3: 1, 5: 1, 8: 1}
    alone = {row: job.table["p_yes"][given["number"].index(row)].as_py() for row in (3, 5, 8)}
    assert job.table["p_yes"].to_pylist() == [alone[row] for row in given["number"]]
    assert job.table["other"].to_pylist() == given["other"]
    assert job.logprobs(29) == job.logprobs(5)


@pytest.mark.parametrize(("settings", "asked"), [({"temperature": 1}, 6), ({"temperature": 0}, 1)])
def test_equal_prompts_are_draws_of_their_own_at_another_temperature(
    server: RowServer, tmp_path: Path, settings: dict[str, Any], asked: int
) -> None:
    given = {"number": [3] * 6, "text": ["same"] * 6}
    score_frame(given, TEMPLATE, server.client(**settings), out=tmp_path, show_progress=False)
    assert server.requests == asked


def test_dedup_can_be_chosen(server: RowServer, tmp_path: Path) -> None:
    given = {"number": [3] * 6, "text": ["same"] * 6}
    score_frame(given, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, dedup=False, show_progress=False)
    assert server.requests == 6


def test_a_missing_value_fails_its_row_only(server: RowServer, tmp_path: Path) -> None:
    given = pa.table({"number": [0, 1, 2], "text": ["a", None, "c"], "row": [7, 8, 9]})
    job = score_frame(given, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    errors = job.table["error"].to_pylist()
    assert [error is None for error in errors] == [True, False, True]
    assert errors[1].startswith("the value of 'text' is missing (None)")
    assert job.failures["row_"].to_pylist() == [1]  # the input has a column "row"
    assert job.failures["row"].to_pylist() == [8]
    assert server.counts == {0: 1, 2: 1}


@pytest.mark.parametrize("name", ["label", "error", "p_yes", "logprobs"])
def test_a_column_with_the_name_of_a_result_is_refused_with_the_cure(
    server: RowServer, tmp_path: Path, name: str
) -> None:
    given = rows(3).append_column(name, pa.array(["x"] * 3))
    with pytest.raises(SettingError, match=f"has a column '{name}'.*rename it.*'{name}_given'"):
        score_frame(given, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    assert server.requests == 0


def test_an_index_with_the_name_of_a_result_is_refused_with_a_cure_that_helps(
    server: RowServer, tmp_path: Path
) -> None:
    given = rows(3).to_pandas().rename_axis("label")
    with pytest.raises(SettingError, match=r"has an index 'label'.*rename it, as with df\.rename_axis") as caught:
        score_frame(given, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    cured = eval(str(caught.value).partition("as with ")[2].rstrip("."), {"df": given})
    job = score_frame(cured, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    assert job.to_pandas().index.name == "label_given"


def test_an_index_without_a_name_is_no_column_in_a_message(server: RowServer, tmp_path: Path) -> None:
    given = rows(3).to_pandas().set_axis(list("abc"))
    with pytest.raises(SettingError, match=r"asks for \{nothing\}, and the data has 'number', 'text'\."):
        score_frame(given, "{nothing}", server.client(), labels=LABELS, out=tmp_path, show_progress=False)


@pytest.mark.parametrize("row", ["x", 1.0, None, True])
def test_a_row_is_named_by_its_number(server: RowServer, tmp_path: Path, row: Any) -> None:
    job = ask(server.client(), 2, tmp_path)
    for look in (job.view, job.logprobs):
        with pytest.raises(SettingError, match="row must be the number of a row"):
            look(row)


@pytest.mark.parametrize(
    ("labels", "settings", "tokens"),
    [
        (LABELS, {}, 4),
        (LABELS, {"max_new_tokens": 2}, 2),
        (LABELS, {"max_new_tokens": 30}, 30),
        (None, {}, None),
        (None, {"max_new_tokens": 2}, 2),
    ],
)
def test_with_labels_a_few_tokens_are_asked_for_unless_the_client_says_how_many(
    server: RowServer, tmp_path: Path, labels: list[str] | None, settings: dict[str, Any], tokens: int | None
) -> None:
    ask(server.client(**settings), 2, tmp_path, labels=labels)
    assert [seen.body.get("max_tokens") for seen in server.server.seen] == [tokens] * 2


def test_with_labels_open_settings_are_those_of_classify(server: RowServer, tmp_path: Path) -> None:
    client = server.client()
    ask(client, 1, tmp_path)
    classify([TEMPLATE.format(**rows(1).to_pylist()[0])], LABELS, client, show_progress=False)
    frame, classified = (seen.body for seen in server.server.seen)
    assert frame == classified


def test_without_labels_the_completions_are_kept(server: RowServer, tmp_path: Path) -> None:
    job = score_frame(rows(4), TEMPLATE, server.client(), out=tmp_path, show_progress=False)
    assert job.table["completion"].to_pylist() == ["no"] * 4
    assert job.table["label"].null_count == 4
    with pytest.raises(SettingError, match="needs labels"):
        job.report(["yes"] * 4)


def test_no_rows_are_a_job_without_requests(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 0, tmp_path)
    assert (len(job), job.table.num_rows) == (0, 0)
    assert job.table.column_names[-1] == "logprobs"


@pytest.mark.parametrize("keep", ["probabilities", "logprobs", "all"])
def test_what_is_kept_can_be_chosen(server: RowServer, tmp_path: Path, keep: str) -> None:
    job = ask(server.client(), 3, tmp_path, keep=keep)
    kept = dict[str, list[str]](probabilities=[], logprobs=["logprobs"], all=["logprobs", "raw_response"])[keep]
    assert job.table.column_names[-len(kept) or len(job.table.column_names) :] == kept
    assert job.table["p_yes"].null_count == 0


def test_a_report_takes_the_name_of_a_column(server: RowServer, tmp_path: Path) -> None:
    given = rows(9).append_column("truth", pa.array(["no"] * 9))
    job = score_frame(given, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    for truth in ("truth", job.table["truth"], ["no"] * 9):
        assert job.report(truth).accuracy.value == 1.0
    for name in ("nothing", "label"):  # a result is no truth
        with pytest.raises(SettingError, match="name of a column of the input"):
            job.report(name)


def test_a_report_refuses_a_column_that_has_no_labels(server: RowServer, tmp_path: Path) -> None:
    job = score_frame(rows(4), TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    with pytest.raises(SettingError, match="truth must hold labels"):
        job.report("text")


def test_labels_that_are_numbers_need_a_truth_of_texts(server: RowServer, tmp_path: Path) -> None:
    server.server.always(("1", {"1": 0.7, "0": 0.3}))
    job = score_frame(rows(3), TEMPLATE, server.client(), labels=["0", "1"], out=tmp_path, show_progress=False)
    truth = pd.Series([1, 0, 1])
    with pytest.raises(SettingError, match=r"truth\[0\] must be a label .* not 1; pass truth\.astype\(str\)"):
        job.report(truth)
    assert job.report(truth.astype(str)).accuracy.value == pytest.approx(2 / 3)


def test_a_view_says_that_the_client_asked_for_no_log_probabilities(server: RowServer, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"part_rows": np.int64(9), "out": tmp_path, "show_progress": False}
    job = score_frame(rows(1), TEMPLATE, server.client(), **settings)
    with pytest.raises(LogprobsMissingError, match=r"Row 0 .* the client asks for none \(logprobs=True does\)"):
        job.view(0)
    assert repr(job) == "Job(1 row, 0 of 1 row failed, 1 of 1 part)"


def test_retry_asks_only_rows_that_failed_for_a_reason_that_may_be_gone(server: RowServer, tmp_path: Path) -> None:
    refused = {"error": {"message": "too long"}}
    server.bad = {3: Reply(refused, 400), 9: Reply({"error": {"message": "busy"}}, 503), 17: Reply(refused, 429)}
    job = ask(server.client(), 20, tmp_path, part_rows=5)
    check(job, 20, {3, 9, 17})
    assert job.failures["status_code"].to_pylist() == [400, 503, 429]
    server.server.seen.clear()
    del server.bad[9], server.bad[17]
    check(job.retry(show_progress=False), 20, {3})
    assert server.counts == {9: 1, 17: 1}
    assert (job.progress.rows_asked, job.progress.rows_done) == (2, 20)  # so many a second
    assert job.logprobs(9) is not None
    server.server.seen.clear()
    check(ask(server.client(), 20, tmp_path), 20, {3})
    assert server.requests == 0


def test_the_default_folder_is_found_again(server: RowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELUGE_NB_CACHE", str(tmp_path))
    settings: dict[str, Any] = {"labels": LABELS, "show_progress": False}
    first = score_frame(rows(4), TEMPLATE, server.client(), **settings)
    second = score_frame(rows(4), TEMPLATE, server.client(api_key="other"), **settings)
    assert first.folder == second.folder
    assert first.folder.is_relative_to(tmp_path)
    assert server.requests == 4
    assert score_frame(rows(5), TEMPLATE, server.client(), **settings).folder != first.folder


@pytest.mark.parametrize("method", ["first-token"])
def test_classify_frame_has_the_results_of_classify(server: RowServer, tmp_path: Path, method: Any) -> None:
    job = classify_frame(
        rows(6), LABELS, server.client(), template=TEMPLATE, method=method, out=tmp_path, show_progress=False
    )
    check(job, 6)
    assert np.array(job.table["matched_mass"]).min() > 0.99


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": "everything"}, "keep must be one of"),
        ({"part_rows": 0}, "part_rows must be an integer of at least 1"),
        ({"dedup": 1}, "dedup must be True, False or None"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"on": "spark"}, "on must be None"),
        ({"labels": "yes"}, "labels must be a list"),
        ({"template": "No names"}, r"no placeholder such as \{number\}"),
        ({"template": None}, "template must be a text, a RawPrompt or a Conversation, not None"),
        ({"template": ["{text}"]}, "template must be a text, a RawPrompt or a Conversation"),
        ({"template": "{nothing}"}, "no placeholder|asks for"),
        ({"template": "{number} and {nothing}"}, "asks for {nothing}"),
        ({"data": pd.Series(["a"])}, r"data must be a data frame, such as series.to_frame"),
        ({"labels": [["yes", "no"]] * 3}, "one set of answers for all rows"),
        ({"labels": [b"yes", b"no"]}, r"labels\[0\] must be a text, not b'yes'"),
        ({"labels": ["\ud800", "no"]}, r"labels\[0\] must be a text of whole characters"),
        ({"template": "{text} \ud800"}, "template must be a text of whole characters"),
        ({"data": [1, 2]}, "data must be a data frame"),
        ({"data": pl.scan_parquet("nowhere.parquet")}, "data is a lazy frame that cannot be collected: No such file"),
        ({"data": pl.LazyFrame({"a": [1]}).select("b")}, "data is a lazy frame that cannot be collected"),
        ({"out": __file__}, "cannot be made a folder"),
        ({"out": "a\0b"}, "cannot be made a folder"),
        ({"out": "/proc/self"}, "cannot be written"),
        ({"out": ""}, "out must be the path of a folder"),
        ({"out": 5}, "out must be the path of a folder"),
        ({"data": "nowhere.parquet"}, "a path where there is no file"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    server: RowServer, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"data": rows(3), "template": TEMPLATE, "client": server.client(), "labels": LABELS}
    given |= {"out": tmp_path / "job", "show_progress": False}
    with pytest.raises(SettingError, match=message):
        score_frame(**(given | settings))
    assert server.requests == 0
    assert not (tmp_path / "job" / "job.json").exists()


@pytest.mark.parametrize(
    ("method", "template", "message"),
    [
        ("trie", TEMPLATE, "OpenAI starts a new one"),
        ("exact", TEMPLATE, "cannot be asked for the log-likelihood"),
        ("first-token", Conversation.user(TEMPLATE).assistant_prefix("It is"), "OpenAI starts a new one"),
    ],
)
def test_a_method_that_a_server_does_not_support_leaves_no_job_behind(
    tmp_path: Path, method: Any, template: Any, message: str
) -> None:
    client = LLMClient("gpt-4o-mini", api_key="key")
    with pytest.raises(SettingError, match=message):
        classify_frame(rows(3), LABELS, client, template=template, method=method, out=tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_a_part_whose_folder_was_removed_is_asked_again(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 3, tmp_path)
    shutil.rmtree(job.folder / "parts")
    check(ask(server.client(), 3, tmp_path), 3)


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_asked(
    server: RowServer, tmp_path: Path
) -> None:
    job = ask(server.client(), 3, tmp_path)
    shutil.rmtree(job.folder / "parts")
    (job.folder / "parts").touch()
    with pytest.raises(SettingError, match=r"cannot be written \(Not a directory\)"):
        ask(server.client(), 3, tmp_path)
    assert server.requests == 3


def test_the_view_of_a_row_that_failed_says_why_it_failed(server: RowServer, tmp_path: Path) -> None:
    given = pa.table({"number": [0, 1], "text": ["a", None]})
    job = score_frame(given, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    with pytest.raises(LogprobsMissingError, match=r"Row 1 has no log-probabilities: .*missing"):
        job.view(1)


def test_a_job_whose_folder_is_gone_says_so(server: RowServer, tmp_path: Path) -> None:
    job = ask(server.client(), 3, tmp_path / "job")
    shutil.rmtree(job.folder)
    for read in (lambda: job.retry(show_progress=False), lambda: job.table, lambda: job.view(0)):
        with pytest.raises(SettingError, match=r"is gone|There is no job"):
            read()
    assert not job.folder.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "foo"}, "method must be one of"),
        ({"calibration": "foo"}, "calibration must be 'contextual'"),
        ({"labels": None}, "labels must be a list of answers, or a dict .*, not None"),
    ],
)
def test_a_wrong_way_to_classify_leaves_no_job_behind(
    server: RowServer, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"labels": LABELS, "template": TEMPLATE, "client": server.client(), "out": tmp_path / "job"}
    with pytest.raises(SettingError, match=message):
        classify_frame(rows(3), **(given | settings), show_progress=False)
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("classifies", [False, True])
def test_a_job_warns_once_of_little_mass_and_of_failures_whatever_its_parts(
    server: RowServer, tmp_path: Path, classifies: bool
) -> None:
    server.server.always(("Hm", {"Hm": 0.99, "yes": 0.001}))
    server.server.answer = lambda seen, number, usual=server.server.answer: (
        Reply({"error": {"message": "busy"}}, 503) if "Row 0" in seen.question else usual(seen, number)
    )
    settings: dict[str, Any] = {"out": tmp_path, "part_rows": 12, "show_progress": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if classifies:
            classify_frame(rows(40), LABELS, server.client(), template=TEMPLATE, **settings)
        else:
            score_frame(rows(40), TEMPLATE, server.client(), labels=LABELS, **settings)
    failed, little = (str(warning.message) for warning in caught)
    assert failed.startswith("1 of 40 rows failed")
    assert little.startswith("39 of 39 rows have less than 5 % of the probability on any label")
    assert {warning.filename for warning in caught} == {__file__}
