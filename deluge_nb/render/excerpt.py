"""Truncate a table for display, and validate the arguments that all renderers share."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..errors import SettingError, invalid_argument
from ..interop.before import known_before
from ..logprobs.measures import mask_censored
from ..logprobs.table import Logprobs
from ..printable import printable
from ..text.counts import pluralize
from ..text.glyphs import Fragment, short_label
from ..text.lines import can_break
from .scale import COLOR_BY, percent

# Alternatives in a tooltip.
_IN_TOOLTIP = 3
# Characters of the text before the tokens.
_BEFORE = 300
# Tokens up to which each has its percent beside it, and bars of a single token.
_FEW, MOST_BARS = 3, 5
NO_TOKEN = -1
"""The token of fragments that belong to none."""


def truncate(table: Logprobs, limit: int | None) -> tuple[Logprobs, int]:
    """Return the first tokens of a table, and the number of omitted ones.

    Raises
    ------
    SettingError
        When ``limit`` is negative.
    """
    check_limit(limit)
    if limit is None or len(table) <= limit:
        return table, 0
    return table[:limit], len(table) - limit


def check_limit(limit: int | None) -> None:
    """Raise a :class:`SettingError` if a number of tokens to show is negative."""
    if limit is not None and limit < 0:
        raise SettingError(f"limit must be a number of tokens from 0, not {limit!r}.", setting="limit", value=limit)


def count_omitted(rest: int) -> str:
    """Return a note with the number of omitted tokens; empty for 0."""
    return f"… {pluralize(rest, 'more token')}" if rest else ""


def check_color_by(color_by: object) -> None:
    """Raise a :class:`SettingError` unless a measure of this name can be shown as colour."""
    if color_by not in COLOR_BY:
        raise SettingError(
            f"color_by must be one of {', '.join(COLOR_BY)}, not {color_by!r}.", setting="color_by", value=color_by
        )


def check_before(before: Any, logprobs: Any) -> str:
    """Return the text before the tokens: the argument, or if that is None, what the response or table knows.

    Raises
    ------
    SettingError
        When the argument is neither a text nor None.
    """
    if before is None:
        return known_before(logprobs)
    if not isinstance(before, str):
        raise invalid_argument("before", before, "a text or None")
    return before


def draw_before(before: str) -> str:
    """Return the text before the tokens as it is drawn: its last 300 characters after an ellipsis.

    Examples
    --------
    >>> from deluge_nb.render.excerpt import draw_before
    >>> draw_before("The grass is always"), len(draw_before("long " * 1000))
    ('The grass is always', 301)
    """
    return printable(before if len(before) <= _BEFORE else f"…{before[-_BEFORE:]}")


def before_fragments(before: str) -> list[Fragment]:
    """Return the text before the tokens in the parts between which a line may end."""
    lines = draw_before(before).replace("\t", "    ").split("\n")
    parts: list[Fragment] = []
    for number, line in enumerate(lines):
        ends = [end for end in range(1, len(line)) if line[end] != " " and can_break(line[end - 1], line[end])]
        texts = [line[start:end] for start, end in zip([0, *ends], [*ends, len(line)], strict=True)]
        parts += [Fragment(NO_TOKEN, text, text) for text in texts if text]
        if number < len(lines) - 1:
            parts.append(Fragment(NO_TOKEN, "", "\n", breaks=True))
    return parts


class AlternativeLabels:
    """Labels of the tokens of a table and of their alternatives, each computed once."""

    def __init__(self, table: Logprobs) -> None:
        chosen, _, alternative, logprob, offsets = table.columns
        self._chosen, self._offsets = chosen.tolist(), offsets.tolist()
        self._alternative, self._logprob = alternative, mask_censored(logprob)
        self._vocabulary = table.vocabulary
        self._labels: dict[int, str] = {}

    def alternatives(self, position: int) -> str:
        """Return the likeliest alternatives at a position with their probabilities, without the chosen token."""
        chosen = self._chosen[position]
        rows = slice(self._offsets[position], self._offsets[position + 1])
        parts: list[str] = []
        listed = zip(self._alternative[rows].tolist(), self._logprob[rows].tolist(), strict=True)
        for other, logprob in sorted(listed, key=lambda row: math.inf if math.isnan(row[1]) else -row[1]):
            if other != chosen and self._vocabulary.true_bytes(other) != self._vocabulary.true_bytes(chosen):
                probability = "?" if math.isnan(logprob) else percent(math.exp(logprob))
                parts.append(f"{self.label(other)} {probability}")
            if len(parts) == _IN_TOOLTIP:
                break
        return ", ".join(parts)

    def likeliest(self, position: int) -> list[tuple[str, float, bool]]:
        """Return label, probability, and whether it was chosen, of the five likeliest tokens at a position."""
        rows = range(self._offsets[position], self._offsets[position + 1])
        known = [row for row in rows if not math.isnan(self._logprob[row])]
        best = sorted(known, key=lambda row: -self._logprob[row])[:MOST_BARS]
        others = [int(self._alternative[row]) for row in best]
        return [
            (self.label(other), math.exp(self._logprob[row]), other == self._chosen[position])
            for row, other in zip(best, others, strict=True)
        ]

    def chosen(self, position: int) -> str:
        """Return the label of the chosen token."""
        return self.label(self._chosen[position])

    def label(self, index: int) -> str:
        """Return the label of an entry of the vocabulary, cut where it is long."""
        if index not in self._labels:
            self._labels[index] = short_label(self._vocabulary.true_bytes(index))
        return self._labels[index]


class ShortAnswer(NamedTuple):
    """Numbers that stand around an answer of up to three tokens; none for longer ones.

    ``percents`` are beside its tokens. ``bars`` are the likeliest tokens in place of a single one: label, probability,
    and whether it was chosen.
    """

    percents: list[str]
    bars: list[tuple[str, float, bool]]


def short_answer(whole: Logprobs, shown: Logprobs) -> ShortAnswer:
    """Return the numbers that stand around a short answer, in every static form.

    Parameters
    ----------
    whole
        The answer.
    shown
        The tokens of it that are shown.
    """
    percents = [percent(probability) for probability in shown.prob.tolist()] if len(whole) <= _FEW else []
    bars = AlternativeLabels(shown).likeliest(0) if len(whole) == len(shown) == 1 else []
    return ShortAnswer(percents, bars)
