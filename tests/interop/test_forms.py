"""Tables are read from JSON text, HTTP responses, streams and their chunks, and from probabilities."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest

from deluge_nb import APIResponse, LLMClient, LogprobsMissingError, SettingError, as_logprobs
from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, says

ENTRIES = [{"token": text, "logprob": -0.25, "bytes": None, "top_logprobs": []} for text in ("Os", "lo")]
BODY = {"choices": [{"message": {"content": "Oslo"}, "finish_reason": "stop", "logprobs": {"content": ENTRIES}}]}
CANDIDATES = [{"token": text, "logProbability": -0.25} for text in ("Os", "lo")]
EVENTS = [{"type": "response.output_text.delta", "delta": entry["token"], "logprobs": [entry]} for entry in ENTRIES]
STREAMS: dict[str, list[Any]] = {
    "OpenAI's chat": [
        *({"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [entry]}}]} for entry in ENTRIES),
        {"choices": [], "usage": {}},
    ],
    "old completions": [
        {
            "object": "text_completion",
            "choices": [
                {"text": text, "finish_reason": end, "logprobs": {"tokens": [text], "token_logprobs": [-0.25]}}
            ],
        }
        for text, end in (("Os", None), ("lo", "stop"))
    ],
    "Responses, cut off": EVENTS,
    "Responses, whole": [
        EVENTS[0],
        {
            "type": "response.completed",
            "response": {"object": "response", "output": [{"content": [{"logprobs": ENTRIES}]}]},
        },
    ],
    "Google": [
        {"candidates": [{"finishReason": end, "logprobsResult": {"chosenCandidates": [candidate]}}]}
        for candidate, end in zip(CANDIDATES, (None, "STOP"), strict=True)
    ],
    "Ollama": [
        {"message": {"content": entry["token"]}, "done": entry is ENTRIES[1], "logprobs": [entry]} for entry in ENTRIES
    ],
    "llama.cpp": [
        {"content": entry["token"], "stop": entry is ENTRIES[1], "completion_probabilities": [entry]}
        for entry in ENTRIES
    ],
    "LangChain": [
        {"content": "Oslo", "response_metadata": {"logprobs": {"content": ENTRIES}}},
        {"content": "", "response_metadata": {"finish_reason": "stop"}},
    ],
}


def check(value: Any) -> None:
    table = as_logprobs(value)
    assert (table.tokens, table.logprob.tolist()) == (["Os", "lo"], [-0.25, -0.25])


@pytest.mark.parametrize("library", STREAMS)
def test_the_chunks_of_a_stream_are_read_as_one_answer(library: str) -> None:
    check(STREAMS[library])
    check(tuple(STREAMS[library]))


@pytest.mark.parametrize("library", STREAMS)
def test_a_stream_is_read_from_its_text(library: str) -> None:
    lines = [json.dumps(chunk) for chunk in STREAMS[library]]
    check("".join(f"{line}\n" for line in lines))
    check("".join(f": ping\r\nevent: x\r\ndata: {line}\r\n\r\n" for line in lines) + "data: [DONE]\n\n")
    check(b"\xef\xbb\xbf" + json.dumps(STREAMS[library]).encode())


@pytest.mark.parametrize(
    "value", [BODY, ENTRIES, {"logprobs": {"content": ENTRIES}}], ids=["body", "entries", "choice"]
)
def test_json_text_is_read_like_its_value(value: Any) -> None:
    check(json.dumps(value))
    check(json.dumps(value, indent=1).encode())


@pytest.mark.parametrize("text", ["", "Oslo", "3", '"text"', "null", "[" * 100_000, "data: x\n\n"], ids=repr)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="list of dicts, not str"):
        as_logprobs(text)


def test_an_http_response_is_read_by_its_json() -> None:
    class Reply:
        def json(self) -> Any:
            return BODY

    check(httpx.Response(200, json=BODY))
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in STREAMS["OpenAI's chat"])
    check(httpx.Response(200, text=lines))
    check(Reply())


def test_a_response_as_plain_json_is_read_with_its_choices() -> None:
    other = APIResponse("m", completion="x", logprobs=as_logprobs(ENTRIES[:1]))
    saved = APIResponse("m", completion="Oslo", logprobs=as_logprobs(BODY), _others=(other,)).to_dict()
    check(saved)
    check(json.dumps(saved))
    assert as_logprobs(saved, choice=1).tokens == ["Os"]
    with pytest.raises(SettingError, match="choice=2"):
        as_logprobs(saved, choice=2)


def test_a_stream_is_read_once_it_has_ended(server: ChatServer) -> None:
    waiting = True

    def answer(seen: Seen, number: int) -> Reply:
        pieces = chunks(seen, says("Os", "lo"))
        return Reply(pieces=pieces, held=lambda index: waiting and index == 2)

    server.answer = answer
    stream = LLMClient("gpt-4o-mini", logprobs=True).stream("?")
    next(stream)
    with pytest.raises(SettingError, match="not ended"):
        as_logprobs(stream)
    waiting = False
    list(stream)
    assert as_logprobs(stream).tokens == ["Os", "lo"]


@pytest.mark.parametrize("list_name", ["top_probs", "probs"])
def test_probabilities_of_llama_cpp_become_logarithms(list_name: str) -> None:
    others = [{"token": "Os", "prob": 0.5}, {"token": "X", "prob": 0.0}, {"token": "Y", "prob": "odd"}]
    entries = [{"token": "Os", "bytes": list(b"Os"), "prob": 0.5, list_name: others}]
    table = as_logprobs({"content": "Os", "completion_probabilities": entries})
    assert table.logprob.tolist() == [math.log(0.5)]
    assert [other["logprob"] for other in table[0]["top_logprobs"]][:2] == [math.log(0.5), -math.inf]
    assert as_logprobs({"choices": [{"logprobs": {"content": entries}}]}).logprob.tolist() == [math.log(0.5)]


def test_probabilities_of_older_llama_cpp_are_read() -> None:
    entries = [{"content": "Os", "probs": [{"tok_str": "X", "prob": 0.5}, {"tok_str": "Os", "prob": 0.25}]}]
    table = as_logprobs({"content": "Os", "completion_probabilities": entries})
    assert (table.tokens, table.logprob.tolist(), table.top_counts.tolist()) == (["Os"], [math.log(0.25)], [2])


def test_several_whole_responses_are_no_stream() -> None:
    with pytest.raises(SettingError, match="one response at a time"):
        as_logprobs([BODY, BODY])
    with pytest.raises(LogprobsMissingError):
        as_logprobs([{"message": {}, "logprobs": None, "done": False}, {"message": {}, "logprobs": None, "done": True}])


def test_chat_completions_are_read_from_a_dump(server: ChatServer) -> None:
    seen = Seen({"model": "m", "logprobs": True, "top_logprobs": 2}, {}, "")
    body = chat(seen, says("Os", "lo"))
    assert as_logprobs(json.dumps(body)) == as_logprobs(body)
