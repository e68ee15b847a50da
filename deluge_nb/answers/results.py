"""What classify returns: one result for each input, and all of them as a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..extras import import_extra
from ..logprobs.columns import Floats

if TYPE_CHECKING:
    import pandas

    from ..response import APIResponse


@dataclass(frozen=True, slots=True)
class Classification:
    """Which answer a model gives to an input, and how sure that is.

    Parameters
    ----------
    label
        The likeliest answer; None where nothing is known.
    probability
        Its share among the answers.
    probabilities
        The share of each: what is settled on it, made to add up to 1, and calibrated where that was asked for. Empty
        where nothing is settled on any answer.
    lower, upper
        Between which the probability of each lies among all that the model could say, whatever is hidden.
    matched_mass
        How much is settled on any answer: what ``probabilities`` rest on. Near 0 they say little.
    certified
        Whether ``label`` is the likeliest answer whatever is hidden.
    uncalibrated
        ``probabilities`` before calibration; the same where none was asked for.
    loglik
        The log-likelihood (nats) of each answer's text, where that is what was asked for.
    responses
        What came back for this input.
    error_message
        Why there is no result, or None.
    """

    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    lower: dict[str, float]
    upper: dict[str, float]
    matched_mass: float
    certified: bool
    uncalibrated: dict[str, float]
    loglik: dict[str, float] | None = None
    responses: tuple[APIResponse, ...] = field(default=(), repr=False)
    error_message: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether there is no result."""
        return self.error_message is not None


class Classifications(Sequence[Classification]):
    """The results of :func:`deluge_nb.classify`, in the order of the inputs."""

    __slots__ = ("_inputs", "_results", "method", "names")

    def __init__(
        self, results: Sequence[Classification], inputs: Sequence[Any], names: Sequence[str], method: str
    ) -> None:
        self._results, self._inputs = list(results), list(inputs)
        self.names = tuple(names)
        """The answers, in the order of the columns; none where inputs have answers of their own."""
        self.method = method
        """How the probabilities were had: ``"first-token"``, ``"trie"`` or ``"exact"``."""

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
        """The likeliest answer to each input."""
        return [one.label for one in self._results]

    @property
    def probability(self) -> Floats:
        """The share of the likeliest answer, shape (n,); NaN where there is none."""
        return np.array([np.nan if one.probability is None else one.probability for one in self._results])

    @property
    def probabilities(self) -> Floats:
        """The share of each answer, shape (n, number of answers); NaN where nothing is known."""
        rows = [[one.probabilities.get(name, np.nan) for name in self.names] for one in self._results]
        return np.array(rows, np.float64).reshape(len(rows), len(self.names))

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame with one row for each input.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        pd = import_extra("pandas", "to_pandas()")
        columns: dict[str, Any] = {
            "input": [format_value(one) for one in self._inputs],
            "label": self.labels,
            "probability": self.probability,
            "matched_mass": [one.matched_mass for one in self._results],
            "certified": [one.certified for one in self._results],
        }
        for place, name in enumerate(self.names):
            columns[f"p({name})"] = self.probabilities[:, place]
            columns[f"lower({name})"] = [one.lower.get(name, np.nan) for one in self._results]
            columns[f"upper({name})"] = [one.upper.get(name, np.nan) for one in self._results]
        if not self.names:
            columns["probabilities"] = [one.probabilities for one in self._results]
        columns["error"] = [one.error_message for one in self._results]
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        failed = sum(one.is_error for one in self._results)
        told = f", {failed} failed" if failed else ""
        among = " / ".join(self.names) or "answers of their own"
        return f"Classifications({len(self)} inputs, {among}, by {self.method}{told})"


def format_value(value: Any) -> str:
    """An input as a cell of a table."""
    text = getattr(value, "text", value)
    if isinstance(text, str):
        return text
    if isinstance(text, tuple | list) and all(isinstance(one, str) for one in text):
        return " | ".join(text)
    return repr(text)


def failed_result(names: Sequence[str], reason: str, responses: Sequence[APIResponse] = ()) -> Classification:
    """The result where there is none."""
    return Classification(
        None,
        None,
        {},
        dict.fromkeys(names, 0.0),
        dict.fromkeys(names, 1.0),
        0.0,
        False,
        {},
        responses=tuple(responses),
        error_message=reason,
    )
