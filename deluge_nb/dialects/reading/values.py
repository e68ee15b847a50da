"""Find values in the bytes or the text of a reply without decoding it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ...logprobs.columns import ReportedBytes
from ...logprobs.table import Logprobs

# The field of a token's bytes, with the beginning of its value if that is a list or null.
_BYTES_FIELD = re.compile(rb'"bytes"\s*:\s*(\[|null)?')

# Bytes of a piece of a list; its objects take somewhat more, and fit the cache of a core.
_PIECE = 1 << 17
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


def pieces(data: bytes | memoryview, start: int, stop: int, between: re.Pattern[bytes]) -> Iterator[bytes]:
    """Yield the elements of a long JSON list in lists of some each.

    The objects that are decoded of such a list are still in the processor's cache when they are read, and those of the
    next one get their memory.

    Parameters
    ----------
    data, start, stop
        The elements.
    between
        Pattern of the place between two elements, whose first group is the comma. Where a text looks like it, the
        lists are no valid JSON.
    """
    while start < stop:
        cut = between.search(data, min(start + _PIECE, stop), stop)
        yield b"[%b]" % data[start : stop if cut is None else cut.start(1)]
        start = stop if cut is None else cut.end(1)


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
