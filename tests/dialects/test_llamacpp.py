"""The embedded model's dialect: with recorded replies, and with a server that is only the rules of the real one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.dialects import llamacpp
from deluge_nb.dialects.base import Ask, Completion, Request
from deluge_nb.errors import MalformedResponseError
from deluge_nb.prompts import RawPrompt
from deluge_nb.tools import Tool, as_output_schema
from tests.dialects.llamacpp_cases import CASES, SYSTEM, ask, played, recording


def recorded_completion(name: str) -> Completion:
    return played(llamacpp.exchange(CASES[name]), recording(name))


def octets(found: Completion) -> list[bytes]:
    assert found.logprobs is not None
    return [bytes(entry["bytes"] or []) for entry in found.logprobs]


# Recorded replies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in CASES if name not in ("no log-probabilities", "a stop string inside a token")]
)
def test_the_bytes_of_a_table_are_those_of_the_text(name: str) -> None:
    found = recorded_completion(name)
    assert b"".join(octets(found)).decode("utf-8", "replace") == found.text


def test_a_chat_answer_has_a_row_for_each_token_and_none_for_its_end() -> None:
    found = recorded_completion("a chat answer")
    assert found.logprobs is not None
    assert found.logprobs.tokens == ["The", " capital", " of", " France", " is", " Paris", "."]
    assert {len(entry["top_logprobs"]) for entry in found.logprobs} == {3}
    assert found.logprobs.vocab_size == 49_152
    assert (found.finish_reason, found.model) == ("stop", "local")
    assert found.usage == {"prompt_tokens": 27, "completion_tokens": 8, "total_tokens": 35}


def test_the_body_is_kept_without_its_entries_and_gets_them_back() -> None:
    found = recorded_completion("a chat answer")
    assert found.logprobs is not None
    assert "completion_probabilities" not in found.raw
    assert found.raw["content"] == found.text
    assert llamacpp.with_entries(found.raw, list(found.logprobs))["completion_probabilities"] == found.logprobs


def test_without_log_probabilities_there_is_no_table() -> None:
    assert recorded_completion("no log-probabilities").logprobs is None


def test_without_a_number_of_alternatives_there_are_none() -> None:
    found = recorded_completion("chosen tokens only")
    assert [entry["top_logprobs"] for entry in found.logprobs or ()] == [[], [], []]


def test_characters_of_several_tokens_have_a_row_for_each() -> None:
    found = recorded_completion("characters of several tokens")
    assert len(octets(found)) == 12
    assert found.logprobs is not None
    assert found.logprobs.tokens[0] == "\ufffd"


def test_a_character_that_the_limit_cuts_off_has_rows_for_its_first_tokens() -> None:
    found = recorded_completion("emoji, the last cut off")
    pieces = octets(found)
    assert len(pieces) == 9
    assert b"".join(pieces[:3]).decode() == "🐢"
    with pytest.raises(UnicodeDecodeError):
        b"".join(pieces).decode()
    assert all(len(entry["top_logprobs"]) == 1 for entry in found.logprobs or ())


def test_a_stop_string_is_neither_in_the_text_nor_in_the_table() -> None:
    found = recorded_completion("a stop string")
    assert found.logprobs is not None
    assert found.logprobs.text == found.text == " The capital of France is Paris"
    assert found.finish_reason == "stop"


def test_a_token_that_reaches_into_a_stop_string_has_no_row() -> None:
    found = recorded_completion("a stop string inside a token")
    assert found.text == " Pa"
    assert found.logprobs == []


def test_a_given_text_is_scored_token_by_token() -> None:
    found = recorded_completion("a given text")
    assert found.logprobs is not None
    assert found.logprobs.tokens == [" Paris", "."]
    # The distribution is the one before each token, whatever was drawn.
    likeliest = [entry["top_logprobs"][0]["logprob"] for entry in found.logprobs]
    assert found.logprobs.logprob.tolist() == likeliest
    assert found.usage == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_a_space_at_the_end_of_raw_text_moves_to_the_continuation() -> None:
    spaced, plain = recorded_completion("a given text after a space"), recorded_completion("a given text")
    assert spaced.text == plain.text == " Paris."
    assert spaced.logprobs is not None
    assert plain.logprobs is not None
    assert spaced.logprobs.total_logprob == plain.logprobs.total_logprob


def test_a_given_text_of_half_characters_is_scored_piece_by_piece() -> None:
    found = recorded_completion("a given text of half characters")
    assert octets(found)[-1] == b" x"
    assert b"".join(octets(found)) == " 🦆 x".encode()


def test_a_special_token_can_be_scored() -> None:
    found = recorded_completion("a given special token")
    assert octets(found) == [b"<|im_end|>"]
    assert found.logprobs is not None
    assert found.logprobs.total_logprob < -10


# What is sent ---------------------------------------------------------------------------------------------------------


def sent(asked: Ask) -> Mapping[str, Any]:
    """The body of the request for the completion."""
    request = next(llamacpp.exchange(asked))
    assert request.path == "/completion"
    assert request.body is not None
    return request.body


def test_raw_text_goes_as_it_is() -> None:
    assert sent(ask(RawPrompt("Once upon ")))["prompt"] == "Once upon "


def test_the_draw_is_from_the_whole_distribution_by_default() -> None:
    assert sent(ask(RawPrompt("x")))["samplers"] == ["temperature"]
    assert sent(ask(RawPrompt("x"), top_p=0.9))["samplers"] == ["temperature", "top_p"]
    assert sent(ask(RawPrompt("x"), presence_penalty=1))["samplers"] == ["penalties", "temperature"]


@pytest.mark.parametrize(("settings", "expected"), [({}, 1), ({"top_logprobs": 0}, 1), ({"top_logprobs": 7}, 7)])
def test_at_least_one_alternative_is_asked_for(settings: Any, expected: int) -> None:
    assert sent(ask(RawPrompt("x"), **settings))["n_probs"] == expected


def test_the_settings_have_the_server_s_names() -> None:
    body = sent(
        ask(
            RawPrompt("x"),
            temperature=0.5,
            seed=3,
            max_new_tokens=9,
            stop="\n",
            logit_bias={5: -100},
            extra_body={"cache_prompt": False},
        )
    )
    expected = {
        "temperature": 0.5,
        "seed": 3,
        "n_predict": 9,
        "stop": ["\n"],
        "logit_bias": [[5, -100]],
        "cache_prompt": False,
    }
    assert {name: body[name] for name in expected} == expected


def test_the_whole_vocabulary_is_asked_for_at_one_token_unless_more_are_wanted() -> None:
    body = sent(ask(RawPrompt("x"), full_vocab=True))
    assert body["n_predict"] == 1
    assert body["n_probs"] >= 49_152
    assert sent(ask(RawPrompt("x"), full_vocab=True, max_new_tokens=32))["n_predict"] == 32


def test_a_schema_is_the_server_s_to_keep() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    made = dataclasses.replace(ask(RawPrompt("x")), output_schema=as_output_schema(schema))
    assert sent(made)["json_schema"] == schema


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Hi", [("system", SYSTEM), ("user", "Hi")]),
        (
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
            [("system", "Be brief."), ("user", "Hi")],
        ),
        (
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well, "}],
            [("system", SYSTEM), ("user", "Hi"), ("assistant", "Well,")],
        ),
    ],
)
def test_messages_go_through_the_model_s_own_template(prompt: Any, expected: list[tuple[str, str]]) -> None:
    request = next(llamacpp.exchange(ask(prompt)))
    assert request.path == "/apply-template"
    assert request.body is not None
    assert [(message["role"], message["content"]) for message in request.body["messages"]] == expected


def test_tools_go_through_the_chat_route_and_still_have_log_probabilities() -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    made = ask("What is 1 + 2?")
    exchange = llamacpp.exchange(dataclasses.replace(made, tools=(Tool.from_function(add),)))
    request = next(exchange)
    assert request.path == "/v1/chat/completions"
    assert request.body is not None
    assert request.body["top_logprobs"] == 1
    assert request.body["tools"][0]["function"]["name"] == "add"
    content = [{"token": "3", "logprob": -0.5, "bytes": [51], "top_logprobs": []}]
    choice = {"message": {"content": "3"}, "finish_reason": "stop", "logprobs": {"content": content}}
    with pytest.raises(StopIteration) as end:
        exchange.send(json.dumps({"choices": [choice]}).encode())
    assert end.value.value.text == "3"
    assert end.value.value.logprobs == content


# Errors ---------------------------------------------------------------------------------------------------------------


def test_a_prompt_beyond_the_context_is_reported_with_both_numbers() -> None:
    body = {
        "error": {
            "code": 400,
            "message": "request (3001 tokens) exceeds the available context size (2048 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 3001,
            "n_ctx": 2048,
        }
    }
    found = llamacpp.parse_error(400, json.dumps(body).encode())
    assert "3001 tokens and the context holds 2048" in found.message
    assert found.body == body


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": null}', b'{"error": "no"}', b"\xff", b'{"error": {}}']
)
def test_no_body_of_an_error_raises(body: bytes) -> None:
    assert llamacpp.parse_error(500, body).message


def test_a_reply_without_a_text_names_the_field() -> None:
    exchange = llamacpp.exchange(ask(RawPrompt("x"), top_logprobs=1))
    next(exchange)
    with pytest.raises(MalformedResponseError) as found:
        respond(exchange.send, {})
    assert (found.value.dialect, found.value.field) == ("llamacpp", "content")


@pytest.mark.parametrize(
    ("reply", "note"),
    [
        ({"content": "a", "tokens": ["x"]}, "the server's tokens did not fit"),
        ({"content": "a", "completion_probabilities": [{}]}, "completion_probabilities[0].id"),
        (
            {"content": "a", "completion_probabilities": [{"id": 1, "bytes": [300]}]},
            "completion_probabilities[0].bytes",
        ),
        ({"content": "a", "tokens": [1], "completion_probabilities": [{"id": 2, "bytes": [97]}]}, "token 1"),
        ({"content": "a", "tokens": [], "completion_probabilities": [{"id": 2, "bytes": [97]}]}, "do not match"),
        ({"content": "a"}, "do not match"),
    ],
)
def test_a_table_that_does_not_fit_costs_itself_and_not_the_text(reply: Any, note: str) -> None:
    exchange = llamacpp.exchange(ask(RawPrompt("x"), top_logprobs=1))
    next(exchange)
    with pytest.raises(StopIteration) as found:
        respond(exchange.send, reply)
    completion: Completion = found.value.value
    assert (completion.text, completion.logprobs, completion.raw) == ("a", None, reply)
    assert note in "; ".join(completion.notes)


def respond(send: Callable[[bytes], Request], reply: Any) -> None:
    """Answer, and go on answering the questions for missing rows as a server would that knows nothing."""
    request = send(json.dumps(reply).encode())
    while True:
        answer = {"tokens": [{"id": 0, "piece": "x"}]} if request.path == "/tokenize" else {"content": ""}
        request = send(json.dumps(answer).encode())


# A server of rules ----------------------------------------------------------------------------------------------------

PIECES = [
    b"a",
    b" b",
    b"!",
    b"\n",
    *(bytes([byte]) for byte in "é🐢中".encode()),
    b"\xf0\x9f",
    b" \xe4\xb8",
    b"\xff",
    b"\xc0",
    b"x\xe4",
]
END = len(PIECES)


def weight(context: list[int], token: int) -> float:
    """A log-probability that depends on all that went before."""
    return -0.25 - (hash((*context, token)) % 997) / 100


class Machine:
    """The real server's rule, from its source: the tokens that get an entry, and their bytes."""

    def __init__(self, drawn: list[int], *, ended: bool) -> None:
        self.drawn = drawn
        self.ended = ended

    def distribution(self, context: list[int]) -> list[dict[str, Any]]:
        top = [
            {"id": token, "token": "?", "bytes": list(piece), "logprob": weight(context, token)}
            for token, piece in enumerate(PIECES)
        ]
        top.append({"id": END, "token": "", "bytes": [], "logprob": weight(context, END)})
        return sorted(top, key=lambda one: -one["logprob"])

    def reply(self, request: Request) -> bytes:
        assert request.body is not None
        if request.path == "/tokenize":
            return json.dumps({"tokens": [{"id": 0, "piece": request.body["content"]}]}).encode()
        if isinstance(request.body["prompt"], list):
            top = self.distribution(request.body["prompt"][1:])
            entries = [{"id": 0, "token": "a", "bytes": [97], "logprob": weight([], 0), "top_logprobs": top}]
            return json.dumps({"content": "a", "tokens": [0], "completion_probabilities": entries}).encode()
        return self.completion(request.body.get("stop", []), request.body["n_probs"])

    def completion(self, stops: list[str], width: int) -> bytes:
        """The loop of ``process_token``, and the trimming of ``send_final_response``."""
        text, sent, kind, stop_word = b"", 0, "limit", ""
        tokens: list[int] = []
        entries: list[dict[str, Any]] = []
        for position, token in enumerate([*self.drawn, *[END] * self.ended]):
            piece = PIECES[token] if token < END else b""
            text += piece
            tokens.append(token)
            if not cut(text):
                fresh = text[min(sent, len(text)) :]
                at, word = min(
                    ((fresh.find(stop.encode()), stop) for stop in stops if stop.encode() in fresh), default=(-1, "")
                )
                said = b""
                if at >= 0:
                    text = text[: sent + at]
                    kind, stop_word = "word", word
                    said = text[min(sent, len(text)) :]
                elif token == END or not any(held(fresh, stop.encode()) for stop in stops):
                    said = fresh
                sent += len(said)
                top = self.distribution(self.drawn[:position])[:width]
                entries.append(
                    {
                        "id": token,
                        "token": "?",
                        "bytes": list(said),
                        "logprob": weight(self.drawn[:position], token),
                        "top_logprobs": top,
                    }
                )
            if kind == "word":
                break
            if token == END:
                kind = "eos"
        if kind == "word":
            entries = entries[: max(0, len(entries) - len(stop_word))]
        return json.dumps(
            {
                "content": text.decode("utf-8", "replace"),
                "tokens": tokens,
                "completion_probabilities": entries,
                "stop_type": kind,
            }
        ).encode()


def cut(text: bytes) -> bool:
    """The server's own test for a character that is not complete."""
    for i in range(1, min(4, len(text)) + 1):
        byte = text[-i]
        if ((byte & 0xE0) == 0xC0 and i < 2) or ((byte & 0xF0) == 0xE0 and i < 3) or ((byte & 0xF8) == 0xF0 and i < 4):
            return True
    return False


def held(text: bytes, stop: bytes) -> bool:
    """Return whether the end of the text may be the beginning of a stop string."""
    return any(text.endswith(stop[:length]) for length in range(1, len(stop) + 1))


def test_the_distribution_after_a_text_needs_no_grammar_which_takes_longer_than_the_model() -> None:
    machine = Machine([], ended=False)
    asked = ask(RawPrompt("x"), full_vocab=True, max_new_tokens=1, continuation="")
    exchange = llamacpp.exchange(dataclasses.replace(asked, ends=True, vocab_size=END + 1))
    request = next(exchange)
    completion: Completion | None = None
    while completion is None:
        assert "grammar" not in (request.body or {})
        try:
            request = exchange.send(machine.reply(request))
        except StopIteration as end:
            completion = end.value
    assert completion.logprobs is not None
    (row,) = completion.logprobs
    assert len(row["top_logprobs"]) == END + 1


@given(
    st.lists(st.integers(0, END - 1), max_size=12),
    st.booleans(),
    st.lists(st.sampled_from(["a", "!!", "a!", "é", "\n\n", "🐢", " b"]), max_size=2, unique=True),
    st.integers(0, 20),
)
def test_every_drawn_token_has_its_own_row(drawn: list[int], ended: bool, stops: list[str], width: int) -> None:
    machine = Machine(drawn, ended=ended)
    exchange = llamacpp.exchange(ask(RawPrompt("x"), stop=stops, top_logprobs=width))
    request = next(exchange)
    stopped = json.loads(machine.reply(request))["stop_type"] == "word"
    while True:
        try:
            request = exchange.send(machine.reply(request))
        except StopIteration as end:
            found: Completion = end.value
            break
    assert found.logprobs is not None
    count = len(found.logprobs)
    assert octets(found) == [PIECES[token] for token in drawn[:count]]
    assert found.logprobs.logprob.tolist() == [weight(drawn[:position], drawn[position]) for position in range(count)]
    assert {len(entry["top_logprobs"]) for entry in found.logprobs} <= {min(width, END + 1)}
    assert found.text is not None
    texts = [b"".join(PIECES[token] for token in drawn[:length]) for length in range(len(drawn) + 1)]
    if stopped:  # as many tokens as fit
        fit = (length for length, text in enumerate(texts) if not cut(text) and found.text.startswith(shown(text)))
        assert count == max(fit)
    else:
        assert found.text == shown(texts[count])
        assert count == len(drawn)


def shown(text: bytes) -> str:
    return text.decode("utf-8", "replace")
