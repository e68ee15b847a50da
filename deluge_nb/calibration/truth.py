"""Pair the results of a classification with the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from ..errors import SettingError
from ..logprobs.columns import Floats
from ..prompts.prompt import is_missing, to_list
from ..text.counts import pluralize
from ..warning import warn

# Labels that a message names.
_MOST_NAMED = 5
# Characters of a value in a message.
_EXCERPT = 60


class LabelledResults(Protocol):
    """Results with a label and its probability for each input, such as those of :func:`deluge_nb.classify`."""

    @property
    def labels(self) -> Sequence[str | None]:
        """Likeliest answer to each input; None where there is none."""
        ...

    @property
    def probability(self) -> Floats:
        """Share of each label, shape (n,); NaN where there is none."""
        ...


def pair_with_truth(found: LabelledResults, truth: Iterable[Any]) -> tuple[Floats, Floats, int]:
    """Return confidences, outcomes, and the number of rows left out: failed ones, and those without a truth."""
    labels = list(found.labels)
    if isinstance(truth, str | bytes) or hasattr(truth, "columns") or not isinstance(truth, Iterable):
        raise SettingError(
            f"truth must be one column of labels, such as df['truth'], not {type(truth).__name__}.",
            setting="truth",
            value=truth,
        )
    true = to_list(truth)
    if len(labels) != len(true):
        raise SettingError(
            f"truth must have one label for each of the {pluralize(len(labels), 'result')}, not {len(true)}.",
            setting="truth",
            value=len(true),
        )
    _check_index(_read_index(found), _read_index(truth))
    confidence: list[float] = []
    correct: list[float] = []
    # Empty where each input has answers of its own.
    names = tuple(getattr(found, "names", ()))
    others: list[tuple[int, str]] = []
    for row, (label, probability, right) in enumerate(zip(labels, found.probability, true, strict=True)):
        if is_missing(right) or label is None or is_missing(probability):
            continue
        if not isinstance(right, str):
            remedy = "; pass truth.astype(str)" if str(right) in names else ""
            raise SettingError(
                f"truth[{row}] must be a label (text, such as {label!r}) or missing, not {right!r}{remedy}.",
                setting=f"truth[{row}]",
                value=right,
            )
        if names and right not in names:
            others.append((row, right))
        confidence.append(float(probability))
        correct.append(float(right == label))
    if not confidence:
        raise SettingError(
            f"Nothing is left to report on: of {pluralize(len(labels), 'result')}, each failed or has no truth.",
            setting="truth",
            value=len(labels),
        )
    if others:
        _report_others(others, len(confidence), names)
    return np.array(confidence), np.array(correct), len(labels) - len(confidence)


def _report_others(others: list[tuple[int, str]], rows: int, names: Sequence[str]) -> None:
    """Warn of truths that are no label, given with their rows; raise an error where none is one."""
    row, value = others[0]
    listed = ", ".join(map(repr, names[:_MOST_NAMED])) + ", …" * (len(names) > _MOST_NAMED)
    shown = f"truth[{row}] is {value if len(value) <= _EXCERPT else value[: _EXCERPT - 1] + '…'!r}"
    if len(others) == rows:
        message = f"truth must hold labels ({listed}), written in the same way, and holds none of them: {shown}."
        raise SettingError(message, setting="truth", value=value)
    count = len(others)
    warn(
        f"{pluralize(count, 'truth')} {'is' if count == 1 else 'are'} none of the labels ({listed}), so "
        f"{'its row counts' if count == 1 else 'their rows count'} as wrong: {shown}."
    )


def _read_index(values: Any) -> Any:
    """Return the index of a Series or of results that keep one; None for other sequences, whose index is a method."""
    index = getattr(values, "index", None)
    return None if callable(index) else index


def _check_index(found: Any, truth: Any) -> None:
    if found is None or truth is None:
        return
    # The rows of a part of results without an index are numbered by an array.
    equals = found.equals(truth) if hasattr(found, "equals") else list(found) == list(truth)
    if not equals:
        raise SettingError(
            "truth has another index than the results, so its rows may belong to other inputs: reorder it by the index "
            "of the frame that was asked, as with truth.loc[df.index], or pass truth.to_numpy() if the order is right.",
            setting="truth",
            value=list(truth[:3]),
        )
