"""Find the rows of a table that spell a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ....text.end_tokens import is_end_token
from ....text.spelling import find_tail

if TYPE_CHECKING:
    from ....logprobs.table import Logprobs


def first_row(table: Logprobs, text: str, stops: Iterable[str] = ()) -> int | None:
    """Return the first row of the shortest tail that spells a text; None if no tail does."""
    raw = table.vocabulary.raw
    octets = [raw[index] for index in table.chosen.tolist()]
    tokens = [
        (token, known if isinstance(known, bytes) else None) for token, known in zip(table.tokens, octets, strict=True)
    ]
    return find_tail(tokens, text, stops)


def spells(table: Logprobs, text: str) -> bool:
    """Return whether a table spells a text as tables normally do; cheap, because it runs for every answer."""
    texts = table.vocabulary.texts
    spelt = "".join([texts[index] for index in table.chosen.tolist()])
    if spelt == text:
        return True
    return (spelt.startswith(text) and is_end_token(spelt[len(text) :])) or table.text == text
