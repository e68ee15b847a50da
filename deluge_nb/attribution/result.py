"""The influence of the parts of a prompt on an answer."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from ..extras import import_extra
from ..paths import write_file
from ..printable import printable
from ..render.comparison import format_signed
from ..render.influence import ColoredPart, LabeledText, excerpt, to_html, to_text
from ..text.counts import pluralize

if TYPE_CHECKING:
    import pandas
    import polars

    from ..client.calls.estimates import DryRun
    from .beginning import Likelihood
    from .parts import Text


@dataclass(frozen=True, slots=True)
class PartInfluence:
    """Influence of one part of a prompt on an answer.

    Parameters
    ----------
    part
        The text of the part.
    begin, end
        Its place in :attr:`Influence.text`, in code points.
    delta_nats
        Log-probability of the answer after the whole prompt, less that after the prompt without the part: above 0
        where the part made the answer likelier. NaN where it is not known.
    delta_low, delta_high
        The least and the most that it can be; equal where the answer itself was read.
    message
        Number of its message, from 0; 0 for raw text.
    error
        The reason why nothing is known, or None.
    note
        Remark of the client about the reading, such as a window, or None.

    Examples
    --------
    >>> from deluge_nb import influence
    >>> first = influence("Paris is in France. The capital of France is", " Paris")[0]
    >>> first.part, first.delta_nats > 0
    ('Paris is in France.', True)
    """

    part: str
    begin: int
    end: int
    delta_nats: float
    delta_low: float
    delta_high: float
    message: int = 0
    error: str | None = None
    note: str | None = None


class Influence(Sequence[PartInfluence]):
    """Influence of each part of a prompt on an answer, as :func:`influence` returns it.

    In a notebook it shows the prompt, coloured: blue with a line above where a part makes the answer likelier, orange
    with a line below where it makes it less likely. The colour is at its strongest for the largest influence, and for 2
    nats if all are smaller.

    Parameters
    ----------
    parts
        The parts in the order of the prompt, or of the given spans.
    texts
        The texts of the prompt.
    answer
        The answer.
    likelihood
        Its log-probability after the whole prompt.
    model
        Name of the model.
    method
        ``"given-text"`` or ``"alternatives"``.
    estimate
        The requests and tokens that were expected.
    note
        Remark about the answer after the whole prompt, or None.

    Examples
    --------
    >>> from deluge_nb import influence
    >>> result = influence("Paris is in France. The capital of France is", " Paris")
    >>> len(result), result.answer, result.method
    (2, ' Paris', 'given-text')
    >>> result.to_pandas()["part"].tolist()
    ['Paris is in France.', 'The capital of France is']
    """

    __slots__ = ("_likelihood", "_parts", "_texts", "answer", "estimate", "method", "model", "note")

    def __init__(
        self,
        parts: Sequence[PartInfluence],
        texts: Sequence[Text],
        answer: str,
        likelihood: Likelihood,
        *,
        model: str,
        method: str,
        estimate: DryRun,
        note: str | None = None,
    ) -> None:
        self._parts, self._texts, self._likelihood = tuple(parts), tuple(texts), likelihood
        self.answer = answer
        """The answer."""
        self.model = model
        """Name of the model."""
        self.method = method
        """``"given-text"`` where the answer was read; ``"alternatives"`` where its beginning was looked up."""
        self.estimate = estimate
        """Requests, tokens and cost, as they were estimated before the model was asked."""
        self.note = note
        """Remark about the answer after the whole prompt, or None."""

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, index: int) -> PartInfluence: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PartInfluence]: ...
    def __getitem__(self, index: int | slice) -> PartInfluence | Sequence[PartInfluence]:
        return self._parts[index]

    def __iter__(self) -> Iterator[PartInfluence]:
        return iter(self._parts)

    @property
    def text(self) -> str:
        """Text of the prompt, in which ``begin`` and ``end`` count; of a chat, all texts of its messages end to end."""
        return "".join(text.content for text in self._texts)

    @property
    def logprob(self) -> float:
        """Log-probability of the answer after the whole prompt in nats; NaN where it is not known."""
        return self._likelihood.value

    @property
    def logprob_low(self) -> float:
        """The least that :attr:`logprob` can be."""
        return self._likelihood.low

    @property
    def logprob_high(self) -> float:
        """The most that :attr:`logprob` can be."""
        return self._likelihood.high

    def to_pandas(self) -> pandas.DataFrame:
        """Return the parts as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row for each part, with the columns of :class:`PartInfluence`.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.

        Examples
        --------
        >>> from deluge_nb import influence
        >>> frame = influence("Paris is in France. The capital of France is", " Paris").to_pandas()
        >>> list(frame.columns)[:4]
        ['part', 'begin', 'end', 'delta_nats']
        """
        return import_extra("pandas", "to_pandas()").DataFrame(self._columns())

    def to_polars(self) -> polars.DataFrame:
        """Return the parts as a data frame of polars.

        Returns
        -------
        polars.DataFrame
            As from :meth:`to_pandas`.

        Raises
        ------
        MissingDependencyError
            When polars is not installed.
        """
        pl = import_extra("polars", "to_polars()")
        return pl.DataFrame(self._columns(), schema_overrides={"error": pl.String, "note": pl.String})

    def to_html(self, *, title: str | None = None, standalone: bool = False) -> str:
        """Return the prompt as HTML, coloured by the influence of its parts, with a table of the largest ones.

        A part under the pointer or with the focus (Tab) shows its numbers.

        Parameters
        ----------
        title
            Line above the prompt; none by default.
        standalone
            Return a whole page, to save or send, instead of an element.

        Returns
        -------
        str
            HTML that loads nothing and runs no scripts.

        Raises
        ------
        SettingError
            When the title is no text.

        Examples
        --------
        >>> from deluge_nb import influence
        >>> page = influence("The capital of France is", " Paris", by="word").to_html(standalone=True)
        >>> page.startswith("<!doctype html>")
        True
        """
        texts = [LabeledText(text.role, text.begin, text.content) for text in self._texts]
        return to_html(texts, self._colored(), self._summary(), note=self.note, title=title, standalone=standalone)

    def save_html(self, path: str | os.PathLike[str], *, title: str | None = None) -> None:
        """Save the prompt as a page, coloured by the influence of its parts.

        Parameters
        ----------
        path
            The file to write.
        title
            Line above the prompt; none by default.

        Raises
        ------
        SettingError
            When the path is that of no file, or the title is no text.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from deluge_nb import influence
        >>> with TemporaryDirectory() as folder:
        ...     page = Path(folder, "influence.html")
        ...     influence("The capital of France is", " Paris").save_html(page)
        ...     "The capital of France is" in page.read_text(encoding="utf-8")
        True
        """
        write_file(path, self.to_html(title=title, standalone=True))

    def to_text(self, *, color: bool = False) -> str:
        """Return the parts as text for a terminal, each with its influence in nats.

        Parameters
        ----------
        color
            Colour the parts with ANSI sequences: blue where one makes the answer likelier, orange where less likely.

        Returns
        -------
        str
            A line about the answer, one for each part, and the note if there is one.

        Examples
        --------
        >>> from deluge_nb import influence
        >>> print(influence("Paris is in France.", " Paris", by=[(12, 18)]).to_text().splitlines()[1].split()[-1])
        France
        """
        return to_text(self._colored(), self._summary(), note=self.note, color=color)

    def __repr__(self) -> str:
        known = [part for part in self._colored() if not math.isnan(part.cautious)]
        most = max(known, key=lambda part: abs(part.cautious), default=None)
        largest = "" if most is None else f", most: {excerpt(most.text)!r} {format_signed(most.cautious)}"
        return f"Influence({self._summary()}{largest})"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _columns(self) -> dict[str, list[Any]]:
        names = PartInfluence.__slots__
        return {name: [getattr(part, name) for part in self._parts] for name in names}

    def _colored(self) -> list[ColoredPart]:
        return [
            ColoredPart(
                part.begin,
                part.end,
                part.part,
                part.delta_nats,
                part.delta_low,
                part.delta_high,
                part.error,
                part.note,
            )
            for part in self._parts
        ]

    def _summary(self) -> str:
        failed = sum(part.error is not None for part in self._parts)
        failures = f", {failed} failed" if failed else ""
        if self.logprob_low == self.logprob_high:
            number = f"{self.logprob:.2f} nats".replace("-", "−")
        else:
            ends = (f"{end:.2f}".replace("-", "−").replace("inf", "∞") for end in (self.logprob_low, self.logprob_high))
            number = f"{' to '.join(ends)} nats, from alternatives"
        return (
            f"{pluralize(len(self), 'part')}, answer {excerpt(repr(self.answer))} {number}, by "
            f"{printable(self.model)}{failures}"
        )
