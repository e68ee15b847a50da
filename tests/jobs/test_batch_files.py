"""Jobs as batch files: written and read back by the client's own code, by hand or by a service."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import Job, LLMClient, MissingKeyError, RequestError, SettingError, classify_frame
from deluge_nb.jobs.engines import lines
from deluge_nb.jobs.engines.batch_files import OpenAIBatch
from tests.jobs.batch_service import BatchService, Line, answer_of, batch_service, reply_of, row_of
from tests.jobs.rows import LABELS, TEMPLATE, ask, check, rows

pytestmark = pytest.mark.filterwarnings("ignore:.* rows failed:UserWarning")
CLIENT: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "max_attempts": 1}


@pytest.fixture
def service() -> Iterator[BatchService]:
    with batch_service() as running:
        yield running


def by_hand(out: Path, count: int = 12, **settings: Any) -> Job:
    return ask(LLMClient(settings.pop("model", "vllm/x"), **CLIENT), count, out, on="files", **settings)


def requests(out: Path, turn: int = 0) -> list[Line]:
    files = sorted((out / "batch").glob(f"requests-{turn:03d}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def put(out: Path, name: str, answers: list[Line]) -> None:
    (out / "batch" / name).write_text("".join(json.dumps(line) + "\n" for line in answers))


def pending(out: Path, count: int = 12, **settings: Any) -> list[Line]:
    """Run a job whose answers are missing, and return its requests."""
    with pytest.raises(RequestError, match=r"have no answers yet.*run the same call again"):
        by_hand(out, count, **settings)
    return requests(out)


def batch(service: BatchService, out: Path, count: int = 12, **settings: Any) -> Job:
    engine = OpenAIBatch(sleep=lambda seconds: None)
    return ask(LLMClient("vllm/x", base_url=service.url, max_attempts=1), count, out, on=engine, **settings)


def test_the_requests_are_those_that_the_client_sends(tmp_path: Path) -> None:
    first, *_ = asked = pending(tmp_path)
    assert len(asked) == 12
    fingerprint = json.loads((tmp_path / "job.json").read_text())["fingerprint"]
    assert [line["custom_id"] for line in asked] == [f"{fingerprint}-{row}" for row in range(12)]
    assert (first["method"], first["url"]) == ("POST", "/v1/chat/completions")
    assert first["body"]["messages"] == [{"role": "user", "content": "Row 0 : text 0"}]
    assert first["body"]["logprobs"] is True
    assert first["body"]["top_logprobs"] == 20
    assert first["body"]["temperature"] == 0


def test_answers_in_any_order_and_in_two_files_are_read_by_their_rows(tmp_path: Path) -> None:
    asked = pending(tmp_path, part_rows=5)
    answers = [answer_of(line) for line in asked if row_of(line) != 7]
    random.Random(1).shuffle(answers)
    put(tmp_path, "output.jsonl", answers)
    put(tmp_path, "errors.jsonl", [reply_of(asked[7], {"error": {"message": "too long"}}, 400)])
    job = by_hand(tmp_path)
    check(job, 12, {7})
    assert "answered 400: too long" in job.table["error"][7].as_py()
    assert job.table["status_code"][7].as_py() == 400
    assert job.logprobs(3).text == job.table["completion"][3].as_py()


def test_the_fields_of_an_answer_may_stand_under_response_itself(tmp_path: Path) -> None:
    answers = [answer_of(line) for line in pending(tmp_path)]
    for line in answers:
        line["response"] = line["response"]["body"]
    put(tmp_path, "output.jsonl", answers)
    check(by_hand(tmp_path), 12)


def test_a_row_that_is_in_no_file_fails_and_is_asked_again_by_retry(tmp_path: Path) -> None:
    asked = pending(tmp_path)
    put(tmp_path, "output.jsonl", [answer_of(line) for line in asked if row_of(line) not in (2, 9)])
    job = by_hand(tmp_path)
    check(job, 12, {2, 9})
    assert "no line with its answer" in job.table["error"][2].as_py()
    with pytest.raises(RequestError, match=r"2 requests of 1 file.*call job\.retry\(\) again") as caught:
        job.retry(show_progress=False)
    assert caught.value.__notes__[0].endswith("job.retry() asks the rest again.")
    again = requests(tmp_path, turn=1)
    assert [row_of(line) for line in again] == [2, 9]
    put(tmp_path, "more.jsonl", [answer_of(line) for line in again])
    check(job.retry(show_progress=False), 12)


@pytest.mark.parametrize("are_answered", [False, True])
def test_requests_that_were_removed_are_written_again(tmp_path: Path, are_answered: bool) -> None:
    asked = pending(tmp_path)
    for file in (tmp_path / "batch").glob("requests-*"):
        file.unlink()
    if not are_answered:
        assert pending(tmp_path) == asked
    put(tmp_path, "a.jsonl", list(map(answer_of, asked)))
    check(by_hand(tmp_path), 12)


@pytest.mark.parametrize("moment", ["before retry()", "after retry() has written its requests"])
@pytest.mark.parametrize("late", [{2}, {2, 9}], ids=["one", "all"])
def test_answers_that_come_late_are_used_by_retry_and_not_asked_again(
    tmp_path: Path, late: set[int], moment: str
) -> None:
    asked = pending(tmp_path, part_rows=5)
    put(tmp_path, "output.jsonl", [answer_of(line) for line in asked if row_of(line) not in (2, 9)])
    job = by_hand(tmp_path, part_rows=5)
    check(job, 12, {2, 9})
    if moment != "before retry()":
        with pytest.raises(RequestError, match="2 requests of 1 file"):
            job.retry(show_progress=False)
    put(tmp_path, "late.jsonl", [answer_of(asked[row]) for row in late])
    if late == {2}:
        with pytest.raises(RequestError, match="1 request of 1 file"):
            job.retry(show_progress=False)
        assert job.failures["row"].to_pylist() == [9]
        (line,) = requests(tmp_path, turn=1)
        assert row_of(line) == 9
        put(tmp_path, "more.jsonl", [answer_of(line)])
    check(job.retry(show_progress=False), 12)
    assert len(requests(tmp_path, turn=1)) == (1 if late == {2} else 0)


def test_the_answer_of_a_retry_wins_over_a_failure_whatever_the_order_of_the_lines(tmp_path: Path) -> None:
    asked = pending(tmp_path)
    failed = [reply_of(line, {"error": {"message": "busy"}}, 503) for line in asked]
    put(tmp_path, "output.jsonl", [answer_of(line) for line in asked])
    put(tmp_path, "z-later.jsonl", failed)
    check(by_hand(tmp_path), 12)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"code": "batch_expired", "message": "This request could not be executed in time."}, "could not be executed"),
        ("out of memory", "out of memory"),
        ({"code": 17}, "17"),
        ({"error": {"message": "max_tokens is too large", "code": 400}}, "reports: max_tokens is too large"),  # vLLM
    ],
)
def test_a_line_with_an_error_and_no_response_is_a_failure_with_its_reason(
    tmp_path: Path, error: Any, said: str
) -> None:
    asked = pending(tmp_path)
    answers: list[Line] = [answer_of(line) for line in asked[1:]]
    put(tmp_path, "o.jsonl", [*answers, {"custom_id": asked[0]["custom_id"], "response": None, "error": error}])
    job = by_hand(tmp_path)
    check(job, 12, {0})
    assert said in job.table["error"][0].as_py()


@pytest.mark.parametrize(
    "body",
    [None, {}, [], "text", 3, {"choices": []}, {"choices": None}, {"error": {"message": "no"}}, {"choices": [{}]}],
    ids=str,
)
def test_a_body_that_is_no_answer_fails_its_row_only(tmp_path: Path, body: Any) -> None:
    asked = pending(tmp_path)
    put(tmp_path, "o.jsonl", [*(answer_of(line) for line in asked[1:]), reply_of(asked[0], body)])
    check(by_hand(tmp_path), 12, {0})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"custom_id": "0123456789abcdef-3", "response": {}}', "belongs to another job"),
        ('{"custom_id": null}', "belongs to another job"),
        ('{"custom_id": "', "Line 1 of .* is no JSON object"),
        ("[1]", "is no JSON object"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path, line: str, said: str) -> None:
    pending(tmp_path)
    (tmp_path / "batch" / "output.jsonl").write_text(line)
    with pytest.raises(SettingError, match=said):
        by_hand(tmp_path)


def test_a_line_that_would_fill_the_memory_is_not_read(
    service: BatchService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_MOST_OF_A_LINE", 2000)
    answers = [answer_of(line) for line in pending(tmp_path / "files")]
    answers[0]["filler"] = "x" * 9000
    put(tmp_path / "files", "output.jsonl", answers)
    with pytest.raises(SettingError, match=r"Line 1 of .*output\.jsonl has more than 2,000 bytes"):
        by_hand(tmp_path / "files")
    service.answer = lambda line: answer_of(line) | ({"filler": "x" * 9000} if row_of(line) == 4 else {})
    job = batch(service, tmp_path / "service")
    check(job, 12, {4})
    assert "1 line of the service could not be read" in job.table["error"][4].as_py()


def test_files_keep_the_limits_of_lines_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_LINES", 5)
    asked = pending(tmp_path, 12)
    files = sorted((tmp_path / "batch").glob("requests-*.jsonl"))
    assert [len(file.read_text().splitlines()) for file in files] == [5, 5, 2]
    put(tmp_path, "one.jsonl", [answer_of(line) for line in asked[:5]])
    with pytest.raises(RequestError, match=r"7 requests of 2 files"):
        by_hand(tmp_path)
    monkeypatch.setattr(lines, "MOST_BYTES", 100)
    with pytest.raises(SettingError, match=r"takes a request of \d+ bytes, and a batch file at most 100"):
        by_hand(tmp_path / "other")


def test_a_line_for_mistral_has_neither_model_nor_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)  # nothing is sent from here
    with pytest.raises(RequestError, match="no answers yet"):
        ask(LLMClient("mistral/mistral-small-latest"), 2, tmp_path, on="files", labels=None)
    first, _ = requests(tmp_path)
    assert set(first) == {"custom_id", "body"}
    assert "model" not in first["body"]


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (lambda: LLMClient("local"), "is asked in another way"),
        (lambda: LLMClient(["vllm/x", "vllm/y"], **CLIENT), "asks one model, and the client has 2"),
    ],
)
def test_a_client_that_no_service_can_answer_for_is_refused(
    tmp_path: Path, client: Callable[[], LLMClient], said: str
) -> None:
    with pytest.raises(SettingError, match=said):
        ask(client(), 2, tmp_path / "job", on="files")
    assert not (tmp_path / "job").exists()


def test_classify_frame_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="use score_frame with labels="):
        classify_frame(
            rows(2), LABELS, LLMClient("vllm/x", **CLIENT), template=TEMPLATE, out=tmp_path / "job", on="files"
        )
    assert not (tmp_path / "job").exists()


def test_a_service_answers_a_job(service: BatchService, tmp_path: Path) -> None:
    service.looks_until_done = 3
    check(batch(service, tmp_path, part_rows=5), 12)
    assert service.form == {"purpose": "batch"}
    (made,) = service.batches.values()
    assert (made["endpoint"], made["completion_window"]) == ("/v1/chat/completions", "24h")
    assert not list((tmp_path / "batch").glob("answers-*"))
    seen = len(service.paths)
    check(batch(service, tmp_path), 12)
    assert len(service.paths) == seen


def test_failures_come_in_a_second_file(service: BatchService, tmp_path: Path) -> None:
    service.answer = lambda line: (
        reply_of(line, {"error": {"message": "no"}}, 400) if row_of(line) in (1, 4) else answer_of(line)
    )
    check(batch(service, tmp_path), 12, {1, 4})


def test_a_batch_without_a_success_has_failures_only(service: BatchService, tmp_path: Path) -> None:
    service.answer = lambda line: reply_of(line, {"error": {"message": "no"}}, 400)
    check(batch(service, tmp_path), 12, set(range(12)))


@pytest.mark.parametrize("status", ["completed", "expired", "CANCELLED"])
def test_a_batch_without_any_file_has_failures_only(service: BatchService, tmp_path: Path, status: str) -> None:
    service.answer = lambda line: None
    service.final = {"status": status}
    job = batch(service, tmp_path)
    check(job, 12, set(range(12)))
    assert status == "completed" or status.lower() in job.table["error"][0].as_py()
    assert job.progress.transient == 12


@pytest.mark.parametrize("status", ["done", None, 17])
def test_an_unknown_status_ends_the_wait_once_there_is_a_file_of_answers(
    service: BatchService, tmp_path: Path, status: Any
) -> None:
    service.final = {"status": status}
    check(batch(service, tmp_path), 12)


def test_an_unknown_status_without_answers_is_reported_once(service: BatchService, tmp_path: Path) -> None:
    service.first, service.looks_until_done = "paused", 4
    with pytest.warns(UserWarning, match="gives a batch the status 'paused', which is unknown here") as caught:
        check(batch(service, tmp_path), 12)
    assert len(caught) == 1


def numbered(kind: str, number: int) -> int:
    return number + 100


@pytest.mark.parametrize("identify", [numbered, "{} {}/?ü".format], ids=["numbers", "texts"])
def test_identifiers_may_be_numbers_or_any_text(service: BatchService, tmp_path: Path, identify: Any) -> None:
    service.identify = identify
    check(batch(service, tmp_path), 12)


def test_a_file_of_answers_without_an_identifier_loses_no_row(service: BatchService, tmp_path: Path) -> None:
    service.change = lambda path, status, body: (status, body.replace(b'"file-1"', b'{"id": "file-1"}'))
    with pytest.raises(RequestError, match=r"names a file of answers by .*, which is no identifier; copy the file"):
        batch(service, tmp_path)
    put(tmp_path, "copied.jsonl", list(map(answer_of, service.asked)))
    check(by_hand(tmp_path), 12)


@pytest.mark.parametrize("outage", [3, 99])
def test_an_outage_of_the_service_does_not_end_the_wait_unless_it_stays(
    service: BatchService, tmp_path: Path, outage: int
) -> None:
    looks = 0

    def change(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        nonlocal looks
        looks += "/batches/" in path
        return (503, b"{}") if "/batches/" in path and 2 <= looks < 2 + outage else (status, body)

    def run() -> None:
        if outage == 99:
            with pytest.raises(RequestError, match="503"):
                batch(service, tmp_path)
            service.change = lambda path, status, body: (status, body)
        check(batch(service, tmp_path), 12)

    service.change, service.looks_until_done = change, 3
    with pytest.warns(UserWarning, match=r"A look at the batch has failed and is repeated: .*503") as caught:
        run()
    assert len(caught) == 1
    assert len(service.batches) == 1


@pytest.mark.parametrize(
    "damage", [b'{"custom_id": "', b"\0" * 999, b'{"custom_id": "other-7"}', b'{"custom_id": null}']
)
def test_a_damaged_line_of_a_service_costs_its_row_only(service: BatchService, tmp_path: Path, damage: bytes) -> None:
    def change(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return status, b"\n".join([*body.splitlines()[1:], damage]) if path.endswith("/content") else body

    service.change = change
    service.answer = lambda line: answer_of(line) if row_of(line) < 11 else None
    job = batch(service, tmp_path)
    assert len(job.failures) == 2
    check(job, 12, set(job.failures["row"].to_pylist()))
    assert "1 line of the service could not be read" in job.failures["error"][0].as_py()


def test_a_file_of_a_service_that_has_no_answer_is_fetched_again(service: BatchService, tmp_path: Path) -> None:
    service.change = lambda path, status, body: (status, b"<html>\nLog in\n" if path.endswith("/content") else body)
    with pytest.raises(RequestError, match=r"No line of .*-output\.jsonl is an answer to this job"):
        batch(service, tmp_path)
    service.change = lambda path, status, body: (status, body)
    check(batch(service, tmp_path), 12)
    assert len(service.batches) == 1


def test_an_expired_batch_keeps_what_was_answered_and_retry_asks_the_rest(
    service: BatchService, tmp_path: Path
) -> None:
    service.answer = lambda line: answer_of(line) if row_of(line) < 8 else None
    service.final = {"status": "expired"}
    job = batch(service, tmp_path)
    check(job, 12, {8, 9, 10, 11})
    service.answer, service.final = answer_of, {"status": "completed"}
    check(job.retry(show_progress=False), 12)
    assert [row_of(line) for line in service.asked[12:]] == [8, 9, 10, 11]


def test_a_closed_notebook_finds_its_batch_again(service: BatchService, tmp_path: Path) -> None:
    def close(seconds: float) -> None:
        raise KeyboardInterrupt

    service.looks_until_done = 2
    client = LLMClient("vllm/x", base_url=service.url, max_attempts=1)
    with pytest.raises(KeyboardInterrupt):
        ask(client, 12, tmp_path, on=OpenAIBatch(sleep=close))
    check(batch(service, tmp_path), 12)
    assert len(service.batches) == 1


@pytest.mark.filterwarnings("ignore:12 of 12 prompts failed")
def test_a_batch_that_was_given_up_and_then_finished_answers_what_failed_meanwhile(
    service: BatchService, tmp_path: Path
) -> None:
    def give_up(seconds: float) -> None:
        raise KeyboardInterrupt

    service.looks_until_done = 2
    client = LLMClient("vllm/x", base_url=service.url, max_attempts=1)
    with pytest.raises(KeyboardInterrupt):
        ask(client, 12, tmp_path, on=OpenAIBatch(sleep=give_up))
    check(ask(client, 12, tmp_path), 12, set(range(12)))  # the service answers no single request
    check(batch(service, tmp_path).retry(show_progress=False), 12)
    assert len(service.batches) == 1


def test_a_batch_that_was_made_when_the_connection_broke_is_not_made_twice(
    service: BatchService, tmp_path: Path
) -> None:
    service.fail_after_create = True
    with pytest.raises(RequestError, match="the gateway fell over"):
        batch(service, tmp_path)
    check(batch(service, tmp_path), 12)
    assert len(service.batches) == 1


def test_answers_that_a_service_keeps_elsewhere_can_be_copied(service: BatchService, tmp_path: Path) -> None:
    service.change = lambda path, status, body: (302 if path.endswith("/content") else status, body)
    with pytest.raises(RequestError, match=r"answered 302.*copy them from its own page into .*with on=\"files\""):
        batch(service, tmp_path)
    put(tmp_path, "copied.jsonl", list(map(answer_of, service.asked)))
    check(by_hand(tmp_path), 12)


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"{}"), (405, b"no"), (200, b'{"data": ["a"]}'), (200, b'{"batches": []}')]
)
def test_where_nobody_knows_whether_a_batch_was_made_none_is_made(
    service: BatchService, tmp_path: Path, status: int, body: bytes
) -> None:
    service.fail_after_create = True
    service.change = lambda path, real, content: (status, body) if "/batches?" in path else (real, content)
    with pytest.raises(RequestError, match="the gateway fell over"):
        batch(service, tmp_path)
    with pytest.raises(RequestError, match=r"list of batches cannot be read.*delete .*batch\.json.*use on=\"files\""):
        batch(service, tmp_path)
    assert len(service.batches) == 1


@pytest.mark.parametrize("gone", ["/batches/", "/content"])
def test_a_batch_that_is_gone_can_be_begun_anew(service: BatchService, tmp_path: Path, gone: str) -> None:
    service.lost = gone
    with pytest.raises(RequestError, match=r"404: no such path.*gone for good, delete .*batch.json"):
        batch(service, tmp_path)
    service.lost = "none"
    (tmp_path / "batch.json").unlink()
    check(batch(service, tmp_path), 12)
    assert len(service.batches) == 2


def test_a_file_that_the_service_refuses_is_an_error_of_the_call(service: BatchService, tmp_path: Path) -> None:
    service.answer = lambda line: None
    service.final = {"status": "failed", "errors": {"data": [{"message": "Line 1: no such model"}]}}
    with pytest.raises(RequestError, match="refused the job: failed: Line 1: no such model"):
        batch(service, tmp_path)
    service.answer, service.final = answer_of, {"status": "completed"}
    check(batch(service, tmp_path), 12)


def test_the_key_goes_to_the_service_and_into_no_file(
    service: BatchService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-" + "q7" * 12
    engine = OpenAIBatch(sleep=lambda seconds: None)
    client = LLMClient("vllm/x", base_url=service.url, api_key=secret, max_attempts=1)
    check(ask(client, 12, tmp_path, on=engine), 12)
    assert {headers["authorization"] for headers in service.headers} == {f"Bearer {secret}"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("where", ["rows", "bodies", "batch", "file"])
def test_a_key_that_the_service_quotes_is_in_no_file_and_no_message(
    service: BatchService, tmp_path: Path, where: str
) -> None:
    secret = "sk-" + "q7" * 12
    quoted = {"error": {"message": f"Incorrect API key: {secret}"}}
    if where == "rows":
        service.answer = lambda line: reply_of(line, None) | quoted
    elif where == "bodies":
        service.answer = lambda line: reply_of(line, quoted, 401)
    elif where == "batch":
        service.answer = lambda line: None
        service.final = {"status": "failed", "errors": {"data": [quoted["error"]]}}
    else:
        service.answer = lambda line: answer_of(line) | quoted | {"custom_id": "other"}
    client = LLMClient("vllm/x", base_url=service.url, api_key=secret, max_attempts=1)
    if where in ("batch", "file"):
        with pytest.raises(RequestError) as caught:
            ask(client, 12, tmp_path, on=OpenAIBatch(sleep=lambda seconds: None))
        messages = [str(caught.value)]
    else:
        messages = ask(client, 12, tmp_path, on=OpenAIBatch(sleep=lambda seconds: None)).table["error"].to_pylist()
    assert not [message for message in messages if secret in message]
    assert where == "file" or "API key: [key]" in messages[0]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_requests_and_their_answers_as_files_need_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client = LLMClient("gpt-4o-mini")
    with pytest.raises(RequestError, match="no answers yet"):
        ask(client, 12, tmp_path, on="files")
    put(tmp_path, "output.jsonl", [answer_of(line) for line in requests(tmp_path)])
    check(ask(client, 12, tmp_path, on="files"), 12)
    with pytest.raises(MissingKeyError, match="set OPENAI_API_KEY"):
        ask(client, 12, tmp_path / "other", on="openai-batch")
    assert not list((tmp_path / "other").rglob("*.jsonl"))


def test_the_name_of_an_engine_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"on must be .*'dask', 'files', 'ray', 'openai-batch'.*not 'dusk'"):
        ask(LLMClient("vllm/x", **CLIENT), 2, tmp_path, on="dusk")
