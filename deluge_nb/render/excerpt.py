"""How much of a table is shown, and the checks that all that show one share."""

from __future__ import annotations

import math

from ..errors import SettingError
from ..logprobs.measures import mask_censored
from ..logprobs.table import Logprobs
from ..text.glyphs import label
from .scale import COLOR_BY, percent

# How many alternatives a tooltip names.
_TITLED = 3


def truncate(table: Logprobs, limit: int | None) -> tuple[Logprobs, int]:
    """The first tokens of a table, and how many more it has."""
    if limit is not None and limit < 0:
        raise SettingError(f"limit must be a number of tokens from 0, not {limit!r}.", setting="limit", value=limit)
    if limit is None or len(table) <= limit:
        return table, 0
    return table[:limit], len(table) - limit


def count_omitted(rest: int) -> str:
    """What is said of tokens that are not shown; nothing where there are none."""
    return f"… {rest} more token{'s' * (rest != 1)}" if rest else ""


def check_color_by(color_by: object) -> None:
    """Raise a :class:`SettingError` when no colour can say that."""
    if color_by not in COLOR_BY:
        raise SettingError(
            f"color_by must be one of {', '.join(COLOR_BY)}, not {color_by!r}.", setting="color_by", value=color_by
        )


class AlternativeLabels:
    """What a table weighed at its positions, with each label written once."""

    def __init__(self, table: Logprobs) -> None:
        chosen, _, alternative, logprob, offsets = table.columns
        self._chosen, self._offsets = chosen.tolist(), offsets.tolist()
        self._alternative, self._logprob = alternative, mask_censored(logprob)
        self._vocabulary = table.vocabulary
        self._labels: dict[int, str] = {}

    def at(self, place: int) -> str:
        """The first alternatives at a position, without the chosen token."""
        chosen = self._chosen[place]
        span = slice(self._offsets[place], self._offsets[place + 1])
        found: list[str] = []
        for other, logprob in zip(self._alternative[span].tolist(), self._logprob[span].tolist(), strict=True):
            if other != chosen and self._vocabulary.true_bytes(other) != self._vocabulary.true_bytes(chosen):
                shown = "?" if math.isnan(logprob) else percent(math.exp(logprob))
                found.append(f"{self.label(other)} {shown}")
            if len(found) == _TITLED:
                break
        return ", ".join(found)

    def own(self, place: int) -> str:
        """The token itself."""
        return self.label(self._chosen[place])

    def label(self, index: int) -> str:
        """An entry of the vocabulary, as people read it."""
        if index not in self._labels:
            self._labels[index] = label(self._vocabulary.true_bytes(index))
        return self._labels[index]
