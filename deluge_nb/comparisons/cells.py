"""Cells of the table of comparisons, in the form that the browser and the static forms read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..render.comparison import format_mean, format_signed, heat
from ..render.scale import SCALES
from ..text.counts import pluralize
from ..text.glyphs import passage, short_label
from .answers import Answer

# Characters of a text in a cell; the comparison of a row has all of it.
LONGEST = 1000
_FIRST_SPACE = re.compile(r"^ (?=\S)")


def row_of(label: str, text: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return a row of the table as JSON: its label, its input, and a cell for each answer.

    Parameters
    ----------
    label
        Label of the input.
    text
        Text of the input.
    answers
        An answer of each variant.
    """
    first = answers[0].mean_logprob
    cells = [
        _cell(answer, math.nan if side == 0 else answer.mean_logprob - first) for side, answer in enumerate(answers)
    ]
    return {"label": passage(label, LONGEST), "input": _visible(text), "cells": cells}


def totals_of(columns: Sequence[Sequence[Answer]]) -> list[dict[str, Any]]:
    """Return the last row of the table: for each variant the means over all inputs for which they are known."""
    firsts = [answer.mean_logprob for answer in columns[0]]
    totals: list[dict[str, Any]] = []
    for side, column in enumerate(columns):
        means = [answer.mean_logprob for answer in column]
        changes = [] if side == 0 else [mean - first for mean, first in zip(means, firsts, strict=True)]
        totals.append(_numbers(_mean(means), _mean(changes)))
    return totals


def describe(columns: Sequence[Sequence[Answer]]) -> str:
    """Return the line above the table: the number of inputs, of equal answers and of failed ones."""
    rows = list(zip(*columns, strict=True))
    facts = [pluralize(len(rows), "input")]
    whole = [row for row in rows if all(answer.error is None for answer in row)]
    if whole:
        equal = sum(len({(answer.text or "").strip() for answer in row}) == 1 for row in whole)
        extent = f"{equal} of {len(whole)}" if len(whole) < len(rows) else f"{equal}"
        facts.append(f"same answer in {extent}")
    if failed := sum(answer.error is not None for row in rows for answer in row):
        facts.append(f"{pluralize(failed, 'answer')} missing")
    return " · ".join(facts)


def _cell(answer: Answer, difference: float) -> dict[str, Any]:
    return {
        # The first token of an answer often begins with a space, which would indent it in its column.
        "text": _visible(_FIRST_SPACE.sub("", answer.text or "")),
        "error": None if answer.error is None else passage(answer.error, LONGEST),
        "facts": passage(answer.facts, LONGEST),
        **_numbers(answer.mean_logprob, difference),
    }


def _visible(text: str) -> str:
    """Return a text to read in a cell; of white space alone, its marks."""
    return short_label(text.encode("utf-8", "replace")) if text.isspace() else passage(text, LONGEST)


def _numbers(mean: float, difference: float) -> dict[str, Any]:
    """Return two numbers, their texts, and the heat of each; None where it is not known."""
    return {
        "logprob": _finite(mean),
        "mean": "–" if math.isnan(mean) else format_mean(mean),
        "warmth": _finite(float(SCALES["probability"].heat(math.exp(min(mean, 0.0))))),
        "difference": _finite(difference),
        "change": "–" if math.isnan(difference) else format_signed(difference),
        "heat": _finite(float(heat(difference))),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def order_of(rows: Sequence[Mapping[str, Any]], measure: str, side: int, descending: bool) -> list[int]:
    """Return the positions of rows in the order of a column; the table in the browser orders them in the same way.

    Equal rows keep their order, and rows without a value come last.

    Parameters
    ----------
    rows
        Rows of the table.
    measure, side
        What is compared: ``"input"``, or ``"answer"``, ``"logprob"`` or ``"difference"`` of a variant; ``""`` for the
        order of the inputs.
    descending
        The largest first.
    """
    places = range(len(rows))
    if not measure:
        return list(reversed(places) if descending else places)
    values = [_sort_value(row, measure, side) for row in rows]
    known = [place for place in places if values[place] is not None]
    missing = [place for place in places if values[place] is None]
    return sorted(known, key=values.__getitem__, reverse=descending) + missing


def _sort_value(row: Mapping[str, Any], measure: str, side: int) -> Any:
    if measure == "input":
        return _code_units(row["input"])
    cell = row["cells"][side]
    if measure == "answer":
        return None if cell["error"] is not None else _code_units(cell["text"])
    return cell[measure]


def _code_units(text: str) -> bytes:
    """Return a text as JavaScript compares it."""
    return text.encode("utf-16-be", "surrogatepass")
