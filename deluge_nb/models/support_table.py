"""The support table: models and their support for log-probabilities, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .spec import ModelSpec


@dataclass(frozen=True, slots=True)
class SupportTable:
    """Table of models and their support for log-probabilities.

    Parameters
    ----------
    rows
        Tuples of (provider, models, support, alternatives, notes).
    header
        Titles of the columns.

    Examples
    --------
    >>> from deluge_nb import support_table
    >>> print(support_table().to_markdown().splitlines()[0])
    | Provider | Models | Log-probabilities | Alternatives | Notes |
    """

    rows: tuple[tuple[str, str, str, str, str], ...]
    header: tuple[str, ...] = ("Provider", "Models", "Log-probabilities", "Alternatives", "Notes")

    def to_markdown(self) -> str:
        """Return the table as Markdown.

        Returns
        -------
        str
            Lines of a Markdown table.
        """
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        lines = [self.header[:4], *(row[:4] for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def table_of(specs: Sequence[ModelSpec]) -> SupportTable:
    """Return the table of some rows of the registry, ordered by provider."""
    labels = list(dict.fromkeys(spec.endpoint.label for spec in specs))
    return SupportTable(tuple(map(_cells, sorted(specs, key=lambda spec: labels.index(spec.endpoint.label)))))


def _cells(spec: ModelSpec) -> tuple[str, str, str, str, str]:
    support = spec.support
    gives_none = support.kind == "none"
    return (
        spec.endpoint.label,
        spec.shown_as or f"`{spec.pattern}`",
        "no" if gives_none else support.kind,
        "–" if gives_none or not support.max_top else f"up to {support.max_top}",
        support.note,
    )
