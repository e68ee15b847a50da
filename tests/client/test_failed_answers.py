"""Failures that a server reports inside a successful reply: for each dialect, at once and streamed, with a cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deluge_nb import APIResponse, DelugeError, LLMClient, RawPrompt
from tests.dialects.test_reading import BODIES, STREAMS, replaced

MODELS = {
    "openai": "gpt-4o-mini",
    "completions": "davinci-002",
    "responses": "openai-responses/gpt-4o",
    "gemini": "gemini-2.0-flash",
    "anthropic": "claude-3-5-haiku-latest",
    "cohere": "command-a-03-2025",
    "ollama": "ollama/x",
    "llamacpp": "llamacpp/x",
}
LLAMACPP = {"content": "Oslo", "stop": True, "stop_type": "eos", "tokens_evaluated": 3, "tokens_predicted": 2}
RESPONSES = [
    {"type": "response.output_text.delta", "item_id": "a", "output_index": 0, "content_index": 0, "delta": text}
    for text in ("Os", "lo")
]
COHERE = [
    {"type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    *(
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}
        for text in ("Os", "lo")
    ),
    {"type": "content-end", "index": 0},
]
GOOD = {**BODIES, "llamacpp": LLAMACPP}
GOOD_STREAMS = {
    **STREAMS,
    "responses": [*RESPONSES, {"type": "response.completed", "response": BODIES["responses"]}],
    "cohere": [*COHERE, {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}],
    "llamacpp": [{"content": "Os", "stop": False}, {**LLAMACPP, "content": "lo"}],
}
BUSY = {"code": 429, "message": "slow down"}
UNAVAILABLE = {"error": {**BUSY, "code": 503}}
GONE = {"code": 502, "message": "gone"}
REPORTED = {"message": "busy", "type": "overloaded_error"}
# Failures in place of an answer, without an object called "error", and what their code means.
BARE: dict[str, tuple[Any, int | None]] = {
    "detail": ({"detail": "the model is busy"}, None),
    "list of details": ({"detail": [{"loc": ["body"], "msg": "busy", "type": "value_error"}]}, None),
    "code": ({"message": "busy", "code": 429}, 429),
    "word": ({"object": "error", "message": "busy", "type": "ServiceUnavailable", "code": "503"}, 503),
    "message alone": ({"Message": "busy"}, None),
    "own code": ({"code": 20012, "msg": "busy", "data": None}, None),
    "list": ({"success": False, "errors": [{"code": 504, "message": "busy"}], "result": None}, 504),
    "base": ({"base_resp": {"status_code": 1002, "status_msg": "busy"}, "choices": None}, None),
    "flag": ({"error": True, "message": "busy"}, None),
    "number": ({"error": 502, "message": "busy"}, None),
    "problem": ({"type": "about:blank", "title": "busy", "status": 503}, 503),
    "fault": ({"fault": {"faultstring": "busy", "detail": {"errorcode": "policies.ratelimit"}}}, None),
}
# What the events of a stream say beside an answer.
HARMLESS: list[Any] = [
    {"type": "ping", "message": "still here"},
    {"code": 0, "msg": "success", "data": None},
    {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []},
    {"status": "processing", "message": "position 3 in the queue"},
    {"code": 200, "message": "OK"},
]


def at(dialect: str, *path: str | int, value: Any) -> Any:
    return replaced(GOOD[dialect], path, value)


# A reply, what its code means, and whether it has a text.
WHOLE: list[tuple[str, str, Any, int | None, bool]] = [
    *((dialect, "error alone", {"error": BUSY}, 429, False) for dialect in MODELS),
    *((dialect, "digits", {"error": {**GONE, "code": "503"}}, 503, False) for dialect in MODELS),
    *((dialect, "text alone", {"error": "gone"}, None, False) for dialect in MODELS),
    *((dialect, name, body, status, False) for dialect in MODELS for name, (body, status) in BARE.items()),
    *((dialect, "error beside text", at(dialect, "error", value=GONE), 502, True) for dialect in MODELS),
    *((dialect, "type beside text", at(dialect, "error", value=REPORTED), 529, True) for dialect in MODELS),
    ("openai", "choice", at("openai", "choices", 0, "error", value=GONE), 502, True),
    ("openai", "word", at("openai", "choices", 0, "finish_reason", value="network_error"), 502, True),
    ("completions", "choice", at("completions", "choices", 0, "error", value=GONE), 502, True),
    ("completions", "word", at("completions", "choices", 0, "finish_reason", value="error"), None, True),
    ("responses", "status", at("responses", "status", value="failed"), None, True),
    ("gemini", "word", at("gemini", "candidates", 0, "finishReason", value="ERROR"), None, True),
    ("anthropic", "word", at("anthropic", "stop_reason", value="error"), None, True),
    ("cohere", "word", at("cohere", "finish_reason", value="ERROR"), None, True),
    ("ollama", "word", at("ollama", "done_reason", value="network_error"), 502, True),
    ("llamacpp", "word", at("llamacpp", "stop_type", value="error"), None, True),
]
# Events after "Os", and what the last one means.
CHUNKS: list[tuple[str, str, list[Any], int | None]] = [
    *((dialect, "error", [{"error": GONE}], 502) for dialect in MODELS),
    *((dialect, "digits", [{"error": {**GONE, "code": "503"}}], 503) for dialect in MODELS),
    *((dialect, "text", [{"error": "gone"}], None) for dialect in MODELS),
    *((dialect, name, [body], status) for dialect in MODELS for name, (body, status) in BARE.items()),
    ("openai", "choice", [{"choices": [{"index": 0, "delta": {}, "error": GONE, "finish_reason": "error"}]}], 502),
    ("openai", "word", [{"choices": [{"index": 0, "delta": {}, "finish_reason": "network_error"}]}], 502),
    ("completions", "word", [{"choices": [{"index": 0, "text": "", "finish_reason": "error"}]}], None),
    ("responses", "error event", [{"type": "error", "code": "502", "message": "gone"}], 502),
    (
        "responses",
        "failed",
        [{"type": "response.failed", "response": {"status": "failed", "error": GONE, "output": []}}],
        502,
    ),
    ("gemini", "word", [{"candidates": [{"content": {"parts": []}, "finishReason": "ERROR"}]}], None),
    ("anthropic", "error event", [{"type": "error", "error": REPORTED}], 529),
    ("anthropic", "word", [{"type": "message_delta", "delta": {"stop_reason": "error"}}], None),
    ("cohere", "word", [{"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "gone"}}], None),
    ("ollama", "word", [{"message": {"content": ""}, "done": True, "done_reason": "error"}], None),
    ("llamacpp", "word", [{**LLAMACPP, "content": "", "stop_type": "error"}], None),
]


class Scripted(httpx.AsyncBaseTransport):
    """Transport that answers each completion with the next of some replies, and then with the last one."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/apply-template":
            return httpx.Response(200, json={"prompt": "x"})
        content = self.replies[min(self.asked, len(self.replies) - 1)]
        self.asked += 1
        return httpx.Response(200, content=content)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


def as_stream(dialect: str, events: list[Any]) -> bytes:
    lines = [json.dumps(event) for event in events]
    return "".join(f"{line}\n" if dialect == "ollama" else f"data: {line}\n\n" for line in lines).encode()


def begun(dialect: str) -> list[Any]:
    """Return the events up to the text "Os"."""
    events = GOOD_STREAMS[dialect]
    first = next(number for number, event in enumerate(events) if '"Os"' in json.dumps(event))
    return [*events[: first + 1]]


def client_of(dialect: str, transport: Scripted, file: Path, attempts: int) -> LLMClient:
    return LLMClient(
        MODELS[dialect], api_key="sk-test-0123456789", transport=transport, max_attempts=attempts, cache=str(file)
    )


def ask(client: LLMClient, dialect: str) -> APIResponse:
    (response,) = client.process_prompts_sync([prompt_for(dialect)], show_progress=False)
    return response


def stream(client: LLMClient, dialect: str) -> APIResponse:
    with client.stream(prompt_for(dialect)) as running:
        try:
            list(running)
        except DelugeError:
            assert running.response is not None
            assert running.response.is_error
    assert running.response is not None
    return running.response


def prompt_for(dialect: str) -> Any:
    return RawPrompt("x") if dialect == "completions" else "x"


@pytest.mark.parametrize("way", [ask, stream], ids=["at once", "streamed"])
@pytest.mark.parametrize(
    ("dialect", "body", "status", "has_text"), [pytest.param(d, *rest, id=f"{d}, {name}") for d, name, *rest in WHOLE]
)
def test_a_reply_with_an_error_in_it_is_one(
    dialect: str,
    body: Any,
    status: int | None,
    has_text: bool,
    way: Callable[[LLMClient, str], APIResponse],
    tmp_path: Path,
) -> None:
    file = tmp_path / "cache.db"
    response = way(client_of(dialect, Scripted(encoded(body)), file, 1), dialect)
    assert response.is_error
    assert response.status_code == status
    assert "busy" in (response.error_message or "") or "busy" not in json.dumps(body)
    assert response.completion == ("Oslo" if has_text else None)
    assert response.raw_response == body
    retried = Scripted(encoded(body), encoded(GOOD[dialect]))
    answer = way(client_of(dialect, retried, file, 2), dialect)
    assert not answer.from_cache
    assert (answer.is_error, retried.asked) == ((False, 2) if status is not None else (True, 1))
    again = Scripted(encoded(GOOD[dialect]))
    kept = way(client_of(dialect, again, file, 1), dialect)
    assert kept.completion == "Oslo"
    assert kept.from_cache == (status is not None)
    assert again.asked == (status is None)


@pytest.mark.parametrize(
    ("dialect", "events", "status"), [pytest.param(d, *rest, id=f"{d}, {name}") for d, name, *rest in CHUNKS]
)
@pytest.mark.parametrize("way", [ask, stream], ids=["unasked", "streamed"])
def test_a_stream_that_ends_with_an_error_failed(
    dialect: str,
    events: list[Any],
    status: int | None,
    way: Callable[[LLMClient, str], APIResponse],
    tmp_path: Path,
) -> None:
    file = tmp_path / "cache.db"
    response = way(client_of(dialect, Scripted(as_stream(dialect, [*begun(dialect), *events])), file, 1), dialect)
    assert response.is_error
    assert response.status_code == status
    assert response.completion == "Os"
    again = Scripted(as_stream(dialect, GOOD_STREAMS[dialect]))
    answer = way(client_of(dialect, again, file, 1), dialect)
    assert (answer.completion, answer.from_cache, again.asked) == ("Oslo", False, 1)


@pytest.mark.parametrize("dialect", sorted({*MODELS} - {"llamacpp"}))
@pytest.mark.parametrize("way", [ask, stream], ids=["unasked", "streamed"])
def test_a_stream_that_breaks_off_keeps_its_text(
    dialect: str, way: Callable[[LLMClient, str], APIResponse], tmp_path: Path
) -> None:
    # Two lines at least: one alone may be a whole document.
    half = [*begun(dialect), {"code": 200, "message": "OK"}] if dialect == "ollama" else begun(dialect)
    response = way(client_of(dialect, Scripted(as_stream(dialect, half)), tmp_path / "cache.db", 1), dialect)
    assert (response.is_error, response.completion) == (True, "Os")
    assert "broke off" in (response.error_message or "")


@pytest.mark.parametrize("dialect", MODELS)
def test_an_event_that_reports_no_failure_is_none(dialect: str, tmp_path: Path) -> None:
    events = GOOD_STREAMS[dialect]
    for harmless in HARMLESS:
        transport = Scripted(as_stream(dialect, [harmless, *events[:-1], harmless, events[-1]]))
        response = stream(client_of(dialect, transport, tmp_path / f"{HARMLESS.index(harmless)}.db", 1), dialect)
        assert (response.completion, response.error_message) == ("Oslo", None), harmless


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("way", [ask, stream], ids=["unasked", "streamed"])
@pytest.mark.parametrize("failure", [UNAVAILABLE, [UNAVAILABLE]], ids=["object", "array"])
def test_a_stream_that_fails_before_its_first_token_is_tried_again(
    dialect: str, way: Callable[[LLMClient, str], APIResponse], failure: Any, tmp_path: Path
) -> None:
    good = as_stream(dialect, GOOD_STREAMS[dialect])
    transport = Scripted(as_stream(dialect, [failure]), good)
    response = way(client_of(dialect, transport, tmp_path / "cache.db", 2), dialect)
    assert (response.completion, transport.asked) == ("Oslo", 2)


class NativeServer(httpx.AsyncBaseTransport):
    """Transport that answers as llama.cpp's server, but the first request to one path with a failure."""

    def __init__(self, failing: str) -> None:
        self.failing: str | None = failing
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, json.loads(request.content or b"{}")
        self.paths.append(path)
        if path == self.failing:
            self.failing = None
            return httpx.Response(200, json={"error": {"code": 503, "message": "Loading model"}})
        if path == "/apply-template":
            return httpx.Response(200, json={"prompt": "x"})
        if path == "/tokenize":
            pieces = [{"id": ord(letter), "piece": letter} for letter in body["content"]]
            return httpx.Response(200, json={"tokens": pieces})
        rows: Any = [{"id": ord("y"), "token": "y", "bytes": [121], "logprob": -0.5, "top_logprobs": []}]
        return httpx.Response(200, json={**LLAMACPP, "content": "y", "completion_probabilities": rows})


@pytest.mark.parametrize("path", ["/apply-template", "/tokenize", "/completion"])
def test_a_failure_of_any_request_of_a_series_is_tried_again(path: str) -> None:
    server = NativeServer(path)
    client = LLMClient("llamacpp/x", transport=server, max_attempts=2)
    (response,) = client.score_continuations_sync([("x", "y")], show_progress=False)
    assert not response.is_error
    assert response.logprobs is not None
    assert response.logprobs.total_logprob == -0.5
    failed = NativeServer(path)
    client = LLMClient("llamacpp/x", transport=failed, max_attempts=1)
    with_error = client.score_continuations_sync([("x", "y"), ("x", "y")], show_progress=False)
    assert [response.status_code for response in with_error if response.is_error] == [503]


@pytest.mark.parametrize(("size", "status"), [(1 << 20, 503), (1 << 23, None)])
def test_the_report_of_a_failure_is_searched_for_in_replies_of_a_plausible_size(
    size: int, status: int | None, tmp_path: Path
) -> None:
    body = encoded({"message": "busy", "code": 503, "request": "x" * size})
    response = ask(client_of("openai", Scripted(body), tmp_path / "cache.db", 1), "openai")
    assert (response.is_error, response.status_code) == (True, status)
