"""The list of lessons, copies of them, and notebooks that were handed in."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import SettingError
from deluge_nb.__main__ import main
from deluge_nb.lab import Catalog, check, collect, copy_lesson, reveal
from deluge_nb.lab.lessons import LESSONS
from deluge_nb.printable import printable


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell.instance()
    assert shell.extension_manager is not None
    shell.extension_manager.load_extension("deluge_nb")
    return shell


def magic(shell: InteractiveShell, line: str) -> Any:
    return shell.run_line_magic("deluge", line)


def test_the_course_lists_its_lessons_with_minutes(shell: InteractiveShell) -> None:
    listed = magic(shell, "course")
    for lesson in LESSONS:
        assert f"{lesson.number}  {lesson.title}" in repr(listed)
        assert f"{lesson.minutes} min" in repr(listed)
        assert lesson.learn in listed._repr_markdown_()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_is_copied_once_and_never_overwritten(shell: InteractiveShell, lesson: Any, tmp_path: Path) -> None:
    magic(shell, f"course {lesson.number}")
    copy = tmp_path / f"{lesson.name}.ipynb"
    copy.write_text("my work")
    with pytest.raises(UsageError, match="exists already"):
        magic(shell, f"course {lesson.number}")
    assert copy.read_text() == "my work"


@pytest.mark.parametrize("words", ["99", "x", "5 6", "-1", "²", "5" * 5000])
def test_a_lesson_that_does_not_exist_is_refused_in_one_line(
    shell: InteractiveShell, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        magic(shell, f"course {words}")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        copy_lesson(5, tmp_path / "missing")


def handed_in(path: Path, cells: dict[str, Any]) -> None:
    """Write a notebook of cells with the outputs of the feedbacks they showed."""
    written = []
    for source, feedback in cells.items():
        outputs: list[dict[str, Any]] = []
        if feedback is not None:
            data, metadata = feedback._repr_mimebundle_()
            outputs = [{"output_type": "display_data", "data": data, "metadata": metadata}]
        written.append(
            dict[str, Any](cell_type="code", metadata={}, source=source.splitlines(keepends=True), outputs=outputs)
        )
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps({"cells": written, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def rows(entries: Any) -> list[tuple[Any, ...]]:
    return [(entry.kind, entry.id, entry.name, entry.value, entry.state) for entry in entries]


def test_guesses_and_answers_are_read_from_the_outputs(tmp_path: Path) -> None:
    cells = {
        "my_away = 0.9\nmy_boils = ...": None,
        'reveal("5.1", away=my_away, boils=my_boils)': reveal("5.1", away=0.9, boils=...),
        'answer_1 = -2\ncheck("5.1", answer_1)': check("5.1", -2),
        'answer_3 = 7/4\ncheck("5.3", answer_3)': check("5.3", 7 / 4),
    }
    handed_in(tmp_path / "ann" / "lesson.ipynb", cells)
    entries = collect(tmp_path)
    assert {entry.notebook for entry in entries} == {"ann/lesson.ipynb"}
    assert rows(entries) == [
        ("reveal", "5.1", "away", 0.9, "todo"),
        ("reveal", "5.1", "boils", None, "todo"),
        ("check", "5.1", "answer", -2, "wrong"),
        ("check", "5.3", "answer", 1.75, "right"),
    ]
    assert list(entries.to_pandas()["state"]) == ["todo", "todo", "wrong", "right"]


def test_a_notebook_without_outputs_is_read_from_its_cells(tmp_path: Path) -> None:
    cells: dict[str, Any] = {
        "a = 0.25\nb = 1/3": None,
        'reveal("5.1", away=a, boils=b)': None,
        'check("5.1", ...)': None,
        "%%time\nx": None,
    }
    handed_in(tmp_path / "ann.ipynb", cells)
    assert rows(collect(tmp_path)) == [
        ("reveal", "5.1", "away", 0.25, "not run"),
        ("reveal", "5.1", "boils", "1 / 3", "not run"),
        ("check", "5.1", "answer", None, "todo"),
    ]


BROKEN = ["", "{", "[]", '{"cells": 3}', '{"cells": [1]}', "\x00", '{"nbformat": 4}', "[" * 200_000]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: content[:20])
def test_a_file_that_is_no_notebook_does_not_stop_the_others(tmp_path: Path, content: str) -> None:
    (tmp_path / "broken.ipynb").write_text(content)
    handed_in(tmp_path / "whole.ipynb", {'check("5.1", 2)': check("5.1", 2)})
    entries = collect(tmp_path)
    assert [entry.state for entry in entries] == ["right"]
    assert len(entries.problems) == 1
    assert "broken.ipynb" in entries.problems[0]


@pytest.mark.parametrize("value", ["=1+1", "\n=1+1", "＝1+1", "@x"], ids=ascii)
def test_no_value_becomes_a_formula_of_a_spreadsheet(tmp_path: Path, value: str) -> None:
    handed_in(tmp_path / "a.ipynb", {f"a = {value!r}\ncheck('5.1', a)": check("5.1", value)})
    (row,) = csv.DictReader(io.StringIO(collect(tmp_path).to_csv()))
    assert row["value"] == f"'{value}"


HUGE = f"0x{'f' * 6000}"


@pytest.mark.parametrize(
    ("written", "value"),
    [("-" * 50_000 + "1", None), ("x" + ".y" * 30_000, None), (HUGE, "inf"), ("'\\ud800\\x1b'", "⟨U+D800⟩␛")],
    ids=["minus signs", "a long chain", "a long integer", "half a character"],
)
def test_a_hostile_cell_spoils_at_most_itself(tmp_path: Path, written: str, value: Any) -> None:
    handed_in(tmp_path / "a.ipynb", {f"a = {written}": None, "check('5.1', a)": None, "check('5.2', 2)": None})
    entries = collect(tmp_path)
    assert [(entry.id, entry.value) for entry in entries] == [("5.1", value), ("5.2", 2)]
    assert len(entries.to_pandas()) == entries.to_csv().encode().count(b"\r\n") - 1


def test_edited_outputs_are_ignored_where_they_make_no_sense(tmp_path: Path) -> None:
    handed_in(tmp_path / "a.ipynb", {"check('5.1', 2)": check("5.1", 2)})
    whole = (tmp_path / "a.ipynb").read_text()
    for name, old, new in [("b", '{"answer": 2}', "[2]"), ("c", '"right"', '{"a": 1}'), ("d", '": 2}', '": NaN}')]:
        (tmp_path / f"{name}.ipynb").write_text("\ufeff" + whole.replace(old, new))
    found = [(entry.value, entry.state) for entry in collect(tmp_path)]
    assert found == [(2, "right"), (2, "right"), (2, "not run"), ("nan", "right")]


def test_no_value_commands_a_terminal(tmp_path: Path) -> None:
    handed_in(tmp_path / "a\x1b[2J.ipynb", {"check('5.1', a)": check("5.1", "\x1b]52;c;AA\x07\x9b2J")})
    table = collect(tmp_path).to_csv()
    assert table == printable(table.replace("\r\n", "\n")).replace("\n", "\r\n")
    assert "␛]52;c;AA␇" in table


def test_the_command_line_lists_copies_and_collects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["course"]) == 0
    assert capsys.readouterr().out == f"{Catalog()}\n"
    assert main(["course", "5"]) == 0
    assert main(["course", "copy", "5"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["course", "copy", "6"]) == 0
    assert capsys.readouterr().out == "06_turn_it_around.ipynb\n"
    assert main(["course", "collect", "."]) == 0
    assert "05_how_surprised.ipynb,reveal,5.1,away,,todo" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["five"], ["5", "6"], ["copy"], ["collect"], ["-1"], ["5" * 5000], ["99"]])
def test_the_command_line_says_in_one_line_which_words_the_course_takes(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["course", *words])
    except SystemExit as ended:
        status = ended.code
    last = capsys.readouterr().err.splitlines()[-1]
    expected = (1, "the course has 0, 1") if words == ["99"] else (2, "course 5, or collect")
    assert (status, expected[1] in last) == (expected[0], True)
    assert not list(tmp_path.iterdir())


def test_the_command_line_says_in_one_line_that_a_lesson_cannot_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SystemExit) as ended:
        main(["course", "5"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "The lesson cannot be copied into this folder (No such file or directory).\n"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is no folder"):
        collect(tmp_path / "missing")
