"""Diff two texts by words, in bounded time for any texts.

Equal beginnings and ends are matched first. Between them the longest common subsequence of words is computed (by Hunt
and Szymanski's method, over pairs of equal words). The rarest words come first, up to a number of pairs that grows with
the texts. If this limit leaves words out, the matches are anchors, and the stretches between them are matched in the
same way: words that are common in a whole text are rare in a part of it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

# Scripts without spaces between words: each letter counts as a word.
_LETTERS = "\u3041-\u30fa\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf" ?[^\W{_LETTERS}]+|.", re.DOTALL)
# Pairs of equal words that are always considered, in addition to the number of words.
_MIN_PAIRS = 10_000
# In texts made of very few different words, only pairs within this many words of each other are considered.
_BAND = 8
# A common run is chance where the differences before and after it are both this many times as long.
_CHANCE = 6
_PASSES = 16


class Run(NamedTuple):
    """Run that is equal in both texts: its start in each (``a``, ``b``) and its length."""

    a: int
    b: int
    length: int


def common_runs(a: bytes, b: bytes) -> list[Run]:
    """Return the runs that two texts share, in order, in bytes, each as long as possible.

    The order of the texts does not matter. A word that both have by chance, amid long differences, is left out.

    Parameters
    ----------
    a, b
        The texts as UTF-8; other bytes are compared one by one.
    """
    if (len(b), b) < (len(a), a):
        return [Run(run.b, run.a, run.length) for run in _ordered_runs(a=b, b=a)]
    return _ordered_runs(a, b)


def _ordered_runs(a: bytes, b: bytes) -> list[Run]:
    if a == b:
        return [Run(0, 0, len(a))] if a else []
    known: dict[str, int] = {}
    left, starts = _words(a, known)
    right, other_starts = _words(b, known)
    runs = [
        Run(starts[i], other_starts[j], starts[i + length] - starts[i])
        for i, j, length in _merge_runs(_match_words(left, right))
    ]
    return _merge_runs(_extend(_drop_chance(runs, len(a), len(b)), a, b))


def _words(text: bytes, known: dict[str, int]) -> tuple[list[int], list[int]]:
    """Return a number for each word, and the byte offsets of the words with the length of the text at the end."""
    # Bytes that are not UTF-8 become surrogates, each one byte long again when words are measured.
    words = _WORD.findall(text.decode("utf-8", "surrogateescape"))
    sizes = {word: len(word.encode("utf-8", "surrogateescape")) for word in set(words)}
    numbers = [known.setdefault(word, len(known)) for word in words]
    return numbers, [0, *accumulate(map(sizes.__getitem__, words))]


# Words ----------------------------------------------------------------------------------------------------------------


def _match_words(a: list[int], b: list[int]) -> list[Run]:
    """Return runs of equal words, in order."""
    runs: list[Run] = []
    stack = [(0, len(a), 0, len(b))]
    while stack:
        a0, a1, b0, b1 = stack.pop()
        start, end = a0, a1
        while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
            a0, b0 = a0 + 1, b0 + 1
        if a0 > start:
            runs.append(Run(start, b0 - (a0 - start), a0 - start))
        while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
            a1, b1 = a1 - 1, b1 - 1
        if a1 < end:
            runs.append(Run(a1, b1, end - a1))
        if a0 == a1 or b0 == b1:
            continue
        anchors, is_complete = _anchors(a[a0:a1], b[b0:b1])
        runs += [Run(a0 + i, b0 + j, 1) for i, j in anchors]
        if is_complete or not anchors:
            continue
        i, j = a0, b0
        for next_i, next_j in [*((a0 + i, b0 + j) for i, j in anchors), (a1, b1)]:
            if next_i > i and next_j > j:
                stack.append((i, next_i, j, next_j))
            i, j = next_i + 1, next_j + 1
    return sorted(runs)


def _anchors(a: list[int], b: list[int]) -> tuple[list[tuple[int, int]], bool]:
    """Return index pairs of equal words in increasing order, and whether all pairs were considered."""
    left, right = Counter(a), Counter(b)
    pairs = sorted((count * right[word], word) for word, count in left.items() if word in right)
    if not pairs:
        return [], True
    budget = len(a) + len(b) + _MIN_PAIRS
    used: set[int] = set()
    for count, word in pairs:
        budget -= count
        if budget < 0:
            break
        used.add(word)
    if not used:
        return _longest_chain(_nearby_pairs(a, b)), True
    positions: dict[int, list[int]] = {}
    for j in range(len(b) - 1, -1, -1):
        if b[j] in used:
            positions.setdefault(b[j], []).append(j)
    return _longest_chain((i, positions[word]) for i, word in enumerate(a) if word in used), len(used) == len(pairs)


def _nearby_pairs(a: list[int], b: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield each word's index in ``a`` with the indices in ``b``, last first, of equal words within the band."""
    for i, word in enumerate(a):
        near = range(min(i + _BAND, len(b) - 1), max(i - _BAND, 0) - 1, -1)
        yield i, [j for j in near if b[j] == word]


def _longest_chain(pairs: Iterable[tuple[int, list[int]]]) -> list[tuple[int, int]]:
    """Return the longest chain of pairs that increase in both indices; second indices must come last first."""
    # Chains share their beginnings: each pair stores the pair before it in its chain.
    ends: list[int] = []
    tips: list[int] = []
    lefts: list[int] = []
    rights: list[int] = []
    before: list[int] = []
    for i, partners in pairs:
        for j in partners:
            length = bisect_left(ends, j)
            before.append(tips[length - 1] if length else -1)
            if length == len(ends):
                ends.append(j)
                tips.append(len(lefts))
            else:
                ends[length] = j
                tips[length] = len(lefts)
            lefts.append(i)
            rights.append(j)
    chain: list[tuple[int, int]] = []
    link = tips[-1] if tips else -1
    while link >= 0:
        chain.append((lefts[link], rights[link]))
        link = before[link]
    return chain[::-1]


# Runs -----------------------------------------------------------------------------------------------------------------


def _merge_runs(runs: Iterable[Run]) -> list[Run]:
    """Join runs that follow each other without a gap."""
    merged: list[Run] = []
    for run in runs:
        if merged:
            a, b, length = merged[-1]
            if a + length == run.a and b + length == run.b:
                merged[-1] = Run(a, b, length + run.length)
                continue
        if run.length:
            merged.append(run)
    return merged


def _drop_chance(runs: list[Run], size_a: int, size_b: int) -> list[Run]:
    """Return the runs without those that are chance: short ones between long differences."""
    for _ in range(_PASSES):
        gaps = _gaps(runs, size_a, size_b)
        relevant = [run for i, run in enumerate(runs) if run.length * _CHANCE > min(gaps[i], gaps[i + 1])]
        if len(relevant) == len(runs):
            break
        runs = relevant
    return runs


def _gaps(runs: list[Run], size_a: int, size_b: int) -> list[int]:
    """Return the length of the difference before each run, and after the last."""
    a = b = 0
    gaps: list[int] = []
    for run in [*runs, Run(size_a, size_b, 0)]:
        gaps.append(max(run.a - a, run.b - b))
        a, b = run.a + run.length, run.b + run.length
    return gaps


def _extend(runs: list[Run], a: bytes, b: bytes) -> list[Run]:
    """Extend the runs by the equal beginnings and ends of the differences between them."""
    extended: list[Run] = []
    before = Run(0, 0, 0)
    for run in [*runs, Run(len(a), len(b), 0)]:
        i, j = before.a + before.length, before.b + before.length
        prefix = _common_prefix(a[i : run.a], b[j : run.b])
        i, j = i + prefix, j + prefix
        suffix = _common_prefix(a[i : run.a][::-1], b[j : run.b][::-1])
        extended.append(Run(before.a, before.b, before.length + prefix))
        before = Run(run.a - suffix, run.b - suffix, run.length + suffix)
    return [*extended, before]


def _common_prefix(a: bytes, b: bytes) -> int:
    """Return the number of bytes that two texts share at their beginning."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
