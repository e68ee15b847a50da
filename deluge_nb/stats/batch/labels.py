"""Probabilities of answers for many tokens or many responses at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import SettingError, invalid_argument
from ...logprobs import measures
from ...logprobs.columns import Floats, Vocabulary
from ...logprobs.rounding import check_rounding, excess_of, is_exact, room, tail_limits
from ...logprobs.table import Logprobs
from ...text.counts import pluralize
from ...text.matching import Labels, shared_labels
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
    """As :class:`~deluge_nb.stats.labels.LabelDistribution` for n tokens: shape (n, len(labels)) or (n,), nats.

    ``argmax`` and ``likeliest`` are indices of an answer, -1 where there is none. ``position`` is the index of the
    token that was read, -1 where there was none. NaN where nothing is known. An index gives the record of one token.
    """

    labels: tuple[str, ...]
    position: NDArray[np.intp]
    lower: Floats
    upper: Floats
    attributed: Floats
    matched_mass: Floats
    partial_mass: Floats
    transparent_mass: Floats
    other_mass: Floats
    tail_mass: Floats
    normalized: Floats
    entropy: Floats
    argmax: NDArray[np.intp]
    likeliest: NDArray[np.intp]
    normalized_lower: Floats
    normalized_upper: Floats
    certified: Bools
    decided: Bools

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, index: int) -> LabelDistribution:
        best, likeliest = int(self.argmax[index]), int(self.likeliest[index])

        def by_label(values: Floats) -> dict[str, float]:
            return dict(zip(self.labels, values[index].tolist(), strict=True))

        return LabelDistribution(
            lower=by_label(self.lower),
            upper=by_label(self.upper),
            attributed=by_label(self.attributed),
            matched_mass=float(self.matched_mass[index]),
            partial_mass=float(self.partial_mass[index]),
            transparent_mass=float(self.transparent_mass[index]),
            other_mass=float(self.other_mass[index]),
            tail_mass=float(self.tail_mass[index]),
            normalized=by_label(self.normalized) if best >= 0 else {},
            entropy=float(self.entropy[index]) if best >= 0 else None,
            argmax=self.labels[best] if best >= 0 else None,
            likeliest=self.labels[likeliest] if likeliest >= 0 else None,
            normalized_lower=by_label(self.normalized_lower) if best >= 0 else {},
            normalized_upper=by_label(self.normalized_upper) if best >= 0 else {},
            certified=bool(self.certified[index]),
            decided=bool(self.decided[index]),
        )

    def __iter__(self) -> Iterator[LabelDistribution]:
        return (self[index] for index in range(len(self)))


def label_distribution_batch(
    logprobs: Tables,
    labels: LabelSet,
    *,
    position: int | None = None,
    forms_unseen: int | Mapping[str, int] | None = None,
    policy: str = "raise",
    single_tokens: bool = False,
    rounding: float | None = None,
) -> LabelDistributionBatch:
    """Return the probabilities of answers, as :func:`~deluge_nb.stats.label_distribution` for one token.

    Parameters
    ----------
    logprobs
        A table, every token of which is a row. Or responses, their tables, or lists of alternatives: one row for each.
        Log-probabilities are in nats.
    labels
        The answers, or a dict from each answer to its spellings.
    position
        The index of the token to read in each response. None: the first that is not just white space and opening marks.
    forms_unseen
        As for :func:`~deluge_nb.stats.label_distribution`.
    policy
        Treatment of a list that cannot be the top of a distribution: ``"raise"``, or ``"skip"`` for NaN in its place.
    single_tokens, rounding
        As for :func:`~deluge_nb.stats.label_distribution`; by default the rounding of each table.

    Returns
    -------
    LabelDistributionBatch
        A sequence with one :class:`~deluge_nb.stats.labels.LabelDistribution` per row, and its columns as arrays.

    Raises
    ------
    SettingError
        If there are no answers, an answer has no spelling, or two answers have the same spelling.
    LogprobError
        If a list is invalid and the policy is to raise.

    Examples
    --------
    >>> from math import log
    >>> from deluge_nb.stats import label_distribution_batch
    >>> tops = [[{"token": "Yes", "logprob": log(0.7)}], [{"token": "No", "logprob": log(0.9)}]]
    >>> result = label_distribution_batch(tops, ["yes", "no"])
    >>> result.lower.round(3).tolist(), result[1].argmax
    ([[0.7, 0.0], [0.0, 0.9]], 'no')
    """
    reader = shared_labels(labels, single_tokens=single_tokens)
    if isinstance(logprobs, Logprobs):
        if position is not None:
            raise invalid_argument("position", position, "left out for a table, because every token of it is a row")
        columns = _LabelColumns(len(logprobs), reader)
        for group in stack_tables([logprobs]):
            _add_group(group, reader, columns, slice(None), forms_unseen, policy, check_rounding(rounding))
        return columns.to_batch(np.arange(len(logprobs)))
    tables, positions = _select_positions(tables_of(logprobs, lists=True), reader, position)
    return read_first_tokens(tables, reader, positions, forms_unseen, policy, check_rounding(rounding))


def read_first_tokens(
    tables: Sequence[Logprobs | None],
    labels: Labels,
    positions: NDArray[np.intp],
    forms_unseen: int | Mapping[str, int] | None,
    policy: str,
    rounding: float | None,
    *,
    knows_vocabulary: bool = True,
) -> LabelDistributionBatch:
    """Return the probabilities of answers at the only token of each table.

    Parameters
    ----------
    tables
        Tables of one token, and None where nothing is known.
    labels
        The answers.
    positions
        Index of the token in the response that it was taken from.
    forms_unseen, policy, rounding
        As for :func:`label_distribution_batch`.
    knows_vocabulary
        Whether the size of the vocabulary limits what is hidden, where a table has it.
    """
    columns = _LabelColumns(len(tables), labels)
    for group in stack_tables(tables):
        group = group if knows_vocabulary else replace(group, vocab_size=None)
        _add_group(group, labels, columns, group.tables, forms_unseen, policy, rounding)
    return columns.to_batch(positions)


def _select_positions(
    tables: list[Logprobs | None], labels: Labels, position: int | None
) -> tuple[list[Logprobs | None], NDArray[np.intp]]:
    """Return the token of each table that is read, as a table of its own, and its index in the table."""
    tables = [table if table is None or table.matches_text else None for table in tables]
    if position is not None:
        fixed = count(position, "position")
        short = next((i for i, table in enumerate(tables) if table is not None and len(table) <= fixed), None)
        if short is not None:
            size = len(tables[short] or ())
            raise SettingError(
                f"position must be the index of a token in every response, not {fixed}: responses[{short}] has "
                f"{pluralize(size, 'token')}.",
                setting="position",
                value=fixed,
            )
        return [None if table is None else table[fixed : fixed + 1] for table in tables], np.array(
            [-1 if table is None else fixed for table in tables], np.intp
        )
    positions = np.full(len(tables), -1, np.intp)
    # By text, because the same few tokens begin most answers; False for white space and marks.
    is_content: dict[str, bool] = {}
    selected: list[Logprobs | None] = []
    for index, table in enumerate(tables):
        if table is None or not len(table):
            selected.append(None)
            continue
        ids = stored_columns([table])[1][0]
        first = 0
        for step in range(len(ids)):
            text = table.vocabulary.exact_text(ids[step])
            content = is_content.get(text)
            if content is None:
                content = is_content[text] = labels.read(text).open is not None
            if content:
                first = step
                break
        positions[index] = first
        selected.append(table if len(ids) == 1 else table[first : first + 1])
    return selected, positions


class _LabelCodes:
    """The column that each token of a vocabulary counts in.

    Columns are the answers, ``other`` (no answer), ``refused`` (no answer, and the response ends), ``transparent``
    (white space and marks), and one for each set of answers that a token leaves open.
    """

    def __init__(self, labels: Labels, vocabulary: Vocabulary, used: NDArray[np.integer]) -> None:
        self.other, self.refused, self.transparent = range(len(labels), len(labels) + 3)
        self.sets: dict[frozenset[int], int] = {}
        self.column = np.zeros(len(vocabulary), np.intp)
        for index in used.tolist():
            reading = labels.read(vocabulary.exact_text(index))
            if reading.label is not None:
                self.column[index] = reading.label
            elif reading.open is None:
                self.column[index] = self.transparent
            elif reading.open:
                self.column[index] = self.sets.setdefault(reading.open, self.transparent + 1 + len(self.sets))
            else:
                self.column[index] = self.refused if reading.ended else self.other

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.transparent + 1 + len(self.sets)


class _LabelColumns:
    """The columns of the result, filled group by group."""

    def __init__(self, rows: int, labels: Labels) -> None:
        self.labels = labels
        width = len(labels)
        self.lower, self.own, self.rivals, self.attributed = (np.full((rows, width), np.nan) for _ in range(4))
        self.partial, self.transparent, self.other, self.refused, self.tail = (np.full(rows, np.nan) for _ in range(5))
        # The most that one of several answers has at least of a probability that they share.
        self.shared = np.zeros(rows)

    def to_batch(self, positions: NDArray[np.intp]) -> LabelDistributionBatch:
        """Return the result, with everything that follows from the columns."""
        lower, own = self.lower, self.own
        matched = lower.sum(axis=1)
        upper = np.minimum(lower + own, 1.0)
        is_matched = matched > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(is_matched, matched, np.nan)[:, None]
            normalized = lower / share
            least = lower / (share + self.rivals)
            most = (lower + own) / (share + own)
            surprise = np.where(normalized > 0, -np.log(np.where(normalized > 0, normalized, 1.0)), 0.0)
            entropy = np.where(is_matched, (np.where(normalized > 0, normalized, 0.0) * surprise).sum(axis=1), np.nan)
        best = np.where(is_matched, np.argmax(np.nan_to_num(lower), axis=1), -1)
        rows = np.arange(len(best))
        masses = np.nan_to_num(lower + self.attributed)
        likeliest = np.argmax(masses, axis=1)
        largest = masses[rows, likeliest]
        likeliest = np.where((largest > 0) & (largest >= self.shared), likeliest, -1)
        rival = upper.copy()
        rival[rows, np.maximum(best, 0)] = -np.inf
        ahead = np.nan_to_num(lower)[rows, np.maximum(best, 0)]
        rival = np.maximum(rival.max(axis=1), 0.0)
        certified = is_matched & (ahead > rival)
        decided = is_matched & (ahead > rival + self.other - self.refused)
        return LabelDistributionBatch(
            tuple(self.labels.names),
            positions,
            lower,
            upper,
            self.attributed,
            matched,
            self.partial,
            self.transparent,
            self.other,
            self.tail,
            normalized,
            entropy,
            best,
            likeliest,
            least,
            most,
            certified,
            decided,
        )


def _add_group(
    group: Columns,
    labels: Labels,
    columns: _LabelColumns,
    index: slice | NDArray[np.intp],
    forms_unseen: int | Mapping[str, int] | None,
    policy: str,
    rounding: float | None,
) -> None:
    """Fill the rows of one group of tables."""
    rounding = group.rounding if rounding is None else rounding
    seen = observe_columns(group)
    wrong = invalid_lists(group.alternative_logprob, group.offsets, seen, policy, None, rounding) | (seen.known == 0)
    used = np.zeros(len(group.vocabulary), np.bool_)
    used[group.alternative] = True
    used[group.chosen] = True
    codes = _LabelCodes(labels, group.vocabulary, np.flatnonzero(used))
    sums = np.zeros((group.rows, codes.width))
    for rows, positions, length in measures.blocks(group.offsets):
        if not length:
            continue
        p = np.exp(measures.clip_to_support(group.alternative_logprob[positions].reshape(-1, length)))
        code = codes.column[group.alternative[positions].reshape(-1, length)]
        flat = (np.arange(len(p)) * codes.width)[:, None] + code
        sums[rows] = np.bincount(flat.reshape(-1), p.reshape(-1), len(p) * codes.width).reshape(-1, codes.width)
    outside = np.flatnonzero(seen.extra > -np.inf)
    sums[outside, codes.column[group.chosen[outside]]] += np.exp(seen.extra[outside])
    limits = tail_limits(seen.tail, seen.known, seen.cap, group.vocab_size, rounding)
    excess = excess_of(seen.tail, limits)
    error = rounding + np.abs(excess) if rounding else np.zeros(group.rows)
    sums /= np.exp(excess + error)[:, None]
    sums[wrong] = np.nan
    tail = np.maximum(seen.tail, 0.0)
    least = np.where(excess == 0, 1.0 - tail, 1.0) * np.exp(-error)
    tail = np.where(wrong, np.nan, 1.0 - least if rounding else np.minimum(tail, room(limits.cap, limits.hidden)))
    exact = is_exact(seen.tail, seen.known, np.maximum(seen.first, seen.extra), rounding)
    unlisted, tail = tail, tail if rounding else np.where(wrong | exact, tail, limits.high)
    caps = _hidden_caps(forms_unseen, labels, limits.cap) + (np.expm1(2 * error) * (1.0 - tail))[:, None]
    width = len(labels)
    transparent, partial = sums[:, codes.transparent], sums[:, codes.transparent + 1 :]
    attributed, shared = np.zeros((group.rows, width)), np.zeros(group.rows)
    own = np.minimum(tail[:, None], caps) + transparent[:, None]
    bounded = np.isfinite(caps).all()
    others = caps.sum(axis=1)[:, None] - caps if bounded else np.full((1, width), np.inf if width > 1 else 0.0)
    rivals = np.minimum(tail[:, None], others) + (transparent[:, None] if width > 1 else 0.0)
    for among, column in codes.sets.items():
        mass = partial[:, column - codes.transparent - 1]
        if len(among) == 1:
            attributed[:, next(iter(among))] += mass
        else:
            shared = np.fmax(shared, mass / len(among))
        for label in range(width):
            if label in among:
                own[:, label] += mass
            if among - {label}:
                rivals[:, label] += mass
    columns.lower[index] = sums[:, :width]
    columns.own[index], columns.rivals[index] = own, rivals
    columns.transparent[index] = transparent
    columns.refused[index] = sums[:, codes.refused]
    columns.other[index] = sums[:, codes.other] + sums[:, codes.refused]
    columns.attributed[index], columns.shared[index] = attributed, shared
    columns.partial[index], columns.tail[index] = partial.sum(axis=1), unlisted


def _hidden_caps(forms: int | Mapping[str, int] | None, labels: Labels, cap: Floats) -> Floats:
    """Return the greatest probability that the unlisted tokens of each answer can have, shape (n, labels)."""
    counts = [math.inf] * len(labels)
    if isinstance(forms, Mapping):
        unknown = [name for name in forms if name not in labels.names]
        if unknown:
            raise invalid_argument("forms_unseen", unknown[0], f"about the labels {', '.join(map(repr, labels.names))}")
        counts = [count(forms[name], f"forms_unseen[{name!r}]") if name in forms else math.inf for name in labels.names]
    elif forms is not None:
        counts = [count(forms, "forms_unseen")] * len(labels)
    with np.errstate(invalid="ignore"):
        caps = np.exp(cap)[:, None] * np.array(counts, np.float64)
    return np.where(np.isnan(caps), np.inf, caps)
