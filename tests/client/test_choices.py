"""Several answers to one prompt: all are kept, in order, and none costs another."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import (
    APIResponse,
    Cache,
    LLMClient,
    MalformedResponseError,
    RequestError,
    SamplingParams,
    SettingError,
    Usage,
)
from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, event, says

WORDS = ("zero", "one", "two")


def several(seen: Seen, order: tuple[int, ...] = (0, 1, 2), changes: Mapping[int, Any] | None = None) -> dict[str, Any]:
    """Return a completion with choices in an order; changes replace whole choices by their index."""
    body = chat(seen, says("Hi"))
    body["choices"] = [
        (changes or {}).get(index, {**chat(seen, says(WORDS[index], "!"))["choices"][0], "index": index})
        for index in order
    ]
    return body


def pieces(seen: Seen, order: tuple[int, ...] = (0, 1, 2)) -> list[bytes]:
    """Return a stream whose chunks take turns."""
    streams = []
    for index in order:
        events = [json.loads(piece[6:]) for piece in chunks(seen, says(WORDS[index], "!"))[:-1]]
        for data in events:
            for choice in data["choices"]:
                choice["index"] = index
        streams.append(events)
    taking_turns = [data for row in itertools.zip_longest(*streams) for data in row if data is not None]
    with_choices = [data for data in taking_turns if data["choices"]]
    usage = [data for data in taking_turns if not data["choices"]][:1]
    return [*map(event, [*with_choices, *usage]), b"data: [DONE]\n\n"]


def ask(server: ChatServer, settings: dict[str, Any], **options: Any) -> APIResponse:
    client = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2, **settings, **options)
    return client.process_prompts_sync(["Hello?"], show_progress=False)[0]


def texts(response: APIResponse) -> list[str | None]:
    return [choice.completion for choice in response.choices]


@pytest.mark.parametrize("settings", [{"n": 3}, {"extra_body": {"n": 3}}, {"extra_body": {"n": "3"}}], ids=str)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_all_answers_are_kept_in_order_of_their_index(
    server: ChatServer, settings: dict[str, Any], order: tuple[int, ...]
) -> None:
    server.answer = lambda seen, number: Reply(several(seen, order))
    response = ask(server, settings)
    assert server.seen[0].body["n"] in (3, "3")
    assert texts(response) == ["zero!", "one!", "two!"]
    assert response.choices[0] is response
    for choice in response.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.text == choice.completion
        assert (choice.finish_reason, choice.note, len(choice.choices)) == (
            "stop",
            None,
            3 if choice is response else 1,
        )


def test_a_response_without_n_has_itself_as_its_only_choice(server: ChatServer) -> None:
    response = ask(server, {})
    assert "n" not in server.seen[0].body
    assert response.choices == (response,)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_a_stream_yields_the_first_answer_and_keeps_all(server: ChatServer, order: tuple[int, ...]) -> None:
    server.answer = lambda seen, number: Reply(pieces=pieces(seen, order))
    client = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2, n=3)
    stream = client.stream("Hello?")
    assert [token.text for token in stream] == ["zero", "!"]
    assert stream.response is not None
    assert texts(stream.response) == ["zero!", "one!", "two!"]
    assert all(choice.logprobs is not None and len(choice.logprobs) == 2 for choice in stream.response.choices)
    assert client.usage.answered == 1
    assert client.usage.completion_tokens == 2


def test_a_stream_for_a_plain_request_is_read_with_all_its_answers(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(pieces=pieces(seen))
    assert texts(ask(server, {"n": 3})) == ["zero!", "one!", "two!"]


@pytest.mark.parametrize("failed", range(3))
@pytest.mark.parametrize("choice", [{"index": 1, "finish_reason": "stop"}, None, 7, "text"], ids=str)
def test_a_choice_that_cannot_be_read_does_not_cost_the_others(
    server: ChatServer, failed: int, choice: Any, tmp_path: Path
) -> None:
    broken = {**choice, "index": failed} if isinstance(choice, dict) else choice
    server.answer = lambda seen, number: Reply(several(seen, changes={failed: broken}))
    client = LLMClient("gpt-4o-mini", n=3, cache=Cache(tmp_path / "answers.sqlite3"))
    (response,) = client.process_prompts_sync(["Hello?"], show_progress=False)
    assert [choice.is_error for choice in response.choices] == [index == failed for index in range(3)]
    assert [text for text in texts(response) if text] == [f"{word}!" for word in WORDS if word != WORDS[failed]]
    assert response.choices[failed].error_message
    assert client.usage.prompt_tokens == 9
    client.process_prompts_sync(["Hello?"], show_progress=False)
    assert len(server.seen) == 2  # what failed is asked again


def test_a_reply_without_any_readable_choice_is_a_failure(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(several(seen, changes={0: 1, 1: 2, 2: 3}))
    response = ask(server, {"n": 3}, max_attempts=1)
    assert response.is_error
    assert response.choices == (response,)


FAILED = {"finish_reason": "error"}
REPORTED = {"finish_reason": "stop", "error": {"code": 400, "message": "gone"}}


@pytest.mark.parametrize("failures", [(FAILED,) * 3, (REPORTED,) * 3, ({"message": None}, FAILED, REPORTED)], ids=str)
def test_choices_that_fail_at_once_keep_their_texts(server: ChatServer, failures: tuple[dict[str, Any], ...]) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = several(seen)
        for choice, failure in zip(body["choices"], failures, strict=True):
            choice |= failure
        return Reply(body)

    server.answer = answer
    response = ask(server, {"n": 3}, max_attempts=1)
    assert all(choice.is_error for choice in response.choices)
    assert texts(response) == [None if "message" in failures[0] else "zero!", "one!", "two!"]


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_answers_than_asked_for_are_noted(server: ChatServer, count: int) -> None:
    server.answer = lambda seen, number: Reply(several(seen, tuple(range(count))))
    response = ask(server, {"n": 3})
    assert len(response.choices) == count
    assert response.note == f"3 answers were asked for, and {count} came"


def test_the_request_is_counted_once(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(several(seen))
    client = LLMClient("gpt-4o-mini", n=3)
    (response,) = client.process_prompts_sync(["Hello?"], show_progress=False)
    assert (client.usage.answered, client.usage.prompt_tokens, client.usage.completion_tokens) == (1, 9, 1)
    assert [choice.output_tokens for choice in response.choices] == [1, None, None]
    assert isinstance(client.usage, Usage)


def test_all_answers_return_from_the_cache(server: ChatServer, tmp_path: Path) -> None:
    server.answer = lambda seen, number: Reply(several(seen))
    cache = Cache(tmp_path / "answers.sqlite3")
    first, second = (ask(server, {"n": 3}, cache=cache) for _ in range(2))
    assert len(server.seen) == 1
    assert texts(second) == texts(first) == ["zero!", "one!", "two!"]
    assert [choice.logprobs for choice in second.choices] == [choice.logprobs for choice in first.choices]
    ask(server, {"n": 2}, cache=cache)
    assert len(server.seen) == 2


def test_all_answers_return_from_json(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(several(seen))
    response = ask(server, {"n": 3})
    copy = APIResponse.from_dict(json.loads(json.dumps(response.to_dict())))
    assert texts(copy) == ["zero!", "one!", "two!"]


def test_each_answer_is_parsed_by_the_schema(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        one, word = (chat(seen, says(text))["choices"][0] for text in ("1", "no"))
        return Reply(several(seen, changes={0: {**one, "index": 0}, 1: {**word, "index": 1}}))

    server.answer = answer
    client = LLMClient("gpt-4o-mini", n=3)
    (response,) = client.process_prompts_sync(["Hello?"], show_progress=False, output_schema=int)
    assert [choice.parsed for choice in response.choices] == [1, None, None]
    assert "does not fit output_schema" in (response.choices[1].note or "")


@pytest.mark.parametrize("settings", [{"n": 2}, {"extra_body": {"n": 2}}], ids=str)
@pytest.mark.parametrize("model", ["local", "claude-sonnet-4-5", "ollama/llama3.2", "cohere/command-a-03-2025"])
def test_a_server_without_several_answers_refuses_before_a_request(model: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"one answer per request, so n cannot be 2; .*\[prompt\] \* 2"):
        LLMClient(model, **settings)


def test_one_answer_may_be_asked_for_everywhere() -> None:
    assert LLMClient("local", n=1).sampling_params == [SamplingParams(n=1)]


@pytest.mark.parametrize("count", [0, -1, 129, 1.5, True, "3"])
def test_a_number_of_answers_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(SettingError, match="n must be an integer from 1 to 128"):
        SamplingParams(n=count)


def test_two_numbers_of_answers_are_refused() -> None:
    with pytest.raises(SettingError, match="n=3 contradicts n=2 in extra_body"):
        SamplingParams(n=3, extra_body={"n": 2})


def indexed(seen: Seen, *pairs: tuple[Any, str]) -> dict[str, Any]:
    """Return a completion whose choices have indices of any form; ``...`` is none."""
    body = chat(seen, says("Hi"))
    body["choices"] = [
        {**chat(seen, says(word))["choices"][0], "index": index} for index, word in pairs if index is not ...
    ] + [
        {name: item for name, item in chat(seen, says(word))["choices"][0].items() if name != "index"}
        for index, word in pairs
        if index is ...
    ]
    return body


@pytest.mark.parametrize(
    "pairs",
    [
        [("1", "b"), ("0", "a")],
        [(1.0, "b"), (0.0, "a")],
        [(1, "b"), (None, "a")],
        [(None, "a"), (None, "b")],
        [(..., "a"), (..., "b")],
        [(-1, "a"), (10**30, "b")],
        [(1, "b"), ([], "a")],
        [(0, "a"), (0, "b")],
    ],
    ids=str,
)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_odd_index_mixes_no_answers(server: ChatServer, pairs: list[tuple[Any, str]], streamed: bool) -> None:
    if not streamed:
        server.answer = lambda seen, number: Reply(indexed(seen, *pairs))
        assert texts(ask(server, {"n": 2})) == ["a", "b"]
        return
    if pairs[0][0] == pairs[1][0] == 0:
        return  # chunks of one answer

    def answer(seen: Seen, number: int) -> Reply:
        body = indexed(seen, *pairs)
        for choice in body["choices"]:
            choice["delta"] = choice.pop("message")
        return Reply(pieces=[event(body), b"data: [DONE]\n\n"])

    server.answer = answer
    stream = LLMClient("gpt-4o-mini", logprobs=True, n=2).stream("Hello?")
    assert "".join(token.text for token in stream) == "a"
    assert stream.response is not None
    assert texts(stream.response) == ["a", "b"]


def piece(*choices: str | tuple[Any, str], **fields: Any) -> dict[str, Any]:
    """Return a chunk; a choice is its text, with an index in front if it has one, and "." ends its answer."""
    entries = []
    for choice in choices:
        index, text = choice if isinstance(choice, tuple) else (None, choice)
        rows = (
            {"content": [{"token": text.strip("."), "logprob": -0.5, "top_logprobs": []}]} if text.strip(".") else None
        )
        entry = {
            "delta": {"content": text.strip(".")},
            "logprobs": rows,
            "finish_reason": "stop" if "." in text else None,
        }
        entries.append(entry if index is None else {"index": index, **entry})
    return {"choices": entries, **fields}


def ask_for_two(
    server: ChatServer, events: list[dict[str, Any]], streamed: bool, count: int = 2
) -> tuple[APIResponse, str]:
    """Return the response, and the text that was streamed."""
    server.answer = lambda seen, number: Reply(pieces=[*map(event, events), b"data: [DONE]\n\n"])
    if not streamed:
        client = LLMClient("gpt-4o-mini", logprobs=True, n=count)
        return client.process_prompts_sync(["Hello?"], show_progress=False)[0], ""
    text = ""
    stream = LLMClient("gpt-4o-mini", logprobs=True, n=count).stream("Hello?")
    with contextlib.suppress(RequestError):
        for token in stream:
            text += token.text
    assert stream.response is not None
    return stream.response, text


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "events",
    [
        [piece("a", "b"), piece("A", "B"), piece(".", ".")],
        [piece("a", "b"), piece("A.", "B"), piece(".")],
        [piece("a", "b."), piece("A.")],
        [piece("a", "b."), piece("A", ""), piece(".", "")],
        [piece("a"), piece((1, "b")), piece("A"), piece((1, "B.")), piece(".")],
        [piece((1, "b")), piece((1, "B.")), piece("a"), piece("A.")],
        [piece("a", (1, "b")), piece("A.", (1, "B."))],
        [piece((0, "a"), (0, "b")), piece((0, "A."), (0, "B."))],
        [piece(("1", "b")), piece((0.0, "a")), piece((1.0, "B.")), piece(("0", "A."))],
    ],
)
def test_choices_without_an_index_are_known_by_their_position(
    server: ChatServer, events: list[dict[str, Any]], streamed: bool
) -> None:
    response, text = ask_for_two(server, events, streamed)
    assert not response.is_error
    assert texts(response) in (["aA", "bB"], ["aA", "b"])
    assert [choice.logprobs and choice.logprobs.text for choice in response.choices] == texts(response)
    assert text in ("", response.completion)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "events",
    [
        [piece("a"), piece("b"), piece("A."), piece("B.")],
        [piece("a"), piece("A."), piece("b"), piece("B.")],
        [piece("a"), piece("b"), piece("A"), piece("B")],
        [piece("a"), piece("bA"), piece("B"), piece("."), piece(".")],
        [
            piece("a"),
            piece("b"),
            piece(".", usage={"completion_tokens": 2}),
            piece(".", usage={"completion_tokens": 4}),
        ],
        [piece("a"), piece("b", "A"), piece("B."), piece(".")],
        [piece((0, "a")), piece("A"), piece("b"), piece(".")],
        [piece((0, "a")), piece((0, "A.")), piece((0, "b")), piece((0, "B."))],
        [piece((0, "a")), piece((0, "b")), piece((0, ".")), piece((0, "."))],
    ],
)
def test_a_stream_that_may_mix_answers_fails_and_keeps_its_text(
    server: ChatServer, events: list[dict[str, Any]], streamed: bool
) -> None:
    response, text = ask_for_two(server, events, streamed)
    failed = [choice for choice in response.choices if choice.is_error]
    assert failed
    for choice in failed:
        assert "which of 2 answers" in (choice.error_message or "")
        assert "ask with n=1" in (choice.error_message or "")
        assert choice.logprobs is None
    sent = "".join(choice["delta"]["content"] for data in events for choice in data["choices"])
    assert sorted("".join(text or "" for text in texts(response))) == sorted(sent)
    assert text == "" or not response.is_error  # nothing is streamed that may be of another answer
    assert len(server.seen) == 1  # another attempt would be paid for, and give the same


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "events",
    [
        [piece("a"), piece("A"), piece(".")],
        [piece("a"), piece("A."), piece("")],
        [piece((0, "a")), piece((0, "A.")), piece((0, "."), usage={"completion_tokens": 2})],
        [piece((0, "a")), piece((0, "A.")), piece((0, ""), usage=None)],
    ],
)
def test_a_server_that_streams_one_answer_in_place_of_two_is_believed(
    server: ChatServer, events: list[dict[str, Any]], streamed: bool
) -> None:
    response, text = ask_for_two(server, events, streamed)
    assert (response.completion, response.note) == ("aA", "2 answers were asked for, and 1 came")
    assert response.logprobs is not None
    assert response.logprobs.text == "aA"
    assert text == ("aA" if streamed else "")


@pytest.mark.parametrize("odd", [b"NaN", b'"\\ud800"', b'"\xff"', b"Infinity"], ids=str)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_that_is_not_quite_json_costs_no_answer(server: ChatServer, odd: bytes, streamed: bool) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if streamed:
            return Reply(pieces=[piece.replace(b'"m"', odd) for piece in with_fields(pieces(seen))])
        return Reply(json.dumps({**several(seen), "odd": "m"}).encode().replace(b'"m"', odd))

    def with_fields(events: list[bytes]) -> list[bytes]:
        return [piece.replace(b"data: {", b'data: {"odd": "m", ') for piece in events]

    server.answer = answer
    if not streamed:
        assert texts(ask(server, {"n": 3})) == ["zero!", "one!", "two!"]
        return
    stream = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2, n=3).stream("Hello?")
    assert "".join(token.text for token in stream) == "zero!"
    assert stream.response is not None
    assert texts(stream.response) == ["zero!", "one!", "two!"]


@pytest.mark.parametrize("failed", [0, 1])
def test_a_choice_that_fails_in_a_stream_keeps_the_server_s_reason(server: ChatServer, failed: int) -> None:
    def chunk(index: int, text: str, **fields: Any) -> bytes:
        return event({"choices": [{"index": index, "delta": {"content": text}, **fields}]})

    gone = chunk(failed, "", finish_reason="error", error={"code": 502, "message": "gone"})
    end = chunk(1 - failed, "", finish_reason="stop")
    server.answer = lambda seen, number: Reply(pieces=[chunk(0, "a"), chunk(1, "b"), gone, end, b"data: [DONE]\n\n"])
    stream = LLMClient("gpt-4o-mini", n=2).stream("Hello?")
    if failed:
        list(stream)
    else:
        with pytest.raises(RequestError, match="gone"):
            list(stream)
    assert stream.response is not None
    assert texts(stream.response) == ["a", "b"]
    choice = stream.response.choices[failed]
    assert (choice.is_error, choice.status_code) == (True, 502)
    assert not stream.response.choices[1 - failed].is_error


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (event({"message": "gone", "code": 502}), "gone"),
        (event({"error": {"code": 502, "message": "gone"}}), "gone"),
        (b"data: {broken\n\n", "no JSON"),
        (b"", "ended before the answer did"),
    ],
    ids=["message", "error", "no JSON", "cut"],
)
@pytest.mark.parametrize("whole", [0, 1, None])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_end_of_a_stream_costs_no_answer_that_had_ended(
    server: ChatServer, streamed: bool, whole: int | None, ending: bytes, reason: str
) -> None:
    starts = [piece((0, "a")), piece((1, "b")), *([piece((whole, "."))] if whole is not None else [])]
    server.answer = lambda seen, number: Reply(pieces=[*map(event, starts), ending])
    client = LLMClient("gpt-4o-mini", n=2, max_attempts=1)
    if streamed:
        stream = client.stream("Hello?")
        with contextlib.suppress(RequestError, MalformedResponseError):
            assert "".join(token.text for token in stream) == "a"
            assert whole == 0
        response = stream.response
    else:
        response = client.process_prompts_sync(["Hello?"], show_progress=False)[0]
    assert response is not None
    assert response.completion == "a"
    for index, choice in enumerate(response.choices):
        assert choice.is_error == (index != whole)
        assert reason in (choice.error_message or "") or index == whole
    if streamed or whole is not None:
        assert texts(response) == ["a", "b"]


@pytest.mark.parametrize("failure", [event({"error": {"code": 503}}), b'{"error": {"code": 503}}'], ids=str)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_for_several_answers_is_tried_again(server: ChatServer, streamed: bool, failure: bytes) -> None:
    server.answer = lambda seen, number: Reply(pieces=[failure] if not number else pieces(seen))
    client = LLMClient("gpt-4o-mini", n=3, max_attempts=2)
    stream = client.stream("Hello?") if streamed else None
    text = None if stream is None else "".join(token.text for token in stream)
    response = client.process_prompts_sync(["?"], show_progress=False)[0] if stream is None else stream.response
    assert response is not None
    assert (texts(response), text) == (["zero!", "one!", "two!"], "zero!" if streamed else None)
    assert len(server.seen) == 2


def test_a_failed_choice_with_an_ordinary_end_is_not_cached(server: ChatServer, tmp_path: Path) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = several(seen)
        body["choices"][1]["error"] = {"code": 502, "message": "gone"}
        return Reply(body)

    server.answer = answer
    for _ in range(2):
        response = ask(server, {"n": 3}, cache=Cache(tmp_path / "c"))
        assert [choice.is_error for choice in response.choices] == [False, True, False]
    assert len(server.seen) == 2


@pytest.mark.parametrize("form", ["json", "stream"])
@pytest.mark.parametrize("streamed", [False, True])
def test_gemini_s_candidates_are_kept_in_every_form(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, form: str, streamed: bool
) -> None:
    monkeypatch.setenv("VERTEX_API_KEY", "vertex-0123456789")
    monkeypatch.setenv("VERTEX_BASE_URL", server.url)

    def candidate(index: int, text: str, reason: str | None) -> dict[str, Any]:
        rows = [{"token": text, "logProbability": -0.5}] if text else []
        content = {"role": "model", "parts": [{"text": text}] if text else []}
        return {
            "index": index,
            "content": content,
            "finishReason": reason,
            "logprobsResult": {"chosenCandidates": rows},
        }

    whole = {"candidates": [candidate(1, "b", "STOP"), candidate(0, "a", "STOP")]}
    events = [
        {"candidates": [candidate(1, "b", None)]},
        {"candidates": [candidate(0, "a", None)]},
        {"candidates": [candidate(1, "", "STOP"), candidate(0, "", "STOP")]},
    ]
    server.answer = lambda seen, number: Reply(whole) if form == "json" else Reply(pieces=list(map(event, events)))
    client = LLMClient("vertex/gemini-2.5-flash", logprobs=True, n=2)
    if streamed:
        stream = client.stream("Hello?")
        assert "".join(token.text for token in stream) == "a"
        response = stream.response
    else:
        (response,) = client.process_prompts_sync(["Hello?"], show_progress=False)
    assert response is not None
    assert texts(response) == ["a", "b"]
    assert [choice.logprobs.tokens for choice in response.choices if choice.logprobs is not None] == [["a"], ["b"]]
