"""The probabilities of answers for many tokens or many responses at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import SettingError, invalid_argument
from ...logprobs import measures
from ...logprobs.columns import Floats, Vocabulary
from ...logprobs.table import Logprobs
from ...text.matching import Labels
from ..core.records import Result
from ..core.stacked import (
    Bools,
    Columns,
    Tables,
    invalid_lists,
    observe_columns,
    stack_tables,
    stored_columns,
    tables_of,
)
from ..core.validation import count
from ..labels.distribution import LabelDistribution, LabelSet


@dataclass(frozen=True, slots=True, eq=False)
class LabelDistributionBatch(Result):
    """As :class:`~deluge_nb.stats.labels.LabelDistribution` for n tokens: shape (n, len(labels)) or (n,).

    ``argmax`` is the number of a label, -1 where nothing matched; ``position`` the token that was looked at, -1 where
    there was none. NaN where nothing is known. An index gives the record of one.
    """

    labels: tuple[str, ...]
    position: NDArray[np.intp]
    lower: Floats
    upper: Floats
    matched_mass: Floats
    partial_mass: Floats
    transparent_mass: Floats
    other_mass: Floats
    tail_mass: Floats
    normalized: Floats
    entropy: Floats
    argmax: NDArray[np.intp]
    normalized_lower: Floats
    normalized_upper: Floats
    certified: Bools

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, index: int) -> LabelDistribution:
        best = int(self.argmax[index])

        def named(values: Floats) -> dict[str, float]:
            return dict(zip(self.labels, values[index].tolist(), strict=True))

        return LabelDistribution(
            lower=named(self.lower),
            upper=named(self.upper),
            matched_mass=float(self.matched_mass[index]),
            partial_mass=float(self.partial_mass[index]),
            transparent_mass=float(self.transparent_mass[index]),
            other_mass=float(self.other_mass[index]),
            tail_mass=float(self.tail_mass[index]),
            normalized=named(self.normalized) if best >= 0 else {},
            entropy=float(self.entropy[index]) if best >= 0 else None,
            argmax=self.labels[best] if best >= 0 else None,
            normalized_lower=named(self.normalized_lower) if best >= 0 else {},
            normalized_upper=named(self.normalized_upper) if best >= 0 else {},
            certified=bool(self.certified[index]),
        )

    def __iter__(self) -> Iterator[LabelDistribution]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class BinaryProbabilityBatch(Result):
    """As :class:`~deluge_nb.stats.labels.BinaryProbability` for n tokens, shape (n,); NaN in place of None."""

    position: NDArray[np.intp]
    p_lower: Floats
    p_upper: Floats
    p_normalized: Floats
    log_odds: Floats


def label_distribution_batch(
    logprobs: Tables,
    labels: LabelSet,
    *,
    position: int | None = None,
    forms_unseen: int | Mapping[str, int] | None = None,
    policy: str = "raise",
) -> LabelDistributionBatch:
    """The probabilities of answers, as :func:`~deluge_nb.stats.label_distribution` gives them for one token.

    Parameters
    ----------
    logprobs
        A table: every token of it is a row. Or responses, their tables, or lists of alternatives: one row for each.
    labels
        The answers, or a dict from each to its spellings.
    position
        Which token of each response to look at. None: the first that is more than white space and opening marks.
    forms_unseen
        As for :func:`~deluge_nb.stats.label_distribution`.
    policy
        ``"raise"`` at a list that cannot be right, or ``"skip"`` for NaN in its place.

    Raises
    ------
    SettingError
        When the answers are no set of answers.
    LogprobError
        When a list cannot be right and the policy is to raise.
    """
    reader = Labels(labels)
    if isinstance(logprobs, Logprobs):
        if position is not None:
            raise invalid_argument(
                "position", position, "left out where a table is handed in, every token of which is a row"
            )
        tables: list[Logprobs | None] = [logprobs]
        rows, looked = len(logprobs), np.arange(len(logprobs))
    else:
        tables, looked = _select_positions(tables_of(logprobs, lists=True), reader, position)
        rows = len(tables)
    made = _LabelColumns(rows, reader)
    for part in stack_tables(tables):
        at = slice(None) if isinstance(logprobs, Logprobs) else part.which
        _add_group(part, reader, made, at, forms_unseen, policy)
    return made.settled(looked)


def binary_probability_batch(
    logprobs: Tables,
    positive: str | Sequence[str],
    negative: str | Sequence[str],
    *,
    position: int | None = None,
    policy: str = "raise",
) -> BinaryProbabilityBatch:
    """The probability of the first of two answers, as :func:`~deluge_nb.stats.binary_probability` for one token.

    Parameters
    ----------
    logprobs, position, policy
        As for :func:`label_distribution_batch`.
    positive, negative
        The answers, or the spellings of each.

    Raises
    ------
    ValueError
        As :func:`label_distribution_batch`.
    """
    sides = {
        "positive": [positive] if isinstance(positive, str) else list(positive),
        "negative": [negative] if isinstance(negative, str) else list(negative),
    }
    found = label_distribution_batch(logprobs, sides, position=position, policy=policy)
    yes, no = found.lower.T
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.where((yes == 0) & (no == 0), np.nan, np.log(yes) - np.log(no))
        return BinaryProbabilityBatch(found.position, yes.copy(), 1.0 - no, yes / (yes + no), odds)


def _select_positions(
    tables: list[Logprobs | None], labels: Labels, position: int | None
) -> tuple[list[Logprobs | None], NDArray[np.intp]]:
    """Of each table the one token that is looked at, and which that is."""
    if position is not None:
        fixed = count(position, "position")
        short = next((at for at, table in enumerate(tables) if table is not None and len(table) <= fixed), None)
        if short is not None:
            raise SettingError(
                f"position must be that of a token in every response, and responses[{short}] has "
                f"{len(tables[short] or ())}, not {fixed}.",
                setting="position",
                value=fixed,
            )
        return [None if table is None else table[fixed : fixed + 1] for table in tables], np.array(
            [-1 if table is None else fixed for table in tables], np.intp
        )
    looked = np.full(len(tables), -1, np.intp)
    telling: dict[str, bool] = {}
    chosen: list[Logprobs | None] = []
    for place, table in enumerate(tables):
        if table is None or not len(table):
            chosen.append(None)
            continue
        ids, texts = stored_columns([table])[1][0], table.vocabulary.texts
        at = 0
        for step in range(len(ids)):
            text = texts[ids[step]]
            says = telling.get(text)
            if says is None:
                says = telling[text] = labels.read(text).open is not None
            if says:
                at = step
                break
        looked[place] = at
        chosen.append(table if len(ids) == 1 else table[at : at + 1])
    return chosen, looked


class _LabelCodes:
    """What each token of a vocabulary says of the answers, as the number of a column."""

    def __init__(self, labels: Labels, vocabulary: Vocabulary, used: NDArray[np.integer]) -> None:
        self.other, self.anything = len(labels), len(labels) + 1
        self.sets: dict[frozenset[int], int] = {}
        self.of = np.zeros(len(vocabulary), np.intp)
        texts = vocabulary.texts
        for index in used.tolist():
            reading = labels.read(texts[index])
            if reading.label is not None:
                self.of[index] = reading.label
            elif reading.open is None:
                self.of[index] = self.anything
            elif reading.open:
                self.of[index] = self.sets.setdefault(reading.open, len(labels) + 2 + len(self.sets))
            else:
                self.of[index] = self.other

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self.anything + 1 + len(self.sets)


class _LabelColumns:
    """The columns of the answer, filled group by group."""

    def __init__(self, rows: int, labels: Labels) -> None:
        self.labels = labels
        wide = len(labels)
        self.lower, self.own, self.rivals = (np.full((rows, wide), np.nan) for _ in range(3))
        self.partial, self.transparent, self.other, self.tail = (np.full(rows, np.nan) for _ in range(4))

    def settled(self, looked: NDArray[np.intp]) -> LabelDistributionBatch:
        """All that follows from what was counted."""
        lower, own = self.lower, self.own
        matched = lower.sum(axis=1)
        upper = np.minimum(lower + own, 1.0)
        some = matched > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(some, matched, np.nan)[:, None]
            normalized = lower / share
            least = lower / (share + self.rivals)
            most = (lower + own) / (share + own)
            surprise = np.where(normalized > 0, -np.log(np.where(normalized > 0, normalized, 1.0)), 0.0)
            entropy = np.where(some, (np.where(normalized > 0, normalized, 0.0) * surprise).sum(axis=1), np.nan)
        best = np.where(some, np.argmax(np.nan_to_num(lower), axis=1), -1)
        rows = np.arange(len(best))
        rival = upper.copy()
        rival[rows, np.maximum(best, 0)] = -np.inf
        ahead = np.nan_to_num(lower)[rows, np.maximum(best, 0)]
        certified = some & (ahead > rival.max(axis=1))
        return LabelDistributionBatch(
            tuple(self.labels.names),
            looked,
            lower,
            upper,
            matched,
            self.partial,
            self.transparent,
            self.other,
            self.tail,
            normalized,
            entropy,
            best,
            least,
            most,
            certified,
        )


def _add_group(
    part: Columns,
    labels: Labels,
    made: _LabelColumns,
    at: slice | NDArray[np.intp],
    forms_unseen: int | Mapping[str, int] | None,
    policy: str,
) -> None:
    seen = observe_columns(part)
    wrong = invalid_lists(part.alternative_logprob, part.offsets, seen, policy) | (seen.known == 0)
    used = np.zeros(len(part.vocabulary), np.bool_)
    used[part.alternative] = True
    used[part.chosen] = True
    codes = _LabelCodes(labels, part.vocabulary, np.flatnonzero(used))
    sums = np.zeros((part.rows, codes.width))
    for rows, places, length in measures.blocks(part.offsets):
        if not length:
            continue
        p = np.exp(measures.clip_to_support(part.alternative_logprob[places].reshape(-1, length)))
        code = codes.of[part.alternative[places].reshape(-1, length)]
        flat = (np.arange(len(p)) * codes.width)[:, None] + code
        sums[rows] = np.bincount(flat.reshape(-1), p.reshape(-1), len(p) * codes.width).reshape(-1, codes.width)
    outside = np.flatnonzero(seen.extra > -np.inf)
    sums[outside, codes.of[part.chosen[outside]]] += np.exp(seen.extra[outside])
    sums /= np.where(seen.tail < 0, 1.0 - seen.tail, 1.0)[:, None]
    sums[wrong] = np.nan
    tail = np.where(wrong, np.nan, np.maximum(seen.tail, 0.0))
    caps = _hidden_caps(forms_unseen, labels, seen)
    wide = len(labels)
    transparent, open_to = sums[:, codes.anything], sums[:, wide + 2 :]
    own = np.minimum(tail[:, None], caps) + transparent[:, None]
    bounded = np.isfinite(caps).all()
    others = caps.sum(axis=1)[:, None] - caps if bounded else np.full((1, wide), np.inf if wide > 1 else 0.0)
    rivals = np.minimum(tail[:, None], others) + (transparent[:, None] if wide > 1 else 0.0)
    for among, column in codes.sets.items():
        mass = open_to[:, column - wide - 2]
        for label in range(wide):
            if label in among:
                own[:, label] += mass
            if among - {label}:
                rivals[:, label] += mass
    made.lower[at] = sums[:, :wide]
    made.own[at], made.rivals[at] = own, rivals
    made.transparent[at], made.other[at] = transparent, sums[:, codes.other]
    made.partial[at], made.tail[at] = open_to.sum(axis=1), tail


def _hidden_caps(forms: int | Mapping[str, int] | None, labels: Labels, seen: measures.Observed) -> Floats:
    """The greatest probability that each answer's hidden tokens can have, shape (n, labels)."""
    counts = [math.inf] * len(labels)
    if isinstance(forms, Mapping):
        unknown = [name for name in forms if name not in labels.names]
        if unknown:
            raise invalid_argument("forms_unseen", unknown[0], f"about the labels {', '.join(map(repr, labels.names))}")
        counts = [count(forms[name], f"forms_unseen[{name!r}]") if name in forms else math.inf for name in labels.names]
    elif forms is not None:
        counts = [count(forms, "forms_unseen")] * len(labels)
    with np.errstate(invalid="ignore"):
        caps = np.exp(seen.cap)[:, None] * np.array(counts, np.float64)
    return np.where(np.isnan(caps), np.inf, caps)
