"""The fast reader of a table gives what a plain one gives, whatever a server sends beside the texts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import SamplingParams
from deluge_nb.dialects import openai
from deluge_nb.dialects.base import Ask
from deluge_nb.dialects.reading import chat_table, values
from deluge_nb.logprobs.columns import Vocabulary
from deluge_nb.models.endpoints import LOCAL
from deluge_nb.prompts import as_prompt

TEXTS = [
    "a",
    " b",
    "é",
    "日本",
    "",
    "?",
    "\ufffd",
    "\\xf0",
    "<0xF0>",
    '"bytes": [',
    "[",
    ",",
    "👍",
    "\n",
    "bytes:\\xe2",
]
HIDING = {"", "?", "\ufffd", "\\xf0", "<0xF0>", "bytes:\\xe2"}
STYLES: list[dict[str, Any]] = [{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}]
LOGPROBS = st.sampled_from([-0.5, -1.0, 0, -0.0, -9999.0, None, -math.pi])


@st.composite
def entries(draw: st.DrawFn, *, uniform: bool) -> list[dict[str, Any]]:
    form = draw(st.sampled_from(["list", "null", "missing"]))

    def entry() -> dict[str, Any]:
        text = draw(st.sampled_from(TEXTS))
        made: dict[str, Any] = {"token": text, "logprob": draw(LOGPROBS)}
        kind = form if uniform else draw(st.sampled_from(["list", "null", "missing"]))
        if kind == "null":
            made["bytes"] = None
        if kind == "list":
            other = text in HIDING and draw(st.booleans())
            made["bytes"] = list(draw(st.sampled_from([b"\xf0\x9f", b"\x91", b""]))) if other else list(text.encode())
        return made

    tops = draw(st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=6))
    return [{**entry(), **({} if top is None else {"top_logprobs": [entry() for _ in range(top)]})} for top in tops]


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documented list that a reply's rows mean, without any cleverness."""
    read = []
    for row in rows:
        kept: list[dict[str, Any]] = []
        for other in row.get("top_logprobs") or []:
            if other not in kept:
                kept.append(other)
        read.append({"bytes": None, **row, "top_logprobs": kept})
    return read


def reply(rows: list[dict[str, Any]], **style: Any) -> bytes:
    table = {"content": rows, "refusal": None}
    choice = {"index": 0, "message": {"content": "x"}, "logprobs": table, "finish_reason": "stop"}
    return json.dumps({"choices": [choice]}, **style).encode()


def read(body: bytes, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    ask = Ask("m", LOCAL, as_prompt("x"), SamplingParams(logprobs=True, top_logprobs=3), vocabulary=vocabulary)
    table = openai.parse_response(body, ask).logprobs
    assert table is not None
    return [dict(entry) for entry in table]


@pytest.mark.parametrize("uniform", [True, False])
@given(data=st.data())
def test_replies_that_share_a_vocabulary_read_as_each_does_alone(data: st.DataObject, uniform: bool) -> None:
    style = data.draw(st.sampled_from(STYLES))
    vocabulary = Vocabulary()
    for rows in data.draw(st.lists(entries(uniform=uniform), min_size=1, max_size=4)):
        assert read(reply(rows, **style), vocabulary) == plain(rows)
    tokens = [vocabulary.entry(index) for index in range(len(vocabulary))]
    assert len(set(tokens)) == len(tokens)
    texts = [text for text, _, _ in tokens]
    assert vocabulary.text_groups.tolist() == [texts.index(text) for text in texts]
    assert vocabulary.has_duplicate_texts == (len(set(texts)) < len(texts))


def test_a_token_that_was_added_alone_is_the_same_in_a_reply() -> None:
    vocabulary = Vocabulary()
    index = vocabulary.add("a", b"a")
    assert list(vocabulary.add_texts(["b", "a", "b"], True)) == [1, index, 1]
    assert vocabulary.add("b", b"b") == 1
    assert vocabulary.add("a", None) == vocabulary.add_texts(["a"], None)[0] == 2


def test_bytes_that_do_not_spell_a_text_give_way_to_it() -> None:
    rows: list[dict[str, Any]] = [{"token": "Yes", "logprob": -0.1, "bytes": [78, 111], "top_logprobs": []}]
    assert read(reply(rows), Vocabulary()) == [{**rows[0], "bytes": [89, 101, 115]}]


@pytest.mark.parametrize("broken", ["\ud83d", "a\ud83d"])
def test_a_lone_surrogate_is_replaced(broken: str) -> None:
    rows: list[dict[str, Any]] = [{"token": broken, "logprob": -0.1, "bytes": [240, 159], "top_logprobs": []}]
    assert read(reply(rows), Vocabulary()) == [{**rows[0], "token": broken.replace("\ud83d", "\ufffd")}]


@given(data=st.data(), uniform=st.booleans(), size=st.integers(1, 400))
def test_a_table_that_is_read_in_pieces_is_the_same(data: st.DataObject, uniform: bool, size: int) -> None:
    style = data.draw(st.sampled_from(STYLES))
    rows = data.draw(entries(uniform=uniform)) + data.draw(entries(uniform=uniform))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_table, "_LONG", 0)
        patch.setattr(values, "_PIECE", size)
        assert read(reply(rows, **style), Vocabulary()) == plain(rows)


def test_a_text_that_looks_like_the_end_of_a_row_is_not_cut() -> None:
    rows: list[dict[str, Any]] = [
        {"token": "}]}, {", "logprob": -0.1, "bytes": None, "top_logprobs": [{"token": "}]},", "logprob": -0.1}]}
    ] * 9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_table, "_LONG", 0)
        patch.setattr(values, "_PIECE", 1)
        assert read(reply(rows), Vocabulary()) == rows


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_brackets_in_texts_are_no_lists_of_bytes(missing: int) -> None:
    rows: list[dict[str, Any]] = [
        {"token": "[" * missing, "logprob": -0.1, "bytes": [91] * missing, "top_logprobs": []} for _ in range(400)
    ]
    for row in rows[1 : 1 + missing]:
        row["bytes"] = None
    assert read(reply(rows), Vocabulary()) == rows
