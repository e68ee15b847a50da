"""What two texts have in common: a diff over words that takes a bounded time, whatever the texts are.

Beginnings and ends that are equal are taken first. Between them the longest common subsequence of words is looked for
(by Hunt and Szymanski's method, over pairs of equal words), with the rarest words first and up to a number of pairs
that grows with the texts. Where that number was not enough, what was found are anchors, and the stretches between them
are gone through in the same way: words that are common in a whole text are rare in a part of it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

# Scripts without spaces between words: each letter is one.
_LETTERS = "\u3041-\u30fa\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf" ?[^\W{_LETTERS}]+|.", re.DOTALL)
# So many pairs of equal words are looked at in any case.
_PAIRS = 10_000
# Of texts made of very few words, pairs that stand no farther apart than this.
_BAND = 8
# What is common is no more than chance where what differs before it and after it is so many times as long.
_CHANCE = 6
_PASSES = 16


class Run(NamedTuple):
    """A stretch that is the same in both: where it begins in each, and how long it is."""

    a: int
    b: int
    length: int


def common_runs(a: bytes, b: bytes) -> list[Run]:
    """The stretches of two texts that are the same, in their order, in bytes; as long as they can be.

    Which text comes first makes no difference. A word that both have by chance within much that differs is left out.
    """
    if (len(b), b) < (len(a), a):
        return [Run(one.b, one.a, one.length) for one in _ordered(a=b, b=a)]
    return _ordered(a, b)


def _ordered(a: bytes, b: bytes) -> list[Run]:
    if a == b:
        return [Run(0, 0, len(a))] if a else []
    known: dict[str, int] = {}
    left, starts = _words(a, known)
    right, other_starts = _words(b, known)
    runs = [
        Run(starts[i], other_starts[j], starts[i + length] - starts[i])
        for i, j, length in _merge_runs(_matches(left, right))
    ]
    return _merge_runs(_extended(_without_chance(runs, len(a), len(b)), a, b))


def _words(text: bytes, known: dict[str, int]) -> tuple[list[int], list[int]]:
    """A number for each word, and where each begins in bytes; at last the length of the text."""
    # Bytes that are no text become characters of their own, and are bytes again when they are counted.
    words = _WORD.findall(text.decode("utf-8", "surrogateescape"))
    sizes = {word: len(word.encode("utf-8", "surrogateescape")) for word in set(words)}
    numbers = [known.setdefault(word, len(known)) for word in words]
    return numbers, [0, *accumulate(map(sizes.__getitem__, words))]


# Words ----------------------------------------------------------------------------------------------------------------


def _matches(a: list[int], b: list[int]) -> list[Run]:
    """Runs of equal words, in their order."""
    found: list[Run] = []
    waiting = [(0, len(a), 0, len(b))]
    while waiting:
        a0, a1, b0, b1 = waiting.pop()
        start, end = a0, a1
        while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
            a0, b0 = a0 + 1, b0 + 1
        if a0 > start:
            found.append(Run(start, b0 - (a0 - start), a0 - start))
        while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
            a1, b1 = a1 - 1, b1 - 1
        if a1 < end:
            found.append(Run(a1, b1, end - a1))
        if a0 == a1 or b0 == b1:
            continue
        anchors, whole = _anchors(a[a0:a1], b[b0:b1])
        found += [Run(a0 + i, b0 + j, 1) for i, j in anchors]
        if whole or not anchors:
            continue
        i, j = a0, b0
        for next_i, next_j in [*((a0 + i, b0 + j) for i, j in anchors), (a1, b1)]:
            if next_i > i and next_j > j:
                waiting.append((i, next_i, j, next_j))
            i, j = next_i + 1, next_j + 1
    return sorted(found)


def _anchors(a: list[int], b: list[int]) -> tuple[list[tuple[int, int]], bool]:
    """Places of equal words that follow each other in both; and whether no more can be found."""
    left, right = Counter(a), Counter(b)
    pairs = sorted((count * right[word], word) for word, count in left.items() if word in right)
    if not pairs:
        return [], True
    room = len(a) + len(b) + _PAIRS
    used: set[int] = set()
    for count, word in pairs:
        room -= count
        if room < 0:
            break
        used.add(word)
    if not used:
        return _increasing(_near(a, b)), True
    places: dict[int, list[int]] = {}
    for j in range(len(b) - 1, -1, -1):
        if b[j] in used:
            places.setdefault(b[j], []).append(j)
    return _increasing((i, places[word]) for i, word in enumerate(a) if word in used), len(used) == len(pairs)


def _near(a: list[int], b: list[int]) -> Iterator[tuple[int, list[int]]]:
    for i, word in enumerate(a):
        near = range(min(i + _BAND, len(b) - 1), max(i - _BAND, 0) - 1, -1)
        yield i, [j for j in near if b[j] == word]


def _increasing(pairs: Iterable[tuple[int, list[int]]]) -> list[tuple[int, int]]:
    """The longest chain of pairs that grow on both sides; the second places come from the last to the first."""
    # Chains share their beginnings: a link is a pair, and the link before it.
    ends: list[int] = []
    tips: list[int] = []
    lefts: list[int] = []
    rights: list[int] = []
    before: list[int] = []
    for i, places in pairs:
        for j in places:
            at = bisect_left(ends, j)
            before.append(tips[at - 1] if at else -1)
            if at == len(ends):
                ends.append(j)
                tips.append(len(lefts))
            else:
                ends[at] = j
                tips[at] = len(lefts)
            lefts.append(i)
            rights.append(j)
    found: list[tuple[int, int]] = []
    link = tips[-1] if tips else -1
    while link >= 0:
        found.append((lefts[link], rights[link]))
        link = before[link]
    return found[::-1]


# Runs -----------------------------------------------------------------------------------------------------------------


def _merge_runs(runs: Iterable[Run]) -> list[Run]:
    """Runs that follow each other without a gap as one."""
    found: list[Run] = []
    for one in runs:
        if found:
            a, b, length = found[-1]
            if a + length == one.a and b + length == one.b:
                found[-1] = Run(a, b, length + one.length)
                continue
        if one.length:
            found.append(one)
    return found


def _without_chance(runs: list[Run], size_a: int, size_b: int) -> list[Run]:
    for _ in range(_PASSES):
        gaps = _gaps(runs, size_a, size_b)
        kept = [run for at, run in enumerate(runs) if run.length * _CHANCE > min(gaps[at], gaps[at + 1])]
        if len(kept) == len(runs):
            break
        runs = kept
    return runs


def _gaps(runs: list[Run], size_a: int, size_b: int) -> list[int]:
    """How much differs before each run, and after the last."""
    a = b = 0
    found: list[int] = []
    for run in [*runs, Run(size_a, size_b, 0)]:
        found.append(max(run.a - a, run.b - b))
        a, b = run.a + run.length, run.b + run.length
    return found


def _extended(runs: list[Run], a: bytes, b: bytes) -> list[Run]:
    """The runs, and the beginnings and ends of what is between them where these are the same."""
    found: list[Run] = []
    before = Run(0, 0, 0)
    for run in [*runs, Run(len(a), len(b), 0)]:
        i, j = before.a + before.length, before.b + before.length
        same = _shared(a[i : run.a], b[j : run.b])
        i, j = i + same, j + same
        back = _shared(a[i : run.a][::-1], b[j : run.b][::-1])
        found.append(Run(before.a, before.b, before.length + same))
        before = Run(run.a - back, run.b - back, run.length + back)
    return [*found, before]


def _shared(a: bytes, b: bytes) -> int:
    """How many bytes two texts have in common at their beginning."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
