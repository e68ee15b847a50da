"""Results of classify: one per input, and the sequence of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats
from ..printable import printable
from ..prompts import Conversation, Message, RawPrompt
from ..render.results import Row, Share, describe_mass, rows_to_html, shares_to_html
from ..render.scale import percent
from ..text.counts import pluralize
from ..warning import warn_of_rows

if TYPE_CHECKING:
    import pandas

    from ..response import APIResponse

    # Labels of a Series, or positions.
    RowLabels = pandas.Index | np.ndarray[Any, np.dtype[Any]]

# Rows of the table that a notebook shows.
_MOST_ROWS = 20
# Below this total probability on any answer, shares say little; few inputs prove nothing about a prompt.
LITTLE_MASS = 0.05
"""Probability on all answers together below which a share rests on almost nothing."""
_FEWEST_ROWS = 10


@dataclass(frozen=True, slots=True, repr=False)
class Classification:
    """Answer of a model to one input, with its probabilities and their bounds.

    Parameters
    ----------
    label
        The likeliest answer; None where no answer has any probability.
    probability
        The share of ``label`` among the answers, from 0 to 1.
    probabilities
        The share of each answer: its settled probability, normalised to add up to 1, and calibrated if you asked for
        it. Empty where nothing is settled on any answer.
    share_lower, share_upper
        Bounds of ``probabilities``, on the same scale: what is hidden or may still become an answer is given to the
        other answers, or to this one.
    lower, upper
        Bounds of the probability of each answer among all texts of the model; they hold despite hidden tokens.
    matched_mass
        The total probability on any answer, settled or attributed. ``probabilities`` rest on it: near 0 they say
        little.
    attributed_mass
        The part of ``matched_mass`` on texts that are not settled, but can become one answer only.
    decided
        True where ``label`` is the likeliest answer, whatever hidden tokens and unfinished texts become. False on
        doubt.
    uncalibrated
        ``probabilities`` before calibration; the same without calibration.
    loglik
        The log-likelihood (nats) of each answer's text, with ``method="exact"``; else None.
    responses
        The responses for this input.
    error_message
        The reason why there is no result, or None.

    Examples
    --------
    >>> from deluge_nb import LLMClient, RawPrompt, classify
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
    >>> question = RawPrompt("Review: {0} Sentiment:")
    >>> result = classify(["I loved it."], ["good", "bad"], client, template=question, show_progress=False)[0]
    >>> result.label, result.is_error
    ('good', False)
    >>> result.lower["good"] <= result.upper["good"]
    True
    """

    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    share_lower: dict[str, float]
    share_upper: dict[str, float]
    lower: dict[str, float]
    upper: dict[str, float]
    matched_mass: float
    attributed_mass: float
    decided: bool
    uncalibrated: dict[str, float]
    loglik: dict[str, float] | None = None
    responses: tuple[APIResponse, ...] = field(default=(), repr=False)
    error_message: str | None = None

    @property
    def is_error(self) -> bool:
        """True where there is no result."""
        return self.error_message is not None

    def __repr__(self) -> str:
        if self.error_message is not None:
            return f"Classification(no result: {self.error_message})"
        answer = "no answer" if self.label is None else f"{self.label!r} {percent(self.probability or 0.0)}"
        return f"Classification({answer}, {describe_mass(self.matched_mass, self.decided)})"

    def _repr_html_(self) -> str:
        if self.error_message is not None:
            return shares_to_html([], f"No result: {self.error_message}")
        shares = [
            Share(name, share, self.share_lower.get(name, 0.0), self.share_upper.get(name, 1.0))
            for name, share in sorted(self.probabilities.items(), key=lambda item: -item[1])
        ]
        return shares_to_html(shares, describe_mass(self.matched_mass, self.decided))


class Classifications(Sequence[Classification]):
    """Results of :func:`deluge_nb.classify`, in the order of the inputs.

    Parameters
    ----------
    results
        One result per input.
    inputs
        The inputs, for :meth:`to_pandas`.
    names
        The answers; empty where each input has its own.
    method
        The method that gave the probabilities.
    index
        The labels of the rows, one per input: the index of the Series that held the inputs, if it was one.

    Examples
    --------
    >>> from deluge_nb import LLMClient, RawPrompt, classify
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
    >>> question, reviews = RawPrompt("Review: {0} Sentiment:"), ["I loved it.", "A waste of time."]
    >>> results = classify(reviews, ["positive", "negative"], client, template=question, show_progress=False)
    >>> results
    Classifications(2 inputs, positive / negative, by first-token)
    >>> results.labels, results.probabilities.shape
    (['positive', 'negative'], (2, 2))
    """

    __slots__ = ("_index", "_inputs", "_results", "method", "names")

    def __init__(
        self,
        results: Sequence[Classification],
        inputs: Sequence[Any],
        names: Sequence[str],
        method: str,
        *,
        index: RowLabels | None = None,
    ) -> None:
        self._results, self._inputs = list(results), list(inputs)
        self.names = tuple(names)
        """Answers, in the order of the columns; empty where each input has its own."""
        self.method = method
        """Method that gave the probabilities: ``"first-token"``, ``"trie"`` or ``"exact"``."""
        self._index = index

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Classification: ...
    @overload
    def __getitem__(self, index: slice) -> Classifications: ...
    def __getitem__(self, index: int | slice) -> Classification | Classifications:
        if isinstance(index, slice):
            return self._take(range(len(self))[index])
        return self._results[index]

    def __iter__(self) -> Iterator[Classification]:
        return iter(self._results)

    # As in pandas. A sequence's method of this name, which finds an equal item, has no use for results.
    @property
    def index(self) -> RowLabels | None:  # type: ignore[override]
        """Index of the Series that held the inputs; None where they came as something else."""
        return self._index

    @property
    def inputs(self) -> list[Any]:
        """Inputs as they were given: texts, prompts, or the values of a template."""
        return list(self._inputs)

    @property
    def labels(self) -> list[str | None]:
        """Likeliest answer to each input; None where there is none."""
        return [result.label for result in self._results]

    @property
    def probability(self) -> Floats:
        """Share of the likeliest answer, from 0 to 1, shape (n,); NaN where there is none."""
        return np.array([np.nan if result.probability is None else result.probability for result in self._results])

    @property
    def probabilities(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Share of each answer, from 0 to 1, shape (n, number of answers); NaN where nothing is known.

        Where each input has its own answers, an array of shape (n,) that holds one array per input.
        """
        if self.names:
            rows = [_shares(result, self.names) for result in self._results]
            return np.array(rows, np.float64).reshape(len(rows), len(self.names))
        own = np.empty(len(self), object)
        # The bounds name every answer, also where nothing is settled on any.
        own[:] = [np.array(_shares(result, tuple(result.upper)), np.float64) for result in self._results]
        return own

    def review(self, n: int = 10) -> Classifications:
        """Return the results that most need a person to look at them, the worst first.

        Failed inputs come first, then inputs without an answer, then the others by rising ``probability`` ×
        ``matched_mass``: a small share, or a share that rests on little.

        Parameters
        ----------
        n
            The largest number of results to return.

        Returns
        -------
        Classifications
            The results. Their ``index`` has the labels of their rows, or else their positions.

        Raises
        ------
        SettingError
            When ``n`` is no whole number from 0 on.

        Examples
        --------
        >>> from deluge_nb import LLMClient, RawPrompt, classify
        >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
        >>> question, reviews = RawPrompt("Review: {0} Sentiment:"), ["I loved it.", "It was red.", "A waste of time."]
        >>> results = classify(reviews, ["positive", "negative"], client, template=question, show_progress=False)
        >>> len(results.review(1))
        1
        """
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise invalid_argument("n", n, "a whole number of at least 0")
        rows = self._worst_first()[:n]
        return self._take(rows, np.array(rows, np.int64) if self._index is None else None)

    def to_pandas(self, *, details: bool = False) -> pandas.DataFrame:
        """Return the results as a data frame, with the index of the Series that held the inputs.

        Parameters
        ----------
        details
            Add the share of each answer X with its bounds: ``p_X``, ``p_lower_X`` and ``p_upper_X``, all on one scale.
            Where each input has its own answers, add ``probabilities``, ``share_lower`` and ``share_upper``.

        Returns
        -------
        pandas.DataFrame
            One row per input, with the columns ``input``, ``label``, ``probability`` (the share of the label),
            ``matched_mass``, ``decided`` and ``error`` (the reason why there is no result).

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.

        Examples
        --------
        >>> from deluge_nb import LLMClient, RawPrompt, classify
        >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
        >>> question = RawPrompt("Review: {0} Sentiment:")
        >>> results = classify(["I loved it."], ["good", "bad"], client, template=question, show_progress=False)
        >>> list(results.to_pandas(details=True).columns[6:])
        ['p_good', 'p_lower_good', 'p_upper_good', 'p_bad', 'p_lower_bad', 'p_upper_bad']
        """
        pd = import_extra("pandas", "to_pandas()")
        results = self._results
        columns: list[tuple[str, Any]] = [
            ("input", list(map(format_value, self._inputs))),
            ("label", self.labels),
            ("probability", self.probability),
            ("matched_mass", [result.matched_mass for result in results]),
            ("decided", [result.decided for result in results]),
            ("error", [result.error_message for result in results]),
        ]
        if details and self.names:
            for name in self.names:
                columns += [
                    (f"p_{name}", [result.probabilities.get(name, np.nan) for result in results]),
                    (f"p_lower_{name}", [result.share_lower.get(name, np.nan) for result in results]),
                    (f"p_upper_{name}", [result.share_upper.get(name, np.nan) for result in results]),
                ]
        elif details:
            for name in ("probabilities", "share_lower", "share_upper"):
                columns.append((name, [getattr(result, name) for result in results]))
        # By position first: an answer may be called "lower_x", and no column may replace another of the same name.
        frame = pd.DataFrame({position: values for position, (_, values) in enumerate(columns)}, index=self._index)
        frame.columns = [name for name, _ in columns]
        return frame

    def _worst_first(self) -> list[int]:
        def need(row: int) -> tuple[bool, float]:
            result = self._results[row]
            return not result.is_error, (result.probability or 0.0) * result.matched_mass

        return sorted(range(len(self)), key=need)

    def _take(self, rows: Sequence[int], positions: RowLabels | None = None) -> Classifications:
        index = positions if self._index is None else self._index[list(rows)]
        results, inputs = ([entries[row] for row in rows] for entries in (self._results, self._inputs))
        return Classifications(results, inputs, self.names, self.method, index=index)

    def __repr__(self) -> str:
        failed = sum(result.is_error for result in self._results)
        failures = f", {failed} failed" if failed else ""
        answers = printable(" / ".join(self.names)) or ("different answers" if len(self) else "no answers")
        return f"Classifications({pluralize(len(self), 'input')}, {answers}, by {self.method}{failures})"

    def _repr_html_(self) -> str:
        places = range(len(self)) if self._index is None else self._index
        rows = []
        for position in self._worst_first()[:_MOST_ROWS]:
            result = self._results[position]
            text = format_value(self._inputs[position])
            label, share, mass = result.label, result.probability, result.matched_mass
            rows.append(Row(str(places[position]), text, label, share, mass, result.decided, result.error_message))
        return rows_to_html(rows, len(self) - len(rows), f"{self!r}, those that need a look first")


def warn_of_little_mass(masses: Sequence[float | None]) -> None:
    """Warn once where most results have little probability on any answer: the shares then rest on almost nothing.

    Parameters
    ----------
    masses
        ``matched_mass`` of the results of one call; None for an input without a result.
    """
    known = [mass for mass in masses if mass is not None]
    little = sum(mass < LITTLE_MASS for mass in known)
    message = describe_little_mass(little, len(known), "input")
    if message is not None:
        warn_of_rows(message)


def describe_little_mass(little: int, rows: int, noun: str) -> str | None:
    """Return a sentence for a call most of whose rows have less probability on any answer than ``LITTLE_MASS``.

    Parameters
    ----------
    little, rows
        How many have so little, and how many there are.
    noun
        Name of a row.
    """
    if rows < _FEWEST_ROWS or little <= rows / 2:
        return None
    return (
        f"{little:,} of {rows:,} {noun}s have less than {percent(LITTLE_MASS)} of the probability on any label: does "
        "the prompt name them?"
    )


def _shares(result: Classification, names: Sequence[str]) -> list[float]:
    return [result.probabilities.get(name, np.nan) for name in names]


def format_value(value: Any) -> str:
    """Return an input as the text of a table cell.

    Parameters
    ----------
    value
        A text, a prompt, or the values of a template.

    Returns
    -------
    str
        The text; the parts of a prompt or of several values are separated by a bar.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, RawPrompt):
        return value.text
    if isinstance(value, Message):
        return f"{value.role}: {value.content}"
    if isinstance(value, Conversation):
        begun = () if value.prefill is None else (Message("assistant", f"{value.prefill}…"),)
        return format_value([*value.messages, *begun])
    if isinstance(value, Mapping):
        if "role" in value and "content" in value:
            return f"{value['role']}: {value['content']}"
        return " | ".join(f"{name}: {part}" for name, part in value.items())
    if isinstance(value, Sequence):
        return " | ".join(map(format_value, value))
    return str(value)


def failed_result(names: Sequence[str], reason: str, responses: Sequence[APIResponse] = ()) -> Classification:
    """Return the result of an input that has none: no label, and bounds that exclude nothing."""
    return Classification(
        None,
        None,
        {},
        {},
        {},
        dict.fromkeys(names, 0.0),
        dict.fromkeys(names, 1.0),
        0.0,
        0.0,
        False,
        {},
        responses=tuple(responses),
        error_message=reason,
    )
