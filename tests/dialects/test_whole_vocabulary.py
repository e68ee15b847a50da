"""A whole vocabulary read by ids and numbers is the one that is read with all its bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs, RawPrompt, SamplingParams, TokenLogprob
from deluge_nb.dialects.base import Ask
from deluge_nb.dialects.llamacpp import whole
from deluge_nb.dialects.llamacpp.replies import Row
from deluge_nb.dialects.llamacpp.rows import build_table
from deluge_nb.dialects.reading import values
from deluge_nb.models.endpoints import LOCAL
from deluge_nb.prompts import as_prompt

OCTETS = [b"a", b" b", b"\xf0", b"\x9f", b"?", b"}", b'"', b"", "é".encode(), b"[", *(b"t%d" % n for n in range(20))]


def ask(model: str) -> Ask:
    settings = SamplingParams(logprobs=True, full_vocab=True)
    return Ask(model, LOCAL, as_prompt(RawPrompt("x")), settings, vocab_size=len(OCTETS))


def body(order: list[int], numbers: list[float | None], octets: list[bytes] = OCTETS) -> bytes:
    top = [{"id": token, "logprob": numbers[token], "token": "?", "bytes": list(octets[token])} for token in order]
    entry = {**top[0], "top_logprobs": top}
    return json.dumps({"content": "a", "tokens": [order[0]], "completion_probabilities": [entry]}).encode()


def table(asked: Ask, reply: bytes) -> Logprobs:
    (entry,) = whole.read_reply(asked, reply).completion_probabilities
    return build_table(asked, [Row(entry.id, bytes(entry.bytes), entry.logprob, entry.top_logprobs)])


def tokens(row: TokenLogprob) -> list[Any]:
    return [[other["token"], other.get("bytes")] for other in row["top_logprobs"]]


numbers = st.lists(st.floats(-50, 0) | st.none(), min_size=len(OCTETS), max_size=len(OCTETS)).filter(any)
orders = st.permutations(range(len(OCTETS)))


@given(orders, numbers, st.integers(1, 2000))
def test_later_replies_give_the_same_table_as_a_first_one(
    order: list[int], found: list[float | None], size: int
) -> None:
    whole.forget()
    first = table(ask("m"), body(order, found))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "_PIECE", size)
        again = table(ask("m"), body(order, found))
    tables = (first, again)
    assert len({json.dumps([[row["token"], row["bytes"], *tokens(row)] for row in one]) for one in tables}) == 1
    assert again.token_ids == first.token_ids
    for ours, theirs in zip(again.columns[1::2], first.columns[1::2], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14, atol=1e-14)
    assert np.isclose(again.top_mass(), 1).all()


@given(orders, numbers)
def test_another_vocabulary_under_the_same_name_is_noticed(order: list[int], found: list[float | None]) -> None:
    whole.forget()
    table(ask("m"), body(order, found))
    others: list[Any] = [bytes(reversed(octets)) + b"!" for octets in OCTETS]
    assert table(ask("m"), body(order, found, others)).token_bytes == [others[order[0]]]
