"""Read the classes of an estimator, and the answers that stand for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError, invalid_argument
from ..extras import import_extra
from ..prompts import is_missing

_multiclass = import_extra("sklearn.utils.multiclass", "LogprobClassifier")
_validation = import_extra("sklearn.utils.validation", "LogprobClassifier")

_PLACEHOLDER = re.compile(r"\{\w*\}")

Rows = NDArray[np.intp]


def read_classes(y: Any, size: int) -> tuple[NDArray[Any], Rows]:
    """Return the sorted classes, and the index of the class of each row.

    Parameters
    ----------
    y
        The class of each row.
    size
        The number of rows.

    Raises
    ------
    SettingError
        When the lengths differ, there are no rows, a class is missing, or texts are mixed with numbers.
    """
    if y is None:
        raise SettingError("y must be the class of each text; fit(X, y) requires y to be passed.", setting="y")
    if isinstance(y, str):
        raise invalid_argument("y", y, "a list with the class of each text")
    dtype = getattr(y, "dtype", None)
    if dtype is not None and not isinstance(dtype, np.dtype) and hasattr(y, "tolist"):
        y = y.tolist()  # pandas' own types of integers and booleans, which become floats otherwise
    if isinstance(y, list | tuple):
        _check_kinds(y)  # NumPy makes texts of all of them
    labels = _validation.column_or_1d(y, warn=True)
    if len(labels) != size:
        raise SettingError(
            f"y must have one class for each of the {size} texts, not {len(labels)}.", setting="y", value=len(labels)
        )
    if not size:
        raise SettingError("X must have at least one text.", setting="X", value=0)
    _check_kinds(labels.tolist())
    _multiclass.check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    return classes, codes


def _check_kinds(labels: Sequence[Any]) -> None:
    """Check that no class is missing, and that all are texts or none is."""
    for row, label in enumerate(labels):
        if is_missing(label):
            raise SettingError(f"y[{row}] is missing ({label}): drop such rows.", setting="y", value=label)
        if isinstance(label, str) != isinstance(labels[0], str):
            raise SettingError(
                f"y mixes texts with other classes ({labels[0]!r} and {label!r}): make all of them texts.",
                setting="y",
                value=label,
            )


def read_answers(labels: Any, classes: NDArray[Any]) -> list[tuple[str, list[str]]]:
    """Return the name and the spellings of each class.

    Parameters
    ----------
    labels
        A dict from classes to their spellings, a list of classes, or None for the classes themselves. Where the labels
        are texts and the classes the numbers 0, 1, …, as ``cross_val_predict`` encodes them, the numbers are the
        labels in sorted order.
    classes
        The classes.

    Raises
    ------
    SettingError
        When a class has no entry, or an entry is no text.
    """
    names = classes.tolist()
    if labels is None:
        return [(str(label), [str(label)]) for label in names]
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise invalid_argument("labels", labels, "a dict from each class to its spellings, or a list of classes")
    known = dict(labels) if isinstance(labels, Mapping) else {label: str(label) for label in labels}
    if names == list(range(len(known))) and all(isinstance(label, str) for label in known):
        names = _decode(known, is_list=not isinstance(labels, Mapping))
    missing = [label for label in names if label not in known]
    if missing:
        raise SettingError(
            f"labels has no entry for {', '.join(map(repr, missing))}, which y has; it has "
            f"{', '.join(map(repr, known)) or 'none'}.",
            setting="labels",
            value=missing,
        )
    answers: list[tuple[str, list[str]]] = []
    for label in names:
        forms = known[label]
        spellings = [forms] if isinstance(forms, str) else list(forms) if isinstance(forms, Iterable) else []
        if not spellings or not all(isinstance(text, str) for text in spellings):
            raise invalid_argument(f"labels[{label!r}]", forms, "a text or a list of texts")
        answers.append((str(label), spellings))
    return answers


def _decode(known: dict[Any, Any], *, is_list: bool) -> list[str]:
    """Return the labels that the numbers from 0 on stand for: in sorted order, as scikit-learn numbers them."""
    names = sorted(known)
    if is_list and names != list(known):
        # A reader may mean the order of the list.
        raise SettingError(
            f"y has numbers, and labels is a list of texts in another order than the sorted one: write "
            f"{dict(enumerate(names))!r} if the numbers are scikit-learn's, else the numbers of your own.",
            setting="labels",
            value=list(known),
        )
    return names


def check_named(template: Any, classes: NDArray[Any]) -> None:
    """Refuse to ask for the answers "0", "1", … where a template does not name them.

    ``cross_val_predict`` replaces classes by numbers, which a model without examples cannot know.

    Parameters
    ----------
    template
        The question.
    classes
        The classes, which are the answers.

    Raises
    ------
    SettingError
        When the classes are numbers from 0 on, and one is not in the template.
    """
    names = classes.tolist()
    # The texts of a conversation, in any of its turns.
    text = _PLACEHOLDER.sub(
        "", template if isinstance(template, str) else repr(getattr(template, "messages", template))
    )
    is_numbered = len(names) > 1 and names == list(range(len(names)))
    if is_numbered and not all(str(name) in text for name in names):
        is_boolean = isinstance(names[0], bool)
        raise SettingError(
            f"The classes are {'' if is_boolean else 'the numbers '}{', '.join(map(str, names))}, which template does "
            f"not name{'' if is_boolean else ' (cross_val_predict replaces classes by numbers)'}: give labels, a dict "
            "from each class to its spellings.",
            setting="labels",
        )
