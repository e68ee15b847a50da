"""Find values in the bytes or the text of a reply without decoding it."""

from __future__ import annotations

import re

import numpy as np

from ...logprobs.columns import ReportedBytes
from ...logprobs.table import Logprobs

# The field of a token's bytes, with the beginning of its value if that is a list or null.
_BYTES_FIELD = re.compile(rb'"bytes"\s*:\s*(\[|null)?')

_BRACKET = ord("[")
# Bytes from which array operations are faster.
_LONG = 1 << 14


def reported_bytes(body: bytes, start: int, end: int, texts: list[str], lists: int) -> ReportedBytes:
    """Return how the tokens of a table report their bytes; False where they do so in different ways.

    Parameters
    ----------
    body, start, end
        JSON of the table.
    texts
        Text of each of its tokens.
    lists
        Number of its lists of alternatives.
    """
    first = _BYTES_FIELD.search(body, start, end)
    if first is None:
        return ...
    if first[1] is None:
        return False
    if first[1] == b"[" and end - start > _LONG:
        # Brackets of a table whose tokens all have a list of bytes. They are counted eight times faster than a word.
        brackets = np.count_nonzero(np.frombuffer(body, np.uint8, end - start, start) == _BRACKET)
        if brackets == 1 + lists + len(texts) + "".join(texts).count("["):
            return True
    if body.count(first[0], start, end) != len(texts):
        return False
    return None if first[1] == b"null" else True


def remove_value(body: bytes, part: bytes) -> bytes:
    """Replace one of a body's values by null.

    The value is searched by its first bytes: a search for a value nearly as long as the body costs more than parsing.
    """
    at = body.find(part[:256])
    while at >= 0 and not body.startswith(part, at):
        at = body.find(part[:256], at + 1)
    return body if at < 0 else b"%bnull%b" % (body[:at], body[at + len(part) :])


def strip_echo(text: str, prefill: str | None, table: Logprobs | None) -> str:
    """Remove the prefill, which some servers repeat, unless the log-probabilities cover it too."""
    if not prefill or not text.startswith(prefill):
        return text
    return text if table is not None and table.text == text else text[len(prefill) :]
