"""extract_prob for many responses and several answers in one call, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError
from ..logprobs import measures
from ..logprobs.columns import Floats, Vocabulary
from ..logprobs.packed import stack_packed
from ..logprobs.table import Logprobs
from ..stats.core.stacked import StoredColumns, stack, stored_columns, tables_of, unify_vocabularies
from ..stats.core.validation import count
from ..text.matching import Matcher, is_match


def extract_probs(
    token_or_labels: str | Sequence[str],
    responses: Iterable[Any],
    use_top_logprobs: bool = True,
    normalize_top_logprobs: bool = True,
    use_complement: bool = False,
    token_index: int = 0,
    token_match_fn: Matcher | None = is_match,
) -> Floats:
    """The probability of an answer, or of several, at one token of many completions.

    Every number is the one that :func:`~deluge_nb.extract_prob` gives for that response, some hundred times as fast.

    Parameters
    ----------
    token_or_labels
        The answer that is looked for, or a list of answers.
    responses
        Responses, their ``logprobs``, or the documented lists of dicts.
    use_top_logprobs, normalize_top_logprobs, use_complement, token_index, token_match_fn
        As for :func:`~deluge_nb.extract_prob`, but that all alternatives are looked at unless you say otherwise. The
        matcher is called once for each distinct token.

    Returns
    -------
    ndarray of float64
        Shape (n,) for one answer, (n, m) for a list of m. NaN where a response failed, has no such token, or its
        log-probabilities were withheld.

    Raises
    ------
    SettingError
        When an answer is no text, or something is neither a response nor its log-probabilities.
    """
    labels = [token_or_labels] if isinstance(token_or_labels, str) else list(token_or_labels)
    for label in labels:
        if not isinstance(label, str):
            raise SettingError(f"An answer must be a text, not {label!r}.", setting="token_or_labels", value=label)
    place = count(token_index, "token_index")
    matches = is_match if token_match_fn is None else token_match_fn
    if isinstance(responses, list) and responses:
        part = _stack(responses, place)
        if part is not None:
            found = _probabilities(part, labels, matches, use_top_logprobs, normalize_top_logprobs, use_complement)
            return found[:, 0] if isinstance(token_or_labels, str) else found
    tables = unify_vocabularies(_tables(responses))
    made = np.full((len(tables), len(labels)), np.nan)
    for which, part in _parts(tables, place):
        made[which] = _probabilities(part, labels, matches, use_top_logprobs, normalize_top_logprobs, use_complement)
    return made[:, 0] if isinstance(token_or_labels, str) else made


@dataclass(frozen=True, slots=True)
class _Part:
    """One token of each of many tables over the same vocabulary."""

    vocabulary: Vocabulary
    chosen: NDArray[np.integer]
    chosen_logprob: Floats
    counts: NDArray[np.integer]
    alternative: NDArray[np.integer]
    logprob: Floats

    def blocks(self) -> Iterator[tuple[Any, NDArray[np.integer], Floats]]:
        """Rows, their alternatives and those's log-probabilities, shape (n, k) both."""
        if self.alternative.ndim == 2:
            length = self.alternative.shape[1]
            step = max(1, measures.BLOCK // max(length, 1))
            for start in range(0, len(self.chosen), step):
                rows = slice(start, start + step)
                yield rows, self.alternative[rows], np.ascontiguousarray(self.logprob[rows])
            return
        offsets = np.concatenate(([0], np.cumsum(self.counts))).astype(np.intp)
        for rows, places, length in measures.blocks(offsets):
            size = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
            yield rows, self.alternative[places].reshape(size, length), self.logprob[places].reshape(size, length)


def _stack(responses: list[Any], place: int) -> _Part | None:
    """Responses whose tables have the same shape, as a client's answers of one token do; None if they are not that."""
    try:
        rows = stack_packed([response.logprobs.packed for response in responses])
    except AttributeError:  # a table without a response, or a response without a table
        return None
    if rows is None:
        return None
    edges = rows["offsets"]
    if edges.shape[1] <= place + 1:
        return None
    low, high = edges[0, place : place + 2].tolist()
    if edges.shape[1] > 2 and not (edges[:, place : place + 2] == (low, high)).all():
        return None
    return _Part(
        responses[0].logprobs.vocabulary,
        rows["chosen"][:, place],
        rows["chosen_logprob"][:, place],
        np.full(len(rows), high - low),
        rows["alternative"][:, low:high],
        rows["alternative_logprob"][:, low:high],
    )


def _gathered(stored: StoredColumns, place: int) -> _Part:
    """Tables of any shape."""
    vocabularies, chosen, chosen_logprob, ids, values, edges = stored
    offsets = stack(edges)
    sizes = np.fromiter(map(len, edges), np.intp, len(edges))
    at = np.cumsum(sizes) - sizes + place
    first, last = offsets[at], offsets[at + 1]
    counts = last - first
    if first.any() or not (np.fromiter(map(len, ids), np.intp, len(ids)) == counts).all():
        spans = [slice(low, high) for low, high in zip(first.tolist(), last.tolist(), strict=True)]
        ids = [one[span] for one, span in zip(ids, spans, strict=True)]
        values = [one[span] for one, span in zip(values, spans, strict=True)]
    # One offset more than there are tokens.
    at -= np.arange(len(edges))
    return _Part(vocabularies[0], stack(chosen)[at], stack(chosen_logprob)[at], counts, stack(ids), stack(values))


def _tables(responses: Iterable[Any]) -> list[Logprobs | None]:
    if not isinstance(responses, list):
        return tables_of(responses)
    try:
        tables = list(map(attrgetter("logprobs"), responses))
    except AttributeError:
        return tables_of(responses)
    return tables if {*map(type, tables)} <= {Logprobs, type(None)} else tables_of(responses)


def _parts(tables: Sequence[Logprobs | None], place: int) -> Iterable[tuple[slice | NDArray[np.intp], _Part]]:
    """The tables that have such a token, by vocabulary."""
    groups: dict[int, list[int]] = {}
    for at, table in enumerate(tables):
        if table is not None and len(table) > place:
            groups.setdefault(id(table.vocabulary), []).append(at)
    for places in groups.values():
        members = [table for at in places if (table := tables[at]) is not None]
        yield np.array(places, np.intp), _gathered(stored_columns(members), place)


def _probabilities(
    part: _Part, labels: list[str], matches: Matcher, use_top: bool, normalize: bool, complement: bool
) -> Floats:
    n, texts = len(part.chosen), part.vocabulary.texts
    chosen = np.exp(measures.mask_censored(part.chosen_logprob))
    used = np.zeros(len(texts), np.bool_)
    used[part.chosen] = True
    if use_top and part.alternative.size > len(texts):  # then looking for those that are used costs more
        used[:] = True
    elif use_top:
        used[part.alternative.reshape(-1)] = True
    tokens = np.flatnonzero(used).tolist()
    distinct = {texts[index] for index in tokens}
    hits = np.zeros((len(labels), len(texts)), np.bool_)
    for row, label in enumerate(labels):
        hit = {text for text in distinct if matches(text, label)}
        hits[row, [index for index in tokens if texts[index] in hit]] = True
    own = hits[:, part.chosen].T
    other = np.where(np.isnan(chosen), np.nan, 1.0 - chosen) if complement else np.zeros(n)
    if not use_top:
        return np.where(own, np.nan_to_num(chosen)[:, None], other[:, None])
    sums = np.zeros((n, len(labels)))
    counts = np.zeros((n, len(labels)), np.bool_)
    total = np.zeros(n)
    outside = np.zeros(n, np.bool_)
    weights = hits.astype(np.float64)
    for rows, ids, values in part.blocks():
        if not ids.shape[1]:
            outside[rows] = True
            continue
        p = np.exp(measures.clip_to_support(values))
        ids = ids.astype(np.intp)
        total[rows] = np.einsum("ij->i", p)
        outside[rows] = ~measures.contains_chosen(part.vocabulary, ids, part.chosen[rows])
        for column in range(len(labels)):
            sums[rows, column] = np.einsum("ij,ij->i", p, weights[column][ids])
            if complement:
                counts[rows, column] = hits[column][ids].any(axis=1)
    extra = np.where(outside, np.nan_to_num(chosen), 0.0)
    sums += own * extra[:, None]
    total += extra
    counts |= own & outside[:, None]
    listed = part.counts > 0
    scale = np.where(listed, total, 1.0) if normalize else np.ones(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = sums / scale[:, None]
        if complement:
            rest = np.where(np.isnan(chosen), np.nan, 1.0 - np.minimum(chosen / scale, 1.0))
            result = np.where(counts, result, rest[:, None])
    return np.minimum(result, 1.0)
