"""Odd optional fields, failures inside a 200, and tables that contradict themselves, in every dialect."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from deluge_nb.dialects.base import Ask, Completion, StreamReader, load
from deluge_nb.dialects.reading.answer import FailedAnswer
from deluge_nb.errors import MalformedResponseError
from deluge_nb.models.spec import Endpoint
from deluge_nb.prompts import Prompt
from deluge_nb.sampling import SamplingParams

ODD: list[Any] = [None, True, 0, -1.5, "x", [], {}, [None], [[]], {"x": None}, 10**30]
ENTRIES = [
    {
        "token": text,
        "logprob": -0.25,
        "bytes": list(text.encode()),
        "top_logprobs": [{"token": text, "logprob": -0.25, "bytes": list(text.encode())}],
    }
    for text in ("Os", "lo")
]
COLUMNS = {
    "tokens": ["Os", "lo"],
    "token_logprobs": [-0.25, -0.25],
    "top_logprobs": [{"Os": -0.25}, {"lo": -0.25}],
    "text_offset": [0, 2],
}
CANDIDATES = [{"token": text, "tokenId": 5, "logProbability": -0.25} for text in ("Os", "lo")]
COUNTS = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}}
BODIES: dict[str, Any] = {
    "openai": {
        "id": "1",
        "model": "m",
        "created": 1,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Oslo", "refusal": None, "tool_calls": None},
                "finish_reason": "stop",
                "logprobs": {"content": ENTRIES, "refusal": None},
            }
        ],
        "usage": COUNTS,
    },
    "completions": {
        "model": "m",
        "choices": [{"index": 0, "text": "Oslo", "finish_reason": "stop", "logprobs": COLUMNS}],
        "usage": COUNTS,
    },
    "responses": {
        "status": "completed",
        "model": "m",
        "incomplete_details": None,
        "output": [
            {"type": "reasoning", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Oslo", "annotations": [], "logprobs": ENTRIES}],
            },
        ],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    },
    "gemini": {
        "modelVersion": "m",
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "Oslo", "thought": False}]},
                "finishReason": "STOP",
                "avgLogprobs": -0.25,
                "logprobsResult": {
                    "chosenCandidates": [
                        {"token": text, "tokenId": 5, "logProbability": -0.25} for text in ("Os", "lo")
                    ],
                    "topCandidates": [
                        {"candidates": [{"token": text, "tokenId": 5, "logProbability": -0.25}]}
                        for text in ("Os", "lo")
                    ],
                },
            }
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    },
    "anthropic": {
        "model": "m",
        "role": "assistant",
        "content": [{"type": "text", "text": "Oslo"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 0},
    },
    "cohere": {
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Oslo"}], "tool_calls": None},
        "finish_reason": "COMPLETE",
        "logprobs": [{"text": "Oslo", "token_ids": [1, 2], "logprobs": [-0.25, -0.25]}],
        "usage": {"tokens": {"input_tokens": 3.0, "output_tokens": 2.0}, "billed_units": {"input_tokens": 3}},
    },
    "ollama": {
        "model": "m",
        "message": {"role": "assistant", "content": "Oslo", "tool_calls": None},
        "done": True,
        "done_reason": "stop",
        "logprobs": ENTRIES,
        "prompt_eval_count": 3,
        "eval_count": 2,
    },
}
Path = tuple[str | int, ...]


def asked(dialect: str, *, stream: bool = False) -> Ask:
    endpoint = Endpoint(name="x", label="x", base_url="http://x", dialect=dialect)
    prompt = Prompt(({"role": "user", "content": "Capital of Norway?"},))
    return Ask("m", endpoint, prompt, SamplingParams(logprobs=True, top_logprobs=1), stream=stream)


def read(dialect: str, body: Any) -> Completion:
    exchange = load(dialect).exchange(asked(dialect))
    next(exchange)
    with pytest.raises(StopIteration) as end:
        exchange.send(json.dumps(body).encode())
    completion: Completion = end.value.value
    return completion


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from paths(item, (*path, key))


def replaced(body: Any, path: Path, value: Any) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = copy.deepcopy(value)
    return changed


def holds_text(body: Any, path: Path) -> bool:
    """Return whether the answer itself is in or below a value: such a field is not optional."""
    value = body
    for key in path:
        value = value[key]
    in_table = any("logprobs" in str(key).lower() for key in path)
    return (not in_table and "Oslo" in json.dumps(value)) or (not in_table and path[-1] in ("text", "content"))


def below(value: Any, path: Path) -> Any:
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


OPTIONAL = [
    pytest.param(name, path, id=f"{name}-{'.'.join(map(str, path))}")
    for name, body in BODIES.items()
    for path in paths(body)
    if not holds_text(body, path)
]


@pytest.mark.parametrize(("dialect", "path"), OPTIONAL)
def test_an_odd_optional_field_costs_at_most_itself(dialect: str, path: Path) -> None:
    for value in ODD:
        if path[-1] in ("type", "thought") and isinstance(value, str | bool):
            continue  # another kind of part
        body = replaced(BODIES[dialect], path, value)
        completion = read(dialect, body)
        assert completion.text == "Oslo", value
        if completion.logprobs is not None:
            assert list(completion.logprobs) is not None
        assert all(isinstance(note, str) for note in completion.notes)


def test_the_good_bodies_are_read_whole() -> None:
    for dialect, body in BODIES.items():
        completion = read(dialect, body)
        assert (completion.text, completion.notes) == ("Oslo", ())
        assert completion.logprobs is None or completion.logprobs.logprob.tolist() == [-0.25, -0.25]
        assert completion.usage is not None
        assert completion.usage["completion_tokens"] == 2


# Streams --------------------------------------------------------------------------------------------------------------

CHAT_CHUNKS = [
    {
        "model": "m",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": entry["token"], "refusal": None},
                "finish_reason": None,
                "logprobs": {"content": [entry], "refusal": None},
            }
        ],
        "usage": None,
    }
    for entry in ENTRIES
]
STREAMS: dict[str, list[Any]] = {
    "openai": [
        *CHAT_CHUNKS,
        {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": COUNTS},
    ],
    "completions": [
        {
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "text": text,
                    "finish_reason": None if text == "Os" else "stop",
                    "logprobs": {"tokens": [text], "token_logprobs": [-0.25], "top_logprobs": [{text: -0.25}]},
                }
            ],
            "usage": COUNTS,
        }
        for text in ("Os", "lo")
    ],
    "gemini": [
        {
            **BODIES["gemini"],
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": text}]},
                    "finishReason": None if text == "Os" else "STOP",
                    "logprobsResult": {"chosenCandidates": [{"token": text, "logProbability": -0.25}]},
                }
            ],
        }
        for text in ("Os", "lo")
    ],
    "anthropic": [
        {"type": "message_start", "message": {"model": "m", "content": [], "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Os"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ],
    "ollama": [
        {
            "model": "m",
            "message": {"role": "assistant", "content": entry["token"]},
            "done": entry is ENTRIES[1],
            "done_reason": "stop",
            "logprobs": [entry],
            "eval_count": 2,
        }
        for entry in ENTRIES
    ],
}
STREAMS["ollama"][0].pop("done_reason")


def stream_of(dialect: str, events: list[Any]) -> tuple[str, StreamReader, Any]:
    """Return the streamed text, the reader and the exchange, after all events."""
    exchange = load(dialect).exchange(asked(dialect, stream=True))
    reader = next(exchange).reader
    assert reader is not None
    lines = [json.dumps(event) for event in events]
    text = "".join(f"{line}\n" if dialect == "ollama" else f"data: {line}\n\n" for line in lines)
    deltas = [*reader.feed(text.encode()), *([] if reader.failure else reader.end())]
    return "".join(delta.text for delta in deltas), reader, exchange


def streamed(dialect: str, events: list[Any]) -> Completion:
    text, reader, exchange = stream_of(dialect, events)
    reader.check()
    with pytest.raises(StopIteration) as end:
        exchange.send(reader.body())
    completion: Completion = end.value.value
    assert text == completion.text
    return completion


CHUNK_PATHS = [
    pytest.param(name, number, path, id=f"{name}-{number}-{'.'.join(map(str, path))}")
    for name, events in STREAMS.items()
    for number, event in enumerate(events)
    for path in paths(event)
    if not any(text in json.dumps(part) for part in [below(event, path)] for text in ("Os", "lo", "stop"))
    or "logprobs" in json.dumps(path).lower()
    if path[-1] not in ("text", "content", "delta", "choices", "type", "content_block") or len(path) > 3
    if not (path[-1] == "choices" or path[-1] == "type")
]


@pytest.mark.parametrize(("dialect", "number", "path"), CHUNK_PATHS)
def test_an_odd_field_of_a_chunk_costs_at_most_itself(dialect: str, number: int, path: Path) -> None:
    for value in ODD:
        if path[-1] == "done" and value is True:
            continue  # the end of the answer
        events = copy.deepcopy(STREAMS[dialect])
        events[number] = replaced(events[number], path, value)
        assert streamed(dialect, events).text == "Oslo", value


@pytest.mark.parametrize(
    "content",
    [
        ["Os", "lo"],
        {"type": "text", "text": "Oslo"},
        [{"type": "text", "text": {"value": "Oslo", "annotations": []}}],
        [{"type": "markdown", "text": "Oslo"}],
        [{"text": "Os"}, None, "lo"],
        [{"type": "text", "text": "Oslo"}, {"type": "citation", "text": "a source"}],
    ],
)
def test_a_content_of_any_shape_is_read(content: Any) -> None:
    for dialect, path in (("openai", ("choices", 0, "message", "content")), ("cohere", ("message", "content"))):
        assert read(dialect, replaced(BODIES[dialect], path, content)).text == "Oslo"
    events = [replaced(CHAT_CHUNKS[0], ("choices", 0, "delta", "content"), content), STREAMS["openai"][-1]]
    assert streamed("openai", events).text == "Oslo"


@pytest.mark.parametrize(
    ("dialect", "path", "content"),
    [
        *(
            (dialect, path, content)
            for dialect, path in (
                ("anthropic", ("content",)),
                ("gemini", ("candidates", 0, "content", "parts")),
                ("responses", ("output", 1, "content")),
                ("ollama", ("message", "content")),
            )
            for content in ("Oslo", ["Os", "lo"], {"text": "Oslo"})
        ),
        *(
            (dialect, path, [{"type": kind, "text": "Oslo"}])
            for dialect, path in (("anthropic", ("content",)), ("responses", ("output", 1, "content")))
            for kind in ("text", "output_text")
        ),
        ("ollama", ("message",), {"content": "", "response": "Oslo"}),
        ("responses", ("output",), []),
    ],
)
def test_a_content_of_other_apis_is_read(dialect: str, path: Path, content: Any) -> None:
    beside = {"response": "Oslo"} if dialect == "ollama" else {"output_text": "Oslo"}
    assert read(dialect, {**replaced(BODIES[dialect], path, content), **beside}).text == "Oslo"


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ("ollama", {"message": {"content": "Oslo", "reasoning_content": "hm"}}),
        ("ollama", {"message": {"content": [{"type": "thinking", "thinking": "hm"}, "Oslo"]}}),
        ("anthropic", {"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "Oslo"}]}),
        (
            "gemini",
            {"candidates": [{"content": {"parts": [{"text": "hm", "thought": "true"}, {"text": "Oslo"}]}}]},
        ),
        (
            "responses",
            {"output": [{"type": "reasoning", "content": "hm"}, {"type": "message", "content": "Oslo"}]},
        ),
    ],
)
def test_reasoning_in_the_form_of_other_apis_is_no_answer(dialect: str, message: dict[str, Any]) -> None:
    completion = read(dialect, {**BODIES[dialect], **message})
    assert (completion.text, completion.thinking) == ("Oslo", "hm")


@pytest.mark.parametrize("dialect", [name for name in BODIES if name != "cohere"])
@pytest.mark.parametrize("form", [str, float])
def test_counts_as_text_or_fractions_are_read(dialect: str, form: Any) -> None:
    def written(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: written(item) for key, item in value.items()}
        return form(value) if type(value) is int else value

    names = ("usage", "usageMetadata", "eval_count", "prompt_eval_count")
    body = {key: written(value) if key in names else value for key, value in BODIES[dialect].items()}
    completion = read(dialect, body)
    assert completion.usage is not None
    counts = [completion.usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    assert (counts, completion.notes) == ([3, 2, 5], ())
    assert all(type(count) is int for count in counts)


@pytest.mark.parametrize("lists", [[{"12": -0.25, "5": -3.0}, {"13": -0.25}], [{"13": -0.25}]], ids=["all", "fewer"])
def test_ids_in_place_of_tokens_have_their_alternatives(lists: list[Any]) -> None:
    table = {"tokens": [12, 13], "token_logprobs": ["-0.25", -0.25], "top_logprobs": lists}
    completion = column_table(table)
    assert completion.logprobs is not None
    assert [[top["token"] for top in row["top_logprobs"]] for row in completion.logprobs][-1] == ["token_id:13"]
    assert not any("add up" in note for note in completion.notes)
    assert "the server sent ids in place of the texts of tokens" in completion.notes


def test_a_text_that_is_no_text_is_no_empty_answer() -> None:
    body = replaced(BODIES["openai"], ("choices", 0, "message", "content"), [{"type": "text", "text": 5}])
    with pytest.raises(MalformedResponseError, match=r"content\[0\].text does not fit"):
        read("openai", body)


@pytest.mark.parametrize(("dialect", "other"), [("openai", "completions"), ("completions", "openai")])
def test_a_reply_of_the_other_api_is_read(dialect: str, other: str) -> None:
    completion = read(dialect, BODIES[other])
    assert (completion.text, completion.finish_reason) == ("Oslo", "stop")
    assert completion.logprobs is not None
    assert completion.logprobs.tokens == ["Os", "lo"]
    assert streamed(dialect, STREAMS[other]).logprobs == completion.logprobs


@pytest.mark.parametrize("dialect", ["openai", "completions"])
def test_a_stream_of_a_single_chunk_is_an_answer(dialect: str) -> None:
    entries = {"content": ENTRIES} if dialect == "openai" else COLUMNS
    part = {"delta": {"content": "Oslo"}} if dialect == "openai" else {"text": "Oslo"}
    body = {"model": "m", "choices": [{"index": 0, **part, "finish_reason": "stop", "logprobs": entries}]}
    completion = read(dialect, body)
    assert completion.text == "Oslo"
    assert completion.logprobs is not None
    assert json.loads(completion.raw) == body


# Failures -------------------------------------------------------------------------------------------------------------

FAILURES = [
    ("openai", ("choices", 0, "finish_reason"), "error"),
    ("openai", ("choices", 0, "finish_reason"), "network_error"),
    ("openai", ("error",), {"code": 429, "message": "slow down"}),
    ("openai", ("choices", 0, "error"), {"code": 502, "message": "gone"}),
    ("completions", ("choices", 0, "finish_reason"), "error"),
    ("completions", ("error",), {"code": "429", "message": "slow down"}),
    ("responses", ("error",), {"code": 502, "message": "gone"}),
    ("responses", ("status",), "cancelled"),
    ("gemini", ("error",), {"code": 503, "status": "UNAVAILABLE", "message": "busy"}),
    ("gemini", ("candidates", 0, "finishReason"), "ERROR"),
    ("anthropic", ("error",), {"type": "overloaded_error", "message": "busy"}),
    ("anthropic", ("stop_reason",), "error"),
    ("openai", ("choices", 0, "finish_reason"), "upstream_error"),
    ("openai", ("choices", 0, "finish_reason"), "Timed_Out"),
    ("cohere", ("finish_reason",), "ERROR"),
    ("cohere", ("finish_reason",), "ERROR_TOXIC"),
    ("ollama", ("error",), "gone"),
    ("ollama", ("done_reason",), "error"),
]


@pytest.mark.parametrize(("dialect", "path", "value"), FAILURES)
def test_a_failed_answer_is_an_error_that_keeps_its_text(dialect: str, path: Path, value: Any) -> None:
    body = replaced(BODIES[dialect], path, value)
    exchange = load(dialect).exchange(asked(dialect))
    next(exchange)
    again = exchange.send(json.dumps(body).encode())
    error = again.failure
    assert isinstance(error, FailedAnswer)
    assert error.completion is not None
    assert (error.completion.text, error.body) == ("Oslo", body)
    if isinstance(value, dict) and "code" in value:
        assert error.status_code == int(value["code"])
        assert value["message"] in str(error)


@pytest.mark.parametrize("value", [None, False, "", {}, []])
@pytest.mark.parametrize("dialect", BODIES)
def test_an_empty_error_is_none(dialect: str, value: Any) -> None:
    assert read(dialect, {**BODIES[dialect], "error": value}).text == "Oslo"


def test_a_stream_that_fails_gives_its_tokens_first() -> None:
    last = {"choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "error", "error": {"code": 502}}]}
    text, reader, _ = stream_of("openai", [*CHAT_CHUNKS, last])
    assert text == "Oslo!"
    with pytest.raises(FailedAnswer) as failed:
        reader.check()
    assert failed.value.status_code == 502


# Tables ---------------------------------------------------------------------------------------------------------------


def table_of(dialect: str, path: Path, table: Any) -> Completion:
    return read(dialect, replaced(BODIES[dialect], path, table))


chat_table = partial(table_of, "openai", ("choices", 0, "logprobs"))
column_table = partial(table_of, "completions", ("choices", 0, "logprobs"))


def test_a_repeated_alternative_counts_once_and_is_noted() -> None:
    top = [{"token": token, "logprob": logprob} for token, logprob in (("A", -0.5), ("A", -0.5), ("B", -1.2))]
    completion = chat_table({"content": [{"token": "A", "logprob": -0.5, "top_logprobs": top}]})
    assert completion.logprobs is not None
    assert completion.logprobs.top_counts.tolist() == [2]
    assert "listed some tokens twice" in "; ".join(completion.notes)


def test_one_list_for_all_tokens_is_noted_with_its_position_and_sum() -> None:
    top = [{"token": "Os", "logprob": math.log(0.73)}, {"token": "B", "logprob": math.log(0.27)}]
    rows = [{"token": token, "logprob": math.log(0.73), "top_logprobs": top} for token in ("Os", "lo")]
    assert "token 1 add up to 1.73" in "; ".join(chat_table({"content": rows}).notes)


def test_fewer_lists_than_tokens_are_never_shifted() -> None:
    completion = column_table({**COLUMNS, "top_logprobs": [{"lo": -0.25}]})
    assert completion.logprobs is not None
    assert completion.logprobs.top_counts.tolist() == [0, 1]
    assert completion.notes
    unknown = column_table({**COLUMNS, "top_logprobs": [{"x": -0.25}]})
    assert unknown.logprobs is not None
    assert unknown.logprobs.top_counts.tolist() == [0, 0]


@pytest.mark.parametrize("lists", [None, [], ...])
def test_a_chunk_without_alternatives_shifts_no_others(lists: Any) -> None:
    events = copy.deepcopy(STREAMS["completions"])
    table = events[0]["choices"][0]["logprobs"]
    if lists is ...:
        del table["top_logprobs"]
    else:
        table["top_logprobs"] = lists
    completion = streamed("completions", events)
    assert completion.logprobs is not None
    assert [len(row["top_logprobs"]) for row in completion.logprobs] == [0, 1]


@pytest.mark.parametrize("octets", [[], list(b"other")])
def test_a_token_s_text_wins_over_bytes_that_do_not_spell_it(octets: list[int]) -> None:
    rows = [{**ENTRIES[0], "bytes": octets}, ENTRIES[1]]
    completion = chat_table({"content": rows})
    assert completion.logprobs is not None
    assert completion.logprobs.text == "Oslo"


def test_numbers_as_text_dicts_of_alternatives_and_one_unknown_token_are_read() -> None:
    rows = [
        {"token": "Os", "logprob": "-0.25", "top_logprobs": {"Os": -0.25, "x": "-Infinity"}},
        {"token": None, "logprob": -0.5},
    ]
    completion = chat_table({"content": rows})
    assert completion.logprobs is not None
    assert (completion.logprobs.tokens, completion.logprobs.logprob.tolist()) == (["Os", "lo"], [-0.25, -0.5])
    assert completion.logprobs.top_counts.tolist() == [2, 0]


@pytest.mark.parametrize("table", [-0.003, [], "null", ["Os", "lo"]])
def test_a_value_that_is_no_table_costs_the_table(table: Any) -> None:
    completion = chat_table(table)
    assert (completion.text, completion.logprobs) == ("Oslo", None)
    assert "choices[0].logprobs" in "; ".join(completion.notes)
