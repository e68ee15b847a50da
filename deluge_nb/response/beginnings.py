"""Common beginnings of sequences of tokens: the tree of a sorted list."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..logprobs.columns import Ints, Vocabulary
from ..logprobs.table import Logprobs


def number_tokens(tables: list[Logprobs]) -> list[Ints]:
    """Return the tokens of each table as numbers, which are equal where the bytes of the tokens are."""
    number_of: dict[bytes, int] = {}
    known: dict[int, tuple[Vocabulary, Ints]] = {}
    result: list[Ints] = []
    for table in tables:
        vocabulary = table.vocabulary
        _, numbers = known.get(id(vocabulary), (vocabulary, np.zeros(0, np.int32)))
        if len(numbers) < len(vocabulary):
            numbers = np.concatenate([numbers, np.full(len(vocabulary) - len(numbers), -1, np.int32)])
            known[id(vocabulary)] = vocabulary, numbers
        for index in np.unique(table.chosen[numbers[table.chosen] < 0]).tolist():
            numbers[index] = number_of.setdefault(vocabulary.true_bytes(index), len(number_of))
        result.append(numbers[table.chosen])
    return result


def common_length(a: Ints, b: Ints) -> int:
    """Return the number of tokens that two sequences have in common at their start."""
    size = min(len(a), len(b))
    differs = a[:size] != b[:size]
    return int(differs.argmax()) if differs.any() else size


class Range(NamedTuple):
    """Neighbours, from ``first`` to ``last``, that share ``stop`` tokens, within the range of number ``around``."""

    first: int
    last: int
    stop: int
    around: int


def nested_ranges(shared: list[int]) -> list[Range]:
    """Return the ranges of neighbours with a common beginning: the inner nodes of their tree, outer ones first.

    Parameters
    ----------
    shared
        Number of tokens that each different answer has in common with the next one, in the order of their tokens.
    """
    closed: list[tuple[int, int, int]] = []
    opened: list[tuple[int, int]] = []
    for at, stop in enumerate([*shared, -1]):
        first = at
        while opened and opened[-1][1] > stop:
            first, ended = opened.pop()
            closed.append((first, -at - 1, ended))
        if stop >= 0 and (not opened or opened[-1][1] < stop):
            opened.append((first, stop))
    ranges: list[Range] = []
    around: list[int] = []
    for number, (first, last, stop) in enumerate(sorted(closed)):
        while around and ranges[around[-1]].last <= first:
            around.pop()
        ranges.append(Range(first, -last, stop, around[-1] if around else 0))
        around.append(number)
    return ranges
