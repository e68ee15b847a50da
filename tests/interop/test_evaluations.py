"""Logs of Inspect and lm-eval, written by the tools themselves on toy models, and tasks for Label Studio."""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import (
    CalibrationReport,
    Logprobs,
    LogprobView,
    SettingError,
    read_inspect_log,
    read_lm_eval_samples,
    to_label_studio,
)
from deluge_nb.answers.responses import classify_responses

LOGS = Path(__file__).parent / "logs"
PRIMES = LOGS / "primes.eval"
SAMPLE: dict[str, Any] = {"id": 1, "epoch": 2, "input": "Q", "target": ["A", "B"], "scores": {"match": {"value": 1}}}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_an_archive_of_inspect_is_read_with_its_log_probabilities() -> None:
    log = read_inspect_log(PRIMES)
    assert [(sample.id, sample.epoch, sample.input, sample.target, sample.answer) for sample in log] == [
        (3, 1, "Is 1 prime?", "No", "Yes"),
        ("four/2", 1, "Is 4 prime?", "No", "No"),
        ("nine", 1, "Is 9 prime?", "No", "No"),
        ("seven", 1, "Is 7 prime?", "Yes", "Yes"),
    ]
    assert log.confidence == pytest.approx([0.6, 0.7, 0.9])
    assert log.correct.tolist() == [0, 1, 1]
    assert log[1].probability is None
    assert repr(log) == "LoggedSamples(4 samples of Inspect's primes, 3 with log-probabilities)"


def test_samples_become_frames_views_and_reports() -> None:
    log = read_inspect_log(PRIMES)
    assert log.to_pandas()["correct"].tolist() == [0, 1, 1, 1]
    assert isinstance(log[0].logprobs, Logprobs)
    assert LogprobView(log[0].logprobs).logprobs.text == "Yes"
    assert len(CalibrationReport(log.confidence, log.correct)) == 3
    assert [sample.id for sample in log[:2]] == [3, "four/2"]


def test_an_interrupted_archive_is_read_from_its_journal(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": {"task": "t"}}))
        archive.writestr("samples/1_epoch_2.json", json.dumps({**SAMPLE, "error": {"message": "Stopped."}}))
    sample = read_inspect_log(tmp_path / "log.eval")[0]
    assert (sample.epoch, sample.target, sample.answer, sample.error) == (2, "A\nB", None, "Stopped.")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_samples_of_an_archive_are_in_the_order_of_inspect_and_those_run_again_count_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps({"eval": {"task": "t"}}))
        # They are written as they end: 10 before 2, the second epoch before the last sample of the first, b twice.
        for name, epoch, answer in [(10, 1, "x"), (2, 2, "x"), ("b", 1, "old"), (2, 1, "x"), ("b", 1, "new")]:
            content = {**SAMPLE, "id": name, "epoch": epoch, "output": {"choices": [{"message": {"content": answer}}]}}
            archive.writestr(f"samples/{name}_epoch_{epoch}.json", json.dumps(content))
    log = read_inspect_log(tmp_path / "log.eval")
    assert [(sample.id, sample.epoch) for sample in log] == [(2, 1), (10, 1), ("b", 1), (2, 2)]
    assert log[2].answer == "new"


def test_an_archive_of_chunks_is_refused_with_the_cure(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps({"eval": {"task": "t"}}))
        archive.writestr("samples/1_epoch_1/sample.json", json.dumps(SAMPLE))
        archive.writestr("samples/1_epoch_1/events/0.json", "[]")
    with pytest.raises(SettingError, match=r"log\.eval has its samples in chunks.*that it was made from"):
        read_inspect_log(tmp_path / "log.eval")


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("C", 1), ("I", 0), ("N", 0), ("P", None), (True, 1), (0, 0), (0.5, None), ("text", None), ([1], None)],
)
def test_a_grade_is_right_wrong_or_neither(tmp_path: Path, value: Any, outcome: Any) -> None:
    sample = {**SAMPLE, "scores": {"match": {"value": value}}}
    log = read_inspect_log(write(tmp_path, "log.json", {"eval": {}, "samples": [sample]}))
    assert log[0].correct == outcome


def test_messages_stop_reasons_and_withheld_numbers_are_read(tmp_path: Path) -> None:
    tokens = [{"token": "a", "logprob": -1.0, "bytes": None}, {"token": "b", "logprob": -9999.0, "bytes": None}]
    content = [{"type": "text", "text": "ab"}]
    choice = {"message": {"content": content}, "stop_reason": "max_tokens", "logprobs": {"content": tokens}}
    sample = {**SAMPLE, "input": [{"role": "user", "content": "Hi"}], "output": {"choices": [choice]}}
    found = read_inspect_log(write(tmp_path, "log.json", {"eval": {}, "samples": [sample]}))[0]
    assert (found.input, found.answer, found.stop_reason, found.probability) == ("Hi", "ab", "length", None)


def test_a_log_may_have_a_byte_order_mark_or_be_packed_with_gzip(tmp_path: Path) -> None:
    line = json.dumps(row([("A", " x")], ["-1.0"]))
    (tmp_path / "samples_t.jsonl").write_bytes(b"\xef\xbb\xbf" + line.encode())
    (tmp_path / "samples_u.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    for name, task in (("samples_t.jsonl", "t"), ("samples_u.jsonl.gz", "u")):
        log = read_lm_eval_samples(tmp_path / name)
        assert (len(log), log.source) == (1, f"lm-eval's {task}")
    content = json.dumps({"eval": {"task": "t"}, "samples": [SAMPLE]}).encode()
    (tmp_path / "log.json").write_bytes(gzip.compress(b"\xef\xbb\xbf" + content))
    assert len(read_inspect_log(tmp_path / "log.json")) == 1
    (tmp_path / "samples_v.jsonl.gz").write_bytes(gzip.compress(line.encode())[:-9])
    with pytest.raises(SettingError, match="its content is damaged"):
        read_lm_eval_samples(tmp_path / "samples_v.jsonl.gz")


@pytest.mark.parametrize(
    "fields",
    [
        {"scores": {"match": None}},
        {"scores": []},
        {"error": "Stopped."},
        {"output": []},
        {"output": {"choices": [None]}},
        {"output": {"choices": [{"message": None, "logprobs": {"content": None}}]}},
        {"output": {"choices": [{"message": "x", "logprobs": {"content": []}}]}},
    ],
    ids=str,
)
def test_odd_fields_of_a_sample_cost_that_field_only(tmp_path: Path, fields: dict[str, Any]) -> None:
    (sample,) = read_inspect_log(write(tmp_path, "log.json", {"eval": {}, "samples": [{**SAMPLE, **fields}]}))
    assert (sample.id, sample.input, sample.logprobs) == (1, "Q", None)
    assert sample.error == fields.get("error")


def test_several_scorers_need_a_name(tmp_path: Path) -> None:
    scores = {"match": {"value": "C"}, "judge": {"value": "I"}}
    path = write(tmp_path, "log.json", {"eval": {}, "samples": [{**SAMPLE, "scores": scores}]})
    with pytest.raises(SettingError, match="scores of 'match', 'judge'"):
        read_inspect_log(path)
    assert read_inspect_log(path, scorer="judge")[0].correct == 0
    with pytest.raises(SettingError, match="scorer must be one of"):
        read_inspect_log(path, scorer="other")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        "not JSON",
        '{"samples": []}',
        '{"eval": {}, "samples": {"a": 1}}',
        '{"eval": {}, "samples": [null]}',
        "[" * 100_000,
    ],
    ids=lambda content: content[:30],
)
def test_another_file_is_no_log_of_inspect(tmp_path: Path, content: str) -> None:
    with pytest.raises(SettingError, match=r"other\.json is no log of Inspect"):
        read_inspect_log(write(tmp_path, "other.json", content))
    with pytest.raises(SettingError, match="cannot be read"):
        read_inspect_log(tmp_path / "missing.eval")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(PRIMES.read_bytes())
    with zipfile.ZipFile(PRIMES) as archive:
        info = archive.getinfo("samples/seven_epoch_1.json")
    middle = info.header_offset + info.compress_size // 2
    content[middle : middle + 64] = bytes(64)
    (tmp_path / "log.eval").write_bytes(content)
    with pytest.raises(SettingError, match=r"samples/seven_epoch_1\.json in the archive is damaged"):
        read_inspect_log(tmp_path / "log.eval")


def test_options_of_lm_eval_have_likelihoods_and_shares() -> None:
    log = read_lm_eval_samples(LOGS / "samples_capitals.jsonl")
    first = log[0]
    assert first.options == {" Paris": -2.9, " Rome": -3.2, " Oslo": -4.2}
    share = math.exp(-2.9) / sum(math.exp(value) for value in first.options.values())
    assert (first.answer, first.probability, first.correct) == (" Paris", pytest.approx(share), 1)
    assert first.scores == {"acc": 1, "acc_norm": 1}
    assert len(log.confidence) == len(log.correct) == 3


def test_generated_answers_of_lm_eval_have_no_probability() -> None:
    log = read_lm_eval_samples(LOGS / "samples_generate.jsonl")
    answers = [(sample.answer, sample.probability, sample.correct) for sample in log]
    assert answers == [("Paris", None, 1), ("Paris", None, 0), ("Paris", None, 0)]


def row(pairs: list[tuple[str, str]], values: list[str]) -> dict[str, Any]:
    arguments = {f"gen_args_{i}": {"arg_0": context, "arg_1": text} for i, (context, text) in enumerate(pairs)}
    return {
        "doc_id": 0,
        "target": "0",
        "arguments": arguments,
        "filtered_resps": [[value, "False"] for value in values],
    }


@pytest.mark.parametrize(
    ("pairs", "values", "options"),
    [
        # One continuation after two contexts, as in WinoGrande.
        ([("A", " x"), ("B", " x")], ["-1.0", "-2.0"], {"A x": -1, "B x": -2}),
        # Two equal options.
        ([("A", " x"), ("A", " x")], ["-1.0", "-2.0"], {"0: x": -1, "1: x": -2}),
        # The options alone, too, as for mutual information.
        ([("A", " x"), ("A", " y"), ("", " x"), ("", " y")], ["-1", "-2", "-9", "-8"], {" x": -1, " y": -2}),
    ],
)
def test_options_of_lm_eval_are_never_mixed_up(
    tmp_path: Path, pairs: list[tuple[str, str]], values: list[str], options: dict[str, float]
) -> None:
    assert read_lm_eval_samples(write(tmp_path, "samples_t.jsonl", row(pairs, values)))[0].options == options


@pytest.mark.parametrize(
    ("fields", "answer", "text"),
    [
        # As older versions wrote them.
        ({"arguments": [["A", " x"], ["A", " y"]]}, " x", "A"),
        ({"arguments": [[[{"role": "user", "content": "Hi"}], " x"], ["A", " y"]]}, " x", "Hi"),
        ({"filtered_resps": [["nan", "False"], ["-2", "False"]]}, None, "A"),
        # Several answers to one question.
        ({"arguments": [["A", {"until": []}]], "filtered_resps": [["1", "2"]]}, "1", "A"),
        # The likelihood of a whole text.
        ({"arguments": [["A"]], "filtered_resps": [-120.5]}, None, "A"),
    ],
    ids=str,
)
def test_samples_of_lm_eval_have_several_forms(tmp_path: Path, fields: Any, answer: Any, text: str) -> None:
    sample = {**row([("A", " x"), ("A", " y")], ["-1", "-2"]), **fields}
    (read,) = read_lm_eval_samples(write(tmp_path, "samples_t.jsonl", sample))
    assert (read.answer, read.input) == (answer, text)


def test_each_filter_of_lm_eval_has_a_sample_with_its_name(tmp_path: Path) -> None:
    lines = [json.dumps({**row([("A", " x")], ["-1"]), "filter": name}) for name in ("strict-match", "none")]
    log = read_lm_eval_samples(write(tmp_path, "samples_t.jsonl", "\n".join(lines)))
    assert [sample.filter for sample in log] == ["strict-match", None]


def test_one_option_has_its_own_probability_and_an_impossible_one_none(tmp_path: Path) -> None:
    single = read_lm_eval_samples(write(tmp_path, "samples_t.jsonl", row([("A", " x")], ["-1.0"])))[0]
    assert single.probability == pytest.approx(math.exp(-1))
    nothing = read_lm_eval_samples(write(tmp_path, "samples_u.jsonl", row([("A", " x"), ("A", " y")], ["-inf"] * 2)))[0]
    assert nothing.probability is None


@pytest.mark.parametrize("line", ["{}", "[]", "3", "no JSON", '{"doc_id": 1, "arguments": {}, "filtered_resps": []}'])
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, line: str) -> None:
    good = json.dumps(row([("A", " x")], ["-1.0"]))
    with pytest.raises(SettingError, match=r"Line 2 of samples_t\.jsonl is no sample"):
        read_lm_eval_samples(write(tmp_path, "samples_t.jsonl", f"{good}\n{line}\n"))


def results(inputs: list[Any]) -> Any:
    def table(p: float) -> list[dict[str, Any]]:
        listed = [{"token": text, "logprob": math.log(q), "bytes": None} for text, q in (("yes", p), ("no", 1 - p))]
        return [{**listed[0], "top_logprobs": listed}]

    return classify_responses([table(0.9), None, table(0.6)], ["yes", "no"], inputs=inputs)


def test_tasks_of_label_studio_begin_with_the_least_certain(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = to_label_studio(results(["sure", "failed", "not sure"]), path, n=2)
    assert json.loads(path.read_text("utf-8")) == tasks
    assert tasks[0] == {"data": {"text": "failed", "row": 1}, "predictions": []}
    assert tasks[1]["data"] == {"text": "not sure", "row": 2}
    prediction = tasks[1]["predictions"][0]
    assert prediction["score"] == pytest.approx(0.6)
    choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["yes"]}}
    assert prediction["result"] == [choice]


def test_values_of_a_template_keep_their_names_in_a_task() -> None:
    tasks = to_label_studio(results([{"title": "A", "text": "B"}, ("C", "D"), "E"]), n=3)
    assert [task["data"] for task in tasks] == [
        {"text": "C\nD", "row": 1},
        {"text": "E", "row": 2},
        {"title": "A", "text": "B", "row": 0},
    ]
    (task,) = to_label_studio(results([{"row": 7, "text": "A"}, "B", "C"]), n=3)[2:]
    assert task["data"] == {"row": 7, "text": "A", "row_": 0}


def test_annotations_of_label_studio_come_back_as_the_truth_of_a_report(tmp_path: Path) -> None:
    found = results(["sure", "failed", "not sure"])
    exported = to_label_studio(found, tmp_path / "tasks.json", n=2)
    for number, task in enumerate(exported):  # as its export in JSON has them, in an order of its own
        chosen = {"choices": ["no"]}
        result = {"id": "Dx", "from_name": "label", "to_name": "text", "type": "choices", "value": chosen}
        task |= {"id": 40 + number, "annotations": [{"id": 1, "was_cancelled": False, "result": [result]}]}
    truth: list[str | None] = [None] * len(found)
    for task in reversed(exported):
        truth[task["data"]["row"]] = task["annotations"][0]["result"][0]["value"]["choices"][0]
    assert truth == [None, "no", "no"]
    report = CalibrationReport.from_results(found, truth)
    assert (len(report), report.dropped) == (1, 2)


def test_hostile_inputs_become_tasks_that_a_database_stores(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    hostile = {"text": "a\0b \ud800 </script> 👍", "number": math.nan, "more": [math.inf, {"\0": "x"}], "at": Path("x")}
    tasks = to_label_studio(results([hostile, "", "x" * 100_000]), path, n=3)
    (task,) = tasks[2:]
    expected = {
        "text": "a\ufffdb \ufffd </script> 👍",
        "number": None,
        "more": [None, {"\ufffd": "x"}],
        "at": "x",
        "row": 0,
    }
    assert task["data"] == expected
    written = path.read_text("utf-8")
    assert json.loads(written, parse_constant=pytest.fail) == tasks
    assert "\\ud800" not in written


def test_what_is_no_classification_is_refused() -> None:
    with pytest.raises(SettingError, match="found must be the results of classify"):
        to_label_studio(["yes"])
    with pytest.raises(SettingError, match="n must be a whole number"):
        to_label_studio(results(["a", "b", "c"]), n=-1)


@pytest.mark.parametrize("read", [read_inspect_log, read_lm_eval_samples])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, "path must be the path of a file to read, not None"),
        (3, "path must be the path of a file to read, not 3"),
        ("", "path must be the path of a file to read"),
        ("a\0b", "path must be the path of a file to read"),
        ("nowhere.json", "path='nowhere.json' cannot be read: No such file"),
        (LOGS, "cannot be read: Is a directory"),
    ],
)
def test_a_path_that_cannot_be_read_is_refused_by_name(read: Any, path: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (3, "path must be the path of a file to write, not 3"),
        (b"tasks.json", "path must be the path of a file to write"),
        (LOGS, "this is a folder"),
        (LOGS / "nowhere" / "tasks.json", "path must be a file in a folder that exists"),
    ],
)
def test_tasks_are_not_written_to_what_is_no_file(path: Any, message: str) -> None:
    tokens = [{"token": "yes", "logprob": -0.5, "top_logprobs": [{"token": "yes", "logprob": -0.5}]}]
    found = classify_responses([tokens], ["yes", "no"], inputs=["Is it?"])
    with pytest.raises(SettingError, match=message):
        to_label_studio(found, path)
