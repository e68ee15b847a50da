"""Results of classify: one per input, and the sequence of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..extras import import_extra
from ..logprobs.columns import Floats
from ..text.counts import pluralize

if TYPE_CHECKING:
    import pandas

    from ..response import APIResponse


@dataclass(frozen=True, slots=True)
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

    __slots__ = ("_inputs", "_results", "method", "names")

    def __init__(
        self, results: Sequence[Classification], inputs: Sequence[Any], names: Sequence[str], method: str
    ) -> None:
        self._results, self._inputs = list(results), list(inputs)
        self.names = tuple(names)
        """Answers, in the order of the columns; empty where each input has its own."""
        self.method = method
        """Method that gave the probabilities: ``"first-token"``, ``"trie"`` or ``"exact"``."""

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Classification: ...
    @overload
    def __getitem__(self, index: slice) -> Classifications: ...
    def __getitem__(self, index: int | slice) -> Classification | Classifications:
        if isinstance(index, slice):
            return Classifications(self._results[index], self._inputs[index], self.names, self.method)
        return self._results[index]

    def __iter__(self) -> Iterator[Classification]:
        return iter(self._results)

    @property
    def labels(self) -> list[str | None]:
        """Likeliest answer to each input; None where there is none."""
        return [result.label for result in self._results]

    @property
    def probability(self) -> Floats:
        """Share of the likeliest answer, from 0 to 1, shape (n,); NaN where there is none."""
        return np.array([np.nan if result.probability is None else result.probability for result in self._results])

    @property
    def probabilities(self) -> Floats:
        """Share of each answer, from 0 to 1, shape (n, number of answers); NaN where nothing is known."""
        rows = [[result.probabilities.get(name, np.nan) for name in self.names] for result in self._results]
        return np.array(rows, np.float64).reshape(len(rows), len(self.names))

    def to_pandas(self) -> pandas.DataFrame:
        """Return the results as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per input: the input, its likeliest answer with its share, the share and bounds of each answer, and
            the error of a failed request.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        pd = import_extra("pandas", "to_pandas()")
        columns: dict[str, Any] = {
            "input": [format_value(value) for value in self._inputs],
            "label": self.labels,
            "probability": self.probability,
            "matched_mass": [result.matched_mass for result in self._results],
            "decided": [result.decided for result in self._results],
        }
        for column, name in enumerate(self.names):
            columns[f"p({name})"] = self.probabilities[:, column]
            columns[f"lower({name})"] = [result.lower.get(name, np.nan) for result in self._results]
            columns[f"upper({name})"] = [result.upper.get(name, np.nan) for result in self._results]
        if not self.names:
            columns["probabilities"] = [result.probabilities for result in self._results]
        columns["error"] = [result.error_message for result in self._results]
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        failed = sum(result.is_error for result in self._results)
        failures = f", {failed} failed" if failed else ""
        answers = " / ".join(self.names) or "different answers"
        return f"Classifications({pluralize(len(self), 'input')}, {answers}, by {self.method}{failures})"


def format_value(value: Any) -> str:
    """Return an input as the text of a table cell."""
    text = getattr(value, "text", value)
    if isinstance(text, str):
        return text
    if isinstance(text, tuple | list) and all(isinstance(part, str) for part in text):
        return " | ".join(text)
    return repr(text)


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
