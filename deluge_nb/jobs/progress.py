"""Progress of a job: counts that grow by one part at a time."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 20
"""Bars of the histogram of shares."""
_MOST_REASONS = 1000


@dataclass
class Progress:
    """Progress of a job: parts, rows, failures, shares and cost so far.

    Parameters
    ----------
    rows, questions, parts
        All rows, different questions and parts of the job.
    """

    rows: int
    questions: int
    parts: int
    parts_done: int = 0
    rows_done: int = 0
    rows_asked: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    transient: int = 0
    cost: float | None = None
    shares: list[int] = field(default_factory=lambda: [0] * BINS)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    def add(self, answers: pa.Table, rows: int, *, is_new: bool) -> None:
        """Add the answers of a part that has a number of rows."""
        self.parts_done += 1
        self.rows_done += rows
        self.rows_asked += answers.num_rows if is_new else 0
        for reason in answers["error"].drop_null().to_pylist():
            is_listed = reason in self.failures or len(self.failures) < _MOST_REASONS
            self.failures[reason if is_listed else "other reasons"] += 1
        self.transient += int(np.count_nonzero(answers["is_transient"].to_numpy()))
        costs = answers["cost"].drop_null().to_numpy()
        if len(costs):
            self.cost = (self.cost or 0.0) + float(costs.sum())
        shares = answers["probability"].drop_null().to_numpy()
        counts, _ = np.histogram(shares, BINS, (0.0, 1.0))
        self.shares = [before + int(count) for before, count in zip(self.shares, counts, strict=True)]

    def describe_failed(self) -> str:
        """Return how many rows failed, or questions where equal ones were asked once."""
        return f"{self.failed:,} of {self.questions:,} {'rows' if self.questions == self.rows else 'questions'}"

    def finish(self) -> None:
        """Stop the clock."""
        self.ended = time.monotonic()

    @property
    def failed(self) -> int:
        """Questions that failed."""
        return sum(self.failures.values())

    @property
    def seconds(self) -> float:
        """Seconds since this run began, or that it took."""
        return (time.monotonic() if self.ended is None else self.ended) - self.began

    @property
    def rate(self) -> float | None:
        """Rows a second that this run asked; None before the first part."""
        return self.rows_asked / self.seconds if self.rows_asked and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the seconds until the end; None before the first part."""
        return (self.rows - self.rows_done) / self.rate if self.rate else None
