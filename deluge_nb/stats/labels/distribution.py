"""Probability mass on a set of answers: settled on one of them, still open, or on none.

:mod:`deluge_nb.text.matching` decides what a text says of the answers; this module adds up the probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...text.matching import Labels, Reading
from ..core.records import Result

LabelSet = Mapping[str, Sequence[str]] | Sequence[str]
"""A set of answers: a list, or a dict from each answer to its spellings."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelDistribution(Result):
    """The probabilities of a set of answers.

    ``lower`` is the probability settled on each answer; ``upper`` adds everything that may still become it.
    ``attributed`` is the part between them on texts that can become this answer only, or that are the answer with an
    ending in a script without spaces. The
    probability of all tokens is divided into five parts that add up to 1: ``matched_mass`` is the sum of ``lower``,
    ``partial_mass`` is on tokens that only begin answers (or begin two of them), ``transparent_mass`` on white space
    and opening marks, ``other_mass`` on tokens that are none of the answers, and ``tail_mass`` is not listed.

    ``normalized`` is ``lower`` divided by its sum, with bounds of its own; all three are empty where nothing matched.
    ``entropy`` is its entropy in nats. ``certified`` is True where ``argmax`` beats every other answer, however the
    hidden probability is distributed. ``decided`` says the same of texts that are no answer yet: it is True where
    ``argmax`` wins even if all of ``other_mass`` ("The", "Sure", a reasoning tag) leads to one other answer.

    ``likeliest`` is the answer with the largest settled and attributed probability. It is None where there is none, and
    where open texts show that another answer is likelier, but not which ("1" of 1 and 10).
    """

    lower: dict[str, float]
    upper: dict[str, float]
    attributed: dict[str, float]
    matched_mass: float
    partial_mass: float
    transparent_mass: float
    other_mass: float
    tail_mass: float
    normalized: dict[str, float]
    entropy: float | None
    argmax: str | None
    likeliest: str | None
    normalized_lower: dict[str, float]
    normalized_upper: dict[str, float]
    certified: bool
    decided: bool


class LabelMass:
    """Probabilities collected for a set of answers, text by text.

    ``per_label`` holds the probabilities settled on each answer, ``partial`` those that several answers may still
    take, with the answers, ``transparent`` those of white space and marks, and ``other`` those of no answer.
    ``attributed`` holds the part of ``partial`` that counts for one answer, and ``refused`` the part of ``other`` that
    cannot become an answer, because the response ended.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.per_label: list[list[float]] = [[] for _ in labels.names]
        self.partial: list[tuple[frozenset[int], float]] = []
        self.transparent: list[float] = []
        self.other: list[float] = []
        self.attributed: list[list[float]] = [[] for _ in labels.names]
        self.ambiguous: dict[frozenset[int], list[float]] = {}
        self.refused: list[float] = []

    def add(self, reading: Reading, p: float, *, attribute_equal: bool = False) -> None:
        """Add the probability of a text; ``attribute_equal`` attributes a text that spells an answer to it."""
        if reading.label is not None:
            self.per_label[reading.label].append(p)
        elif reading.open is None:
            self.transparent.append(p)
        elif reading.open:
            self.partial.append((reading.open, p))
            answer = reading.equal if attribute_equal and reading.equal is not None else reading.attributed
            if answer is None:
                self.ambiguous.setdefault(reading.open, []).append(p)
            else:
                self.attributed[answer].append(p)
        else:
            self.other.append(p)
            if reading.ended:
                self.refused.append(p)

    def to_distribution(
        self, tail: float, tail_caps: Sequence[float], *, most_open: float | None = None, error: float = 0.0
    ) -> LabelDistribution:
        """Return the distribution, given the unlisted probability and the most of it that each answer can have.

        ``most_open`` is the most that the unlisted probability can be, as the numbers are rounded. If each of them may
        be off by ``error``, the collected probabilities are the least that they can be.
        """
        names, partial = self.labels.names, self.partial
        listed = tail_caps
        if error:
            # What rounding took from the listed tokens of an answer is in the tail, too, and is no unlisted token.
            growth = math.expm1(2 * error) * (1.0 - tail)
            listed = [cap + growth for cap in tail_caps]
        tail_mass, tail, tail_caps = tail, tail if most_open is None else most_open, listed
        lower = [math.fsum(parts) for parts in self.per_label]
        attributed = [math.fsum(parts) for parts in self.attributed]
        transparent = math.fsum(self.transparent)
        shared = transparent if len(names) > 1 else 0.0
        matched = math.fsum(lower)
        best = lower.index(max(lower)) if matched > 0 else None
        normalized, least, most, upper = (dict[str, float]() for _ in range(4))
        # One loop, because thousands of short answers are read.
        for index, (name, low) in enumerate(zip(names, lower, strict=True)):
            # Nearly always, no text is open.
            parts = [p for among, p in partial if index in among] if partial else ()
            own = math.fsum((min(tail, tail_caps[index]), transparent, *parts))
            upper[name] = min(low + own, 1.0)
            if best is None:
                continue
            # What several rivals of an answer may take counts once: they share it.
            unlisted = min(tail, math.fsum([*tail_caps[:index], *tail_caps[index + 1 :]]))
            parts = [p for among, p in partial if among - {index}] if partial else ()
            others = math.fsum((unlisted, shared, *parts))
            normalized[name] = low / matched
            least[name] = low / (matched + others)
            most[name] = (low + own) / (matched + own)
        rival = max([high for index, high in enumerate(upper.values()) if index != best], default=0.0)
        other, refused = math.fsum(self.other), math.fsum(self.refused)
        return LabelDistribution(
            lower=dict(zip(names, lower, strict=True)),
            upper=upper,
            attributed=dict(zip(names, attributed, strict=True)),
            matched_mass=matched,
            partial_mass=math.fsum([p for _, p in partial]),
            transparent_mass=transparent,
            other_mass=other,
            tail_mass=tail_mass,
            normalized=normalized,
            entropy=math.fsum([-p * math.log(p) for p in normalized.values() if p > 0]) + 0.0 if normalized else None,
            argmax=None if best is None else names[best],
            likeliest=self._likeliest([low + part for low, part in zip(lower, attributed, strict=True)]),
            normalized_lower=least,
            normalized_upper=most,
            certified=best is not None and lower[best] > rival,
            decided=best is not None and lower[best] > rival + other - refused,
        )

    def _likeliest(self, masses: list[float]) -> str | None:
        best = masses.index(max(masses))
        # One of the answers that share a mass has at least the mean of it.
        means = [math.fsum(parts) / len(among) for among, parts in self.ambiguous.items()] if self.ambiguous else ()
        shared = max(means, default=0.0)
        return self.labels.names[best] if masses[best] > 0 and masses[best] >= shared else None
