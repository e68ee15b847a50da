"""Replace the token at a position by one of its alternatives, concatenate tables, and drop alternatives."""

from __future__ import annotations

import math
import operator

import numpy as np

from ..errors import SettingError
from .columns import RawBytes
from .rounding import coarser
from .table import Logprobs


def with_alternative(table: Logprobs, position: int, index: int, *, ends: bool = False) -> Logprobs:
    """Return the rows up to a position, with another alternative chosen in the last of them.

    Parameters
    ----------
    table
        Log-probabilities of a response.
    position, index
        Position of the row, and index of the alternative in its list.
    ends
        True if the alternative ends the answer, and is therefore not part of the text.

    Returns
    -------
    Logprobs
        ``position + 1`` rows over a vocabulary of their own.
    """
    rows = table[: position + 1].compact()
    chosen, logprob, alternative, alternative_logprob, offsets = rows.columns
    chosen, logprob, alternative = chosen.copy(), logprob.copy(), alternative.copy()
    entry = offsets[position] + index
    token = alternative[entry]
    if ends and rows.vocabulary.true_bytes(int(token)):
        text, _, token_id = rows.vocabulary.entry(int(token))
        alternative[entry] = token = rows.vocabulary.add(text, b"", token_id)
    chosen[position], logprob[position] = token, alternative_logprob[entry]
    columns = (chosen, logprob, alternative, alternative_logprob, offsets)
    return Logprobs(rows.vocabulary, *columns, vocab_size=table.vocab_size, rounding=table.rounding)


def concatenate(before: Logprobs, after: Logprobs) -> Logprobs:
    """Return the rows of two tables, one after the other, over a vocabulary of their own."""
    first, second = before.compact(), after.compact()
    vocabulary = first.vocabulary
    entries = map(second.vocabulary.entry, range(len(second.vocabulary)))
    new_index = np.array([vocabulary.add(*entry) for entry in entries], np.int32)
    left, right = first.columns, second.columns
    return Logprobs(
        vocabulary,
        np.concatenate((left[0], new_index[right[0]])),
        np.concatenate((left[1], right[1])),
        np.concatenate((left[2], new_index[right[2]])),
        np.concatenate((left[3], right[3])),
        np.concatenate((left[4], right[4][1:] + left[4][-1])).astype(np.int32),
        vocab_size=before.vocab_size if before.vocab_size is not None else after.vocab_size,
        rounding=coarser(before.rounding, after.rounding),
    )


def locate_alternative(table: Logprobs, position: int, alternative: str | int) -> tuple[int, int]:
    """Return a position counted from 0, and the index of an alternative in the list at that position.

    Parameters
    ----------
    table
        Log-probabilities of a response.
    position
        Position of a token; negative ones count from the end.
    alternative
        Text of an alternative there, or its index.

    Returns
    -------
    tuple of int
        Position and index.

    Raises
    ------
    SettingError
        When there is no such position, or no such alternative.
    """
    try:
        row = operator.index(position)
    except TypeError:
        row = len(table)
    row += len(table) if row < 0 else 0
    if not 0 <= row < len(table):
        tokens = "the only token" if len(table) == 1 else f"one of the {len(table)} tokens"
        raise SettingError(
            f"position must be that of {tokens}, counted from 0, not {position!r}.",
            setting="position",
            value=position,
        )
    texts = [entry["token"] for entry in table.top(row)]
    if isinstance(alternative, str) and alternative in texts:
        return row, texts.index(alternative)
    if isinstance(alternative, int) and not isinstance(alternative, bool) and 0 <= alternative < len(texts):
        return row, alternative
    listed = ", ".join(map(repr, texts[:5])) + (", …" if len(texts) > 5 else "") if texts else "nothing"
    raise SettingError(
        f"alternative must be the text or the index of one that is listed at token {row}, which has {listed}; not "
        f"{alternative!r}.",
        setting="alternative",
        value=alternative,
    )


def truncate_alternatives(table: Logprobs, most: int) -> Logprobs:
    """Return the table with at most ``most`` alternatives at each token: the likeliest, in their order."""
    chosen, logprob, alternative, alternative_logprob, offsets = table.columns
    counts = np.diff(offsets)
    if counts.max(initial=0) <= most:
        return table
    row = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-alternative_logprob, row))  # stable; NaN comes last
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(offsets[:-1], counts)
    kept = rank < most
    new_offsets = np.concatenate(([0], np.cumsum(np.minimum(counts, most)))).astype(np.int32)
    shorter = Logprobs(
        table.vocabulary,
        chosen,
        logprob,
        alternative[kept],
        alternative_logprob[kept],
        new_offsets,
        vocab_size=table.vocab_size,
        rounding=table.rounding,
        matches_text=table.matches_text,
    )
    return shorter.compact()


def alternative_logprob(table: Logprobs, position: int, index: int) -> float | None:
    """Return the log-probability (nats) of an alternative; None where it was withheld."""
    value = float(table.top_logprob(position)[index])
    return None if math.isnan(value) else value


def alternative_at(table: Logprobs, position: int, index: int) -> tuple[str, RawBytes, int | None]:
    """Return the text of an alternative, its bytes as the provider sent them, and its id."""
    _, _, alternative, _, offsets = table[position : position + 1].columns
    return table.vocabulary.entry(int(alternative[int(offsets[0]) + index]))


def token_bytes(text: str, raw: RawBytes) -> bytes:
    """Return the bytes of a token: the provider's where it sent them, else the text as UTF-8."""
    return raw if isinstance(raw, bytes) else text.encode()
