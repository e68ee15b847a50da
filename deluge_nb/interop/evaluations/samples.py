"""Samples of an evaluation: what was asked and answered, how probable it was, and whether it was right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ...extras import import_extra
from ...logprobs.columns import Floats
from ...logprobs.table import Logprobs
from ...text.counts import pluralize

if TYPE_CHECKING:
    import pandas


def as_text(value: Any) -> str:
    """Return a text, the texts of messages or parts, or several targets, a line each; empty for any other value."""
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(value.get("content", value.get("text")))
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


@dataclass(frozen=True, slots=True)
class LoggedSample:
    """One sample of an evaluation, as it was logged.

    Parameters
    ----------
    id, epoch
        The sample's name or number, and its repetition, from 1.
    input, target, answer
        The question, the right answer, and the model's answer; None where the log has none.
    probability
        How probable the answer was, from 0 to 1: the product over its tokens, or the share among the options. None
        without log-probabilities, or where one of them is missing.
    correct
        1 for a right answer, 0 for a wrong one; None where the score is neither.
    logprobs
        The tokens of the answer, for :class:`LogprobView`; None where the log has none.
    options
        The log-likelihood (nats) of each option, where options were compared.
    scores
        The value of each scorer or metric.
    stop_reason
        Why the answer ended, in OpenAI's words.
    error
        Why there is no answer, or None.
    filter
        The filter of lm-eval that took the answer out of what the model wrote; None where there was none.

    Examples
    --------
    >>> from deluge_nb import LoggedSample
    >>> sample = LoggedSample(1, 1, "Is 7 prime?", "Yes", "Yes", probability=0.9, correct=1.0)
    >>> sample.answer, sample.logprobs is None
    ('Yes', True)
    """

    id: str | int
    epoch: int
    input: str
    target: str
    answer: str | None
    probability: float | None
    correct: float | None
    logprobs: Logprobs | None = field(default=None, repr=False)
    options: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    error: str | None = None
    filter: str | None = None


class LoggedSamples(Sequence[LoggedSample]):
    """Samples of a log, in its order.

    Parameters
    ----------
    samples
        The samples.
    source
        Name of the tool and the task.

    Examples
    --------
    >>> from deluge_nb import LoggedSample, LoggedSamples
    >>> log = LoggedSamples([LoggedSample(1, 1, "Is 7 prime?", "Yes", "Yes", 0.9, 1.0)], "Inspect's primes")
    >>> log.confidence.tolist(), log.correct.tolist()
    ([0.9], [1.0])
    """

    __slots__ = ("_samples", "source")

    def __init__(self, samples: Sequence[LoggedSample], source: str) -> None:
        self._samples = list(samples)
        self.source = source
        """Name of the tool and the task."""

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> LoggedSample: ...
    @overload
    def __getitem__(self, index: slice) -> LoggedSamples: ...
    def __getitem__(self, index: int | slice) -> LoggedSample | LoggedSamples:
        if isinstance(index, slice):
            return LoggedSamples(self._samples[index], self.source)
        return self._samples[index]

    def __iter__(self) -> Iterator[LoggedSample]:
        return iter(self._samples)

    @property
    def confidence(self) -> Floats:
        """Probabilities of the answers that have one and are right or wrong, for :class:`CalibrationReport`."""
        return np.array([sample.probability for sample in self._rated()], np.float64)

    @property
    def correct(self) -> Floats:
        """Outcomes of the same answers: 1 for a right one, 0 for a wrong one."""
        return np.array([sample.correct for sample in self._rated()], np.float64)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the samples as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per sample and epoch, with the fields of :class:`LoggedSample` as columns.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        pd = import_extra("pandas", "to_pandas()")
        names = [column.name for column in fields(LoggedSample)]
        return pd.DataFrame({name: [getattr(sample, name) for sample in self._samples] for name in names})

    def _rated(self) -> list[LoggedSample]:
        return [sample for sample in self._samples if sample.probability is not None and sample.correct is not None]

    def __repr__(self) -> str:
        scored = sum(sample.logprobs is not None or bool(sample.options) for sample in self._samples)
        return f"LoggedSamples({pluralize(len(self), 'sample')} of {self.source}, {scored} with log-probabilities)"
