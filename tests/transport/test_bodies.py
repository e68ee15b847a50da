"""Replies in any form: what a server sends counts, not what its Content-Type says or what was asked for."""

from __future__ import annotations

import codecs
import gzip
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import APIResponse, LLMClient, MalformedResponseError, RequestError, SamplingParams
from deluge_nb.dialects.base import Ask, Completion, Request, load
from deluge_nb.dialects.reading.framing.halves import Halves
from deluge_nb.logprobs.columns import replace_surrogates
from deluge_nb.models import REGISTRY
from deluge_nb.prompts import as_prompt
from deluge_nb.transport.body.charsets import Transcoder, named_charset
from deluge_nb.transport.body.reading import as_document
from tests import fault_server
from tests.fault_server import FaultServer, Step, reply

TEXT = "Paris – sûr"
ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}
TYPES = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "text/plain",
    "application/octet-stream",
    None,
]


def openai_whole() -> dict[str, Any]:
    rows = [{"token": TEXT, "logprob": -0.25, "bytes": list(TEXT.encode()), "top_logprobs": []}]
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "logprobs": {"content": rows}, "finish_reason": "stop"}
    return {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}


def openai_chunks() -> list[dict[str, Any]]:
    rows: list[list[dict[str, Any]]] = [[{"token": part, "logprob": -0.25}] for part in (TEXT[:3], TEXT[3:])]
    chunks: list[dict[str, Any]] = [
        {"model": "m", "choices": [{"index": 0, "delta": {"content": row[0]["token"]}, "logprobs": {"content": row}}]}
        for row in rows
    ]
    last: dict[str, Any] = {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*chunks, last, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}]


WHOLE: dict[str, dict[str, Any]] = {
    "openai": openai_whole(),
    "completions": {"model": "m", "choices": [{"text": TEXT, "finish_reason": "stop"}]},
    "ollama": {"model": "m", "message": {"content": TEXT}, "done": True, "done_reason": "stop"},
    "gemini": {"candidates": [{"content": {"parts": [{"text": TEXT}]}, "finishReason": "STOP"}]},
    "anthropic": {"content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "model": "m"},
    "responses": {
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": TEXT}]}],
    },
}
CHUNKS: dict[str, list[dict[str, Any]]] = {
    "openai": openai_chunks(),
    "completions": [
        {"choices": [{"index": 0, "text": TEXT[:3]}]},
        {"choices": [{"index": 0, "text": TEXT[3:], "finish_reason": "stop"}]},
    ],
    "ollama": [
        {"message": {"content": TEXT[:3]}, "done": False},
        {"message": {"content": TEXT[3:]}, "done": False},
        {"message": {"content": ""}, "done": True, "done_reason": "stop"},
    ],
    "gemini": [
        {"candidates": [{"content": {"parts": [{"text": TEXT[:3]}]}}]},
        {"candidates": [{"content": {"parts": [{"text": TEXT[3:]}]}, "finishReason": "STOP"}]},
    ],
    "anthropic": [
        {"type": "message_start", "message": {"content": [], "model": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT[:3]}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT[3:]}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ],
    "responses": [
        {"type": "response.output_text.delta", "delta": TEXT[:3]},
        {"type": "response.output_text.delta", "delta": TEXT[3:]},
        {"type": "response.completed", "response": WHOLE["responses"]},
    ],
}


def dump(value: Any, **options: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, **options).encode()


def document(dialect: str, end: bytes = b"\n") -> bytes:
    return dump(WHOLE[dialect]) + end


def pretty(dialect: str, end: bytes = b"\n") -> bytes:
    return dump(WHOLE[dialect], indent=2).replace(b"\n", end) + end


def events(dialect: str, end: bytes = b"\n") -> bytes:
    parts = [b"data: " + dump(chunk) + end + end for chunk in CHUNKS[dialect]]
    return b"".join([*parts, b"data: [DONE]" + end + end])


def crowded(dialect: str, end: bytes = b"\n") -> bytes:
    """Return the events without the empty lines between them."""
    return b"".join(b"data: " + dump(chunk) + end for chunk in CHUNKS[dialect]) + b"data: [DONE]" + end


def lines(dialect: str, end: bytes = b"\n") -> bytes:
    return b"".join(dump(chunk) + end for chunk in CHUNKS[dialect])


FORMS = {"document": document, "pretty": pretty, "events": events, "crowded": crowded, "lines": lines}


def ask(dialect: str, *, stream: bool = False) -> Ask:
    endpoint = replace(REGISTRY.resolve("m", base_url="http://127.0.0.1:1/v1").endpoint, dialect=dialect)
    raw = dialect == "completions"
    prompt = as_prompt("Capital of France?")
    return Ask("m", endpoint, prompt, SamplingParams(logprobs=dialect in ("openai",)), stream=stream and not raw)


def first_request(asked: Ask) -> tuple[Any, Request]:
    exchange = load(asked.endpoint.dialect).exchange(asked)
    return exchange, next(exchange)


def completion_of(exchange: Any, body: bytes) -> Completion:
    try:
        exchange.send(body)
    except StopIteration as end:
        return end.value
    raise AssertionError("the exchange wanted more")


def read_at_once(dialect: str, body: bytes) -> Completion:
    exchange, request = first_request(ask(dialect))
    return completion_of(exchange, as_document(body, request.make_reader, None, dialect))


def read_in_pieces(dialect: str, pieces: list[bytes]) -> tuple[Completion, str]:
    """Return what a streamed request makes of the pieces, and the text that was shown on the way."""
    exchange, request = first_request(ask(dialect, stream=True))
    reader = request.reader or (request.make_reader() if request.make_reader is not None else None)
    assert reader is not None
    shown = [delta.text for piece in pieces for delta in reader.feed(piece)] + [delta.text for delta in reader.end()]
    return completion_of(exchange, reader.document or reader.body()), "".join(shown)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", WHOLE)
def test_a_plain_request_reads_every_form(dialect: str, form: str, end: str) -> None:
    completion = read_at_once(dialect, FORMS[form](dialect, ENDS[end]))
    assert completion.text == TEXT
    assert completion.finish_reason == "stop"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", WHOLE)
def test_a_stream_request_reads_every_form_cut_at_every_byte(dialect: str, form: str, end: str) -> None:
    body = FORMS[form](dialect, ENDS[end])
    for cut in range(len(body) + 1):
        completion, shown = read_in_pieces(dialect, [body[:cut], body[cut:]])
        assert completion.text == TEXT, cut
        assert shown in ("", TEXT), cut
    completion, shown = read_in_pieces(dialect, [bytes([byte]) for byte in body])
    assert completion.text == TEXT


@pytest.mark.parametrize("dialect", WHOLE)
def test_a_stream_shows_its_first_words_before_it_ends(dialect: str) -> None:
    form = lines if dialect == "ollama" else events
    body = form(dialect)
    _, request = first_request(ask(dialect, stream=True))
    reader = request.reader or (request.make_reader() if request.make_reader is not None else None)
    assert reader is not None
    first = body.index(TEXT[3:].encode())
    assert [delta.text for delta in reader.feed(body[:first])] == [TEXT[:3]]


# What servers and gateways put around an answer -----------------------------------------------------------------------

BEFORE = [
    b"",
    b"\xef\xbb\xbf",
    b"\n\n  ",
    b" \xef\xbb\xbf\n",
    b": OPENROUTER PROCESSING\n\n: more\n\n",
    b":\r\n\r\n",
    b")]}'\n",
    b")]}',\n",
    b"while(1);\n",
    b"\x1e",
    b"\0\0",
]
AFTER = [
    b"",
    b"\n\ndata: [DONE]\n\n",
    b"data: [DONE]",
    b"\n[DONE]",
    b"\n: bye\n\n",
    b"\r\n\r\ndata:[DONE]\r\n\r\n: bye\r\n",
    b"\n\0\0\0",
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", ["document", "pretty"])
@pytest.mark.parametrize(("before", "after"), list(itertools.product(BEFORE, AFTER)))
def test_a_document_is_read_whatever_stands_around_it(form: str, before: bytes, after: bytes, stream: bool) -> None:
    body = before + FORMS[form]("openai", b"\n").strip() + after
    if not stream:
        assert read_at_once("openai", body).text == TEXT
        return
    for cut in range(0, len(body), 7):
        completion, _ = read_in_pieces("openai", [body[:cut], body[cut:]])
        assert completion.text == TEXT, cut


PASSED_OVER = [
    b"data:\n\n",
    b"data: \n\n",
    b"event: ping\ndata:\n\n",
    b"event: ping\ndata: still here\n\n",
    b"event: heartbeat\ndata: {}\n\n",
    b"retry: 3000\ndata:\n\n",
    b"retry: 3000\n\n",
    b"id: 7\n\n",
    b": comment\n\n",
    b"\n\n\n",
    b"id: 7\nunknown: field\n\n",
    b"data\n\n",
    b"data: null\n\n",
    b'data: "still here"\n\n',
    b"data: 7\n\n",
    b"data: true\n\n",
    b"data: []\n\n",
    b"data: ping\n\n",
    b"event: message\ndata: Keep-Alive\n\n",
]


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("event", PASSED_OVER)
def test_an_event_that_says_nothing_is_passed_over(event: bytes, place: str) -> None:
    parts = events("openai").split(b"\n\n")[:-1]
    at = {"first": 0, "middle": 2, "last": len(parts) - 1}[place]
    body = b"".join([part + b"\n\n" for part in parts[:at]] + [event] + [part + b"\n\n" for part in parts[at:]])
    assert read_at_once("openai", body).text == TEXT
    assert read_in_pieces("openai", [body])[0].text == TEXT


@pytest.mark.parametrize(
    "behind", [b"Thank you for using us!", b"data: {broken\n\n", b"<html>", b'data: {"error": "x"}\n\n', b"\0" * 99]
)
def test_what_stands_behind_the_end_of_a_stream_is_not_read(behind: bytes) -> None:
    body = events("openai") + behind
    assert read_at_once("openai", body).text == TEXT
    for cut in range(0, len(body), 5):
        assert read_in_pieces("openai", [body[:cut], body[cut:]])[0].text == TEXT


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"message": "out of memory"}\n\n',
        b"event: error\ndata: out of memory\n\n",
        b'data: {"error": {"message": "out of memory"}}\n\n',
        b'{"error": "out of memory"}\n',
    ],
)
def test_an_error_in_the_middle_of_a_stream_is_an_error(event: bytes) -> None:
    first = events("openai").split(b"\n\n")[0] + b"\n\n"
    with pytest.raises(RequestError, match="out of memory"):
        read_at_once("openai", first + event)


@pytest.mark.parametrize("end", [b"[done]", b"[Done]", b"{broken", b"bye"])
def test_what_cannot_be_read_behind_the_finish_reason_costs_no_answer(end: bytes) -> None:
    body = events("openai").replace(b"[DONE]", end)
    assert read_at_once("openai", body).text == TEXT
    assert read_in_pieces("openai", [body])[0].text == TEXT


@pytest.mark.parametrize("chunk", [b"", b'data: {"choices": []}\n\n', b'data: {"usage": {"total_tokens": 1}}\n\n'])
@pytest.mark.parametrize("dialect", ["openai", "completions"])
def test_a_stream_without_a_choice_is_no_empty_answer(dialect: str, chunk: bytes) -> None:
    body = chunk + b"data: [DONE]\n\n"
    with pytest.raises(MalformedResponseError, match="without choices"):
        read_at_once(dialect, body)
    with pytest.raises(MalformedResponseError, match="without choices"):
        read_in_pieces(dialect, [body])


@pytest.mark.parametrize(("last", "text"), [("is", "Paris"), ("Par", "Par")])
def test_a_message_in_place_of_a_chunk_is_added_unless_it_repeats_the_text(last: str, text: str) -> None:
    first = {"choices": [{"index": 0, "delta": {"content": "Par"}}]}
    message = {"choices": [{"index": 0, "message": {"content": last}, "finish_reason": "stop"}]}
    body = b"".join(b"data: " + dump(chunk) + b"\n\n" for chunk in (first, message))
    assert read_at_once("openai", body).text == text


def test_a_whole_reply_in_one_event_is_read() -> None:
    body = b"data: " + dump(WHOLE["openai"]) + b"\n\ndata: [DONE]\n\n"
    assert read_at_once("openai", body).text == TEXT
    assert read_in_pieces("openai", [body])[0].text == TEXT


def test_an_array_of_events_is_read() -> None:
    for dialect in ("gemini", "openai"):
        body = dump(CHUNKS[dialect], indent=1)
        assert read_at_once(dialect, body).text == TEXT
        assert read_in_pieces(dialect, [body])[0].text == TEXT


# Other text around an answer ------------------------------------------------------------------------------------------

COMPACT = json.dumps(WHOLE["openai"], ensure_ascii=False).encode()
AMONG = {
    "a line of a log": b"INFO: model loaded\n%b",
    "a line with a time in brackets": b"[2026-11-29 10:00:00] model loaded\r\n%b\n",
    "several lines": b"Warning: deprecated\n\n  see the docs\n  %b",
    "a call": b"callback(%b);",
    "a call with a comment": b"/**/ window.answers.take1( %b )\n",
    "a line behind": b"%b\nThank you for using us! (free plan)\n",
    "lines on both sides": b"Loading...\n%b\nDone in 3 s.\n",
}


@pytest.mark.parametrize("form", ["document", "pretty"])
@pytest.mark.parametrize("name", AMONG)
def test_a_document_among_other_text_is_read(name: str, form: str) -> None:
    body = AMONG[name].replace(b"%b", FORMS[form]("openai", b"\n").strip())
    assert read_at_once("openai", body).text == TEXT
    for cut in range(0, len(body), 9):
        assert read_in_pieces("openai", [body[:cut], body[cut:]])[0].text == TEXT, cut


@pytest.mark.parametrize("before", [b"INFO: model loaded\n", b"Loading...\r\n\r\nevent: chunk\r\n"])
def test_a_stream_behind_lines_of_a_log_is_read(before: bytes) -> None:
    body = before + events("openai")
    assert read_at_once("openai", body).text == TEXT
    for cut in range(0, len(body), 5):
        assert read_in_pieces("openai", [body[:cut], body[cut:]])[0].text == TEXT, cut


@pytest.mark.parametrize(
    "body",
    [
        b"<html>\n" + COMPACT,
        b"INFO: " + COMPACT,
        b"not JSON\n" + COMPACT[:-9],
        b"one\n" + COMPACT + b"\ntwo\n" + COMPACT,
        b'[{"choices": []},\n' + COMPACT,
        b"[\n" + COMPACT,
        b"x" * 5000 + b"\n" + COMPACT,
        COMPACT + b"}",
        COMPACT + COMPACT,
        b"callback(" + COMPACT + b", " + COMPACT + b")",
    ],
    ids=lambda body: body[:9].decode() + f" {len(body)}",
)
def test_where_it_is_doubtful_which_text_is_the_answer_the_error_shows_the_beginning(body: bytes) -> None:
    with pytest.raises(MalformedResponseError) as refused:
        read_at_once("openai", body)
    assert repr(body[:20].decode())[1:-1] in str(refused.value)


# Characters in halves -------------------------------------------------------------------------------------------------

HALVES = ("\ud83d", "\ude00")


def halved(second: str) -> list[dict[str, Any]]:
    """Return chunks of a stream whose text and tokens are cut inside a character."""
    parts = ("Hi \ud83d", second)
    rows = [
        {
            "token": part,
            "logprob": -0.25 * number,
            "bytes": None,
            "top_logprobs": [{"token": part, "logprob": -1.0}],
        }
        for number, part in enumerate(parts, 1)
    ]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": part}, "logprobs": {"content": [row]}}]}
        for part, row in zip(parts, rows, strict=True)
    ]
    return [*chunks, {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}]


@pytest.mark.parametrize(
    ("second", "text", "tokens"),
    [
        ("\ude00", "Hi 😀", ["Hi ", "😀"]),
        ("\ude00!", "Hi 😀!", ["Hi ", "😀!"]),
        ("x", "Hi \ufffdx", ["Hi ", "\ufffdx"]),
    ],
    ids=["whole", "with more", "without the other half"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_character_that_is_cut_between_two_events_is_whole(
    second: str, text: str, tokens: list[str], stream: bool
) -> None:
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in halved(second))
    if stream:
        completion, shown = read_in_pieces("openai", [body])
        assert shown == text
    else:
        completion = read_at_once("openai", body)
    assert completion.text == text
    assert completion.logprobs is not None
    assert (completion.logprobs.tokens, completion.logprobs.text) == (tokens, text)
    assert [row["logprob"] for row in completion.logprobs] == [-0.25, -0.5]


def test_halves_of_different_choices_are_not_joined() -> None:
    halves, texts = Halves(), list[tuple[int, str]]()
    for index, part in [(0, "a\ud83d"), (1, "b\ud83d"), (1, ""), (1, "\ude01"), (0, "\ude00")]:
        event = {"choices": [{"index": index, "delta": {"content": part}}]}
        choice = json.loads(halves.join(json.dumps(event).encode()))["choices"][0]
        texts.append((choice["index"], choice["delta"]["content"]))
    assert texts == [(0, "a"), (1, "b"), (1, ""), (1, "😁"), (0, "😀")]


@given(st.text(st.characters(exclude_categories=())), st.lists(st.integers(1, 3), max_size=20))
def test_texts_are_the_same_however_their_units_are_cut(text: str, lengths: list[int]) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    halves, parts, at = Halves(), "", 0
    for length in (*lengths, len(units)):
        part = units[2 * at : 2 * (at + length)].decode("utf-16-le", "surrogatepass")
        event = halves.join(json.dumps({"message": {"content": part}, "done": False}).encode())
        parts += replace_surrogates(json.loads(event)["message"]["content"])
        at += length
    expected = replace_surrogates(text)
    assert parts == expected or parts + "\ufffd" == expected  # a half at the end


@pytest.mark.parametrize("octets", [None, [0xEF, 0xBF, 0xBD], [0xED, 0xA0, 0xBD], "own"])
def test_tokens_of_a_document_that_are_halves_spell_the_text(octets: Any) -> None:
    rows = [
        {"token": half, "logprob": -0.5, "bytes": list("😀".encode()[2 * number :][:2]) if octets == "own" else octets}
        for number, half in enumerate(HALVES)
    ]
    message = {"role": "assistant", "content": "😀"}
    body = {"choices": [{"message": message, "logprobs": {"content": rows}, "finish_reason": "stop"}]}
    completion = read_at_once("openai", json.dumps(body).encode())
    assert completion.text == "😀"
    assert completion.logprobs is not None
    assert completion.logprobs.text == "😀"
    assert len(completion.logprobs) == 2


# Through a server -----------------------------------------------------------------------------------------------------


@pytest.fixture
def faulty() -> Iterator[FaultServer]:
    with fault_server.running() as server:
        yield server


def answered(server: FaultServer, steps: list[Step], *, stream: bool, **options: Any) -> APIResponse:
    server.answer = lambda seen, number: steps
    client = LLMClient("m", base_url=server.url, logprobs=True, max_attempts=1, **options)
    try:
        if not stream:
            return client.process_prompts_sync(["?"], show_progress=False)[0]
        with client.stream("?") as streamed:
            text = "".join(token.text for token in streamed)
        assert streamed.response is not None
        assert text == streamed.response.completion
        return streamed.response
    finally:
        client.close()


ENCODINGS = {
    "utf-8 with its mark": (codecs.BOM_UTF8, "utf-8", None),
    "utf-16 little": (codecs.BOM_UTF16_LE, "utf-16-le", None),
    "utf-16 big": (codecs.BOM_UTF16_BE, "utf-16-be", None),
    "utf-32 little": (codecs.BOM_UTF32_LE, "utf-32-le", None),
    "utf-32 big": (codecs.BOM_UTF32_BE, "utf-32-be", None),
    "latin-1 that is named": (b"", "cp1252", "application/json; charset=windows-1252"),
    "UTF-8 that is named latin-1": (b"", "utf-8", 'text/plain; Charset="ISO-8859-1"; x=y'),
    "a charset that nobody knows": (b"", "utf-8", "application/json; charset=klingon"),
    "a codec that is none of texts": (b"", "utf-8", "application/json; charset=unicode_escape"),
}


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_a_body_in_another_encoding_is_read(faulty: FaultServer, name: str, stream: bool) -> None:
    mark, encoding, kind = ENCODINGS[name]
    for form, packed in itertools.product(("document", "events"), (False, True)):
        body = mark + FORMS[form]("openai", b"\n").decode().encode(encoding)
        steps = reply(gzip.compress(body), kind=kind, content_encoding="gzip") if packed else reply(body, kind=kind)
        response = answered(faulty, steps, stream=stream)
        assert (response.completion, response.error_message) == (TEXT, None), (form, packed)


@given(st.text(), st.sampled_from(sorted(ENCODINGS)), st.lists(st.integers(0, 30)))
def test_a_body_is_converted_however_it_is_cut(text: str, name: str, cuts: list[int]) -> None:
    mark, encoding, kind = ENCODINGS[name]
    text = "sûr " + text  # in an encoding of bytes, no UTF-8 by chance
    body = mark + text.encode(encoding, "ignore")
    transcoder, at, parts = Transcoder(body[:4], named_charset(kind)), 0, list[bytes]()
    for cut in (*cuts, len(body)):
        parts.append(transcoder.feed(body[at : at + cut]))
        at += cut
    parts.append(transcoder.feed(b"", final=True))
    assert b"".join(parts).decode().removeprefix("\ufeff") == text.encode(encoding, "ignore").decode(encoding)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("form", FORMS)
def test_any_content_type_is_as_good_as_another(faulty: FaultServer, form: str, stream: bool) -> None:
    for kind, end in itertools.product(TYPES, ENDS.values()):
        response = answered(faulty, reply(FORMS[form]("openai", end), kind=kind), stream=stream)
        assert response.completion == TEXT, (kind, end, response.error_message)
        assert response.logprobs is not None
        assert response.logprobs.text == TEXT


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("form", FORMS)
def test_a_body_that_a_gateway_has_unpacked_is_read(faulty: FaultServer, form: str, stream: bool) -> None:
    steps = reply(FORMS[form]("openai", b"\n"), content_encoding="gzip")
    assert answered(faulty, steps, stream=stream).completion == TEXT


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_reply_that_is_no_answer_names_its_content_type(faulty: FaultServer, stream: bool) -> None:
    faulty.answer = lambda seen, number: reply(b"<html>Welcome</html>", kind="text/html")
    client = LLMClient("m", base_url=faulty.url, max_attempts=1)
    if stream:
        streamed = client.stream("?")
        streamed.wait(10)
        streamed.close()
        message = streamed.response.error_message if streamed.response is not None else None
    else:
        message = client.process_prompts_sync(["?"], show_progress=False)[0].error_message
    client.close()
    assert message == "The server sent no JSON: '<html>Welcome</html>' (Content-Type: text/html)."
