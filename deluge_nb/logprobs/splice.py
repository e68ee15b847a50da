"""Tables of log-probabilities put together: the rows before a token, another token there, the rows of what followed."""

from __future__ import annotations

import math
import operator

import numpy as np

from ..errors import SettingError
from .columns import RawBytes
from .table import Logprobs


def with_alternative(table: Logprobs, position: int, place: int, *, ends: bool = False) -> Logprobs:
    """The rows before a position, and the row there with another of its alternatives chosen.

    Parameters
    ----------
    table
        The rows.
    position, place
        Which row, and which of its alternatives.
    ends
        Whether the alternative ends the answer: it is then no part of the text.
    """
    first = table[: position + 1].compact()
    chosen, logprob, alternative, others, offsets = first.columns
    chosen, logprob, alternative = chosen.copy(), logprob.copy(), alternative.copy()
    index, value = alternative[offsets[position] + place], others[offsets[position] + place]
    if ends and first.vocabulary.true_bytes(int(index)):
        text, _, token_id = first.vocabulary.entry(int(index))
        silent = first.vocabulary.add(text, b"", token_id)
        alternative[offsets[position] + place] = index = silent
    chosen[position], logprob[position] = index, value
    return Logprobs(first.vocabulary, chosen, logprob, alternative, others, offsets, vocab_size=table.vocab_size)


def concatenate(before: Logprobs, after: Logprobs) -> Logprobs:
    """The rows of two tables, one after the other, over a vocabulary of their own."""
    first, second = before.compact(), after.compact()
    vocabulary = first.vocabulary
    moved = np.array(
        [vocabulary.add(*second.vocabulary.entry(index)) for index in range(len(second.vocabulary))], np.int32
    )
    mine, its = first.columns, second.columns
    return Logprobs(
        vocabulary,
        np.concatenate((mine[0], moved[its[0]])),
        np.concatenate((mine[1], its[1])),
        np.concatenate((mine[2], moved[its[2]])),
        np.concatenate((mine[3], its[3])),
        np.concatenate((mine[4], its[4][1:] + mine[4][-1])).astype(np.int32),
        vocab_size=before.vocab_size if before.vocab_size is not None else after.vocab_size,
    )


def locate_alternative(table: Logprobs, position: int, alternative: str | int) -> tuple[int, int]:
    """A position as it counts from 0, and the place of an alternative there that is given by its text or its place.

    Raises
    ------
    SettingError
        When there is no such row, or no such alternative in it.
    """
    try:
        at = operator.index(position)
    except TypeError:
        at = len(table)
    at += len(table) if at < 0 else 0
    if not 0 <= at < len(table):
        raise SettingError(
            f"position must be one of the {len(table)} tokens, counted from 0, not {position!r}.",
            setting="position",
            value=position,
        )
    top = table.top(at)
    texts = [one["token"] for one in top]
    if isinstance(alternative, str) and alternative in texts:
        return at, texts.index(alternative)
    if isinstance(alternative, int) and not isinstance(alternative, bool) and 0 <= alternative < len(texts):
        return at, alternative
    listed = ", ".join(map(repr, texts[:5])) + (", …" if len(texts) > 5 else "") if texts else "nothing"
    raise SettingError(
        f"alternative must be the text or the place of one that is listed at token {at}, which has {listed}; not "
        f"{alternative!r}.",
        setting="alternative",
        value=alternative,
    )


def alternative_logprob(table: Logprobs, position: int, place: int) -> float | None:
    """How probable an alternative was, in nats; None where that was not told."""
    value = float(table.top_logprob(position)[place])
    return None if math.isnan(value) else value


def alternative_at(table: Logprobs, position: int, place: int) -> tuple[str, RawBytes, int | None]:
    """An alternative's text, its bytes as they were told, and its id."""
    _, _, alternative, _, offsets = table[position : position + 1].columns
    return table.vocabulary.entry(int(alternative[int(offsets[0]) + place]))


def token_bytes(text: str, raw: RawBytes) -> bytes:
    """The bytes of a token: as they were told, else its text as UTF-8."""
    return raw if isinstance(raw, bytes) else text.encode()
