"""Progress of a job: counts that grow with each finished part, and the rows of parts under way."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..answers.results import LITTLE_MASS

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 20
"""Bars of the histogram of shares."""
# Distinct reasons that are counted, and characters of each: a server can send one of its own for each row.
_MOST_REASONS = 1000
_LONGEST_REASON = 500


@dataclass
class Progress:
    """Progress of a job: parts, rows, failures, shares and cost so far.

    Parameters
    ----------
    rows, questions, parts
        All rows, different questions and parts of the job.
    parts_done, rows_done
        Parts that are finished, and their rows.
    rows_asked
        Rows that this run has asked, of the parts that it finished.
    failures, transient
        Questions that failed, by reason, and how many of them for a reason that may be gone.
    cost
        Cost in US dollars; None where no server reports it.
    shares
        Histogram of the shares of the likeliest label.
    with_mass, little_mass
        Answers whose probability on any label is known, and how many of them have little.
    under_way
        Rows that are done of each part under way, as far as the engine knows.
    began, ended
        Times of a monotonic clock.
    stopped_by
        Name of the exception that ended the run early.
    cell
        Number of the notebook's cell that shows the live card; None without one.
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
    with_mass: int = 0
    little_mass: int = 0
    under_way: dict[int, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    stopped_by: str = ""
    cell: int | None = None

    def add(self, answers: pa.Table, rows: int, *, is_new: bool) -> None:
        """Add the answers of a part, of which a number of rows was not done before."""
        self.parts_done += 1
        self.rows_done += rows
        self.rows_asked += rows if is_new else 0
        for reason in answers["error"].drop_null().to_pylist():
            short = reason[:_LONGEST_REASON]
            is_listed = short in self.failures or len(self.failures) < _MOST_REASONS
            self.failures[short if is_listed else "other reasons"] += 1
        self.transient += int(np.count_nonzero(answers["is_transient"].to_numpy()))
        costs = answers["cost"].drop_null().to_numpy()
        if len(costs):
            self.cost = (self.cost or 0.0) + float(costs.sum())
        masses = answers["matched_mass"].drop_null().to_numpy()
        self.with_mass += len(masses)
        self.little_mass += int(np.count_nonzero(masses < LITTLE_MASS))
        shares = answers["probability"].drop_null().to_numpy()
        counts, _ = np.histogram(shares, BINS, (0.0, 1.0))
        self.shares = [before + int(count) for before, count in zip(self.shares, counts, strict=True)]

    def describe_failed(self) -> str:
        """Return how many rows failed, or questions where equal ones were asked once."""
        noun = "row" if self.questions == self.rows else "question"
        return f"{self.failed:,} of {self.questions:,} {noun}{'' if self.questions == 1 else 's'}"

    def finish(self, stopped_by: str = "") -> None:
        """Stop the clock.

        Parameters
        ----------
        stopped_by
            Name of the exception that ends the run early.
        """
        self.ended, self.stopped_by = time.monotonic(), stopped_by
        self.under_way.clear()

    @property
    def failed(self) -> int:
        """Questions that failed."""
        return sum(self.failures.values())

    @property
    def rows_seen(self) -> int:
        """Rows that are done, those of unfinished parts included."""
        return min(self.rows_done + int(sum(self.under_way.values())), self.rows)

    @property
    def seconds(self) -> float:
        """Seconds since this run began, or that it took."""
        return (time.monotonic() if self.ended is None else self.ended) - self.began

    @property
    def rate(self) -> float | None:
        """Rows a second of this run; None before the first row."""
        asked = self.rows_asked + sum(self.under_way.values())
        return asked / self.seconds if asked and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the seconds until the end; None before the first row."""
        return (self.rows - self.rows_seen) / self.rate if self.rate else None
