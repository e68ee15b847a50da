"""Truncate a table for display, and validate the arguments that all renderers share."""

from __future__ import annotations

import math

from ..errors import SettingError
from ..logprobs.measures import mask_censored
from ..logprobs.table import Logprobs
from ..text.counts import pluralize
from ..text.glyphs import short_label
from .scale import COLOR_BY, percent

# Alternatives in a tooltip.
_IN_TOOLTIP = 3


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


class AlternativeLabels:
    """Labels of the tokens of a table and of their alternatives, each computed once."""

    def __init__(self, table: Logprobs) -> None:
        chosen, _, alternative, logprob, offsets = table.columns
        self._chosen, self._offsets = chosen.tolist(), offsets.tolist()
        self._alternative, self._logprob = alternative, mask_censored(logprob)
        self._vocabulary = table.vocabulary
        self._labels: dict[int, str] = {}

    def alternatives(self, position: int) -> str:
        """Return the first alternatives at a position with their probabilities, without the chosen token."""
        chosen = self._chosen[position]
        rows = slice(self._offsets[position], self._offsets[position + 1])
        parts: list[str] = []
        for other, logprob in zip(self._alternative[rows].tolist(), self._logprob[rows].tolist(), strict=True):
            if other != chosen and self._vocabulary.true_bytes(other) != self._vocabulary.true_bytes(chosen):
                probability = "?" if math.isnan(logprob) else percent(math.exp(logprob))
                parts.append(f"{self.label(other)} {probability}")
            if len(parts) == _IN_TOOLTIP:
                break
        return ", ".join(parts)

    def chosen(self, position: int) -> str:
        """Return the label of the chosen token."""
        return self.label(self._chosen[position])

    def label(self, index: int) -> str:
        """Return the label of an entry of the vocabulary, cut where it is long."""
        if index not in self._labels:
            self._labels[index] = short_label(self._vocabulary.true_bytes(index))
        return self._labels[index]
