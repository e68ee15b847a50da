"""Probability mass on a set of labels: settled, undecided, or on no label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...text.matching import Labels, Reading
from ..core.records import Result

LabelSet = Mapping[str, Sequence[str]] | Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class LabelDistribution(Result):
    """The probabilities of a set of answers.

    ``lower`` is what is settled on each answer, ``upper`` adds all that may still become it. ``matched_mass`` is the
    sum of ``lower``; ``partial_mass`` stands at tokens that only begin answers (or that two answers begin with),
    ``transparent_mass`` at white space and opening marks, ``other_mass`` at tokens that are none of the answers,
    ``tail_mass`` is not listed: the five add up to 1. ``normalized`` is ``lower`` made to add up to 1, with its own
    bounds (empty where nothing matched), ``entropy`` its entropy in nats. ``certified`` says that ``argmax`` beats
    every other answer whatever is hidden.
    """

    lower: dict[str, float]
    upper: dict[str, float]
    matched_mass: float
    partial_mass: float
    transparent_mass: float
    other_mass: float
    tail_mass: float
    normalized: dict[str, float]
    entropy: float | None
    argmax: str | None
    normalized_lower: dict[str, float]
    normalized_upper: dict[str, float]
    certified: bool


class Tally:
    """Probability on its way to a set of answers."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.settled: list[list[float]] = [[] for _ in labels.names]
        self.open: list[tuple[frozenset[int], float]] = []
        self.anything: list[float] = []
        self.other: list[float] = []

    def add(self, reading: Reading, p: float) -> None:
        """Count a token."""
        if reading.label is not None:
            self.settled[reading.label].append(p)
        elif reading.open is None:
            self.anything.append(p)
        elif reading.open:
            self.open.append((reading.open, p))
        else:
            self.other.append(p)

    def settle(self, tail: float, tail_caps: Sequence[float]) -> LabelDistribution:
        """The distribution, given what is not listed and how much of it each answer can have."""
        names = self.labels.names
        lower = [math.fsum(parts) for parts in self.settled]
        transparent = math.fsum(self.anything)
        slack = [
            math.fsum([min(tail, cap), transparent, *(p for among, p in self.open if place in among)])
            for place, cap in enumerate(tail_caps)
        ]
        matched = math.fsum(lower)
        # Slack that an answer's rivals can take; what several of them can take counts once.
        rivals = [
            math.fsum(
                [
                    min(tail, math.fsum(cap for other, cap in enumerate(tail_caps) if other != place)),
                    transparent if len(names) > 1 else 0.0,
                    *(p for among, p in self.open if among - {place}),
                ]
            )
            for place in range(len(names))
        ]
        normalized: dict[str, float] = {}
        least: dict[str, float] = {}
        most: dict[str, float] = {}
        if matched > 0:
            normalized = {name: low / matched for name, low in zip(names, lower, strict=True)}
            least = {name: low / (matched + others) for name, low, others in zip(names, lower, rivals, strict=True)}
            most = {name: (low + own) / (matched + own) for name, low, own in zip(names, lower, slack, strict=True)}
        best = max(range(len(names)), key=lower.__getitem__) if matched > 0 else None
        upper = [min(low + own, 1.0) for low, own in zip(lower, slack, strict=True)]
        return LabelDistribution(
            lower=dict(zip(names, lower, strict=True)),
            upper=dict(zip(names, upper, strict=True)),
            matched_mass=matched,
            partial_mass=math.fsum(p for _, p in self.open),
            transparent_mass=transparent,
            other_mass=math.fsum(self.other),
            tail_mass=tail,
            normalized=normalized,
            entropy=math.fsum(-p * math.log(p) for p in normalized.values() if p > 0) + 0.0 if normalized else None,
            argmax=None if best is None else names[best],
            normalized_lower=least,
            normalized_upper=most,
            certified=best is not None and all(lower[best] > high for place, high in enumerate(upper) if place != best),
        )
