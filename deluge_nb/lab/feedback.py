"""The answer of a check or a reveal: HTML that screen readers read out, text, and a record for teachers."""

from __future__ import annotations

import html
import re
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["right", "wrong", "todo", "shown"]

RECORD = "deluge_nb"
"""The key under which an output's metadata keep the record of a check or a reveal."""

_OPENING: dict[State, str] = {"right": "Right.", "wrong": "Not yet.", "todo": "To do.", "shown": ""}
# Colours of the border, with a contrast of 3 or more on white and on #111.
_BORDER: dict[State, str] = {"right": "#2f8f57", "wrong": "#c4622d", "todo": "#5a82b4", "shown": "#5a82b4"}
_EMPHASIS = re.compile(r"\*([^*]+)\*")


@dataclass(frozen=True, slots=True)
class Feedback:
    """Answer of a check or a reveal. It is true if the answer was right, or the guesses were made.

    Parameters
    ----------
    id
        The number of the exercise or reveal, such as ``"5.1"``.
    kind
        ``"check"`` or ``"reveal"``.
    state
        ``"right"`` or ``"wrong"`` for an answer, ``"shown"`` for guesses that were made, else ``"todo"``.
    lines
        Sentences; words between asterisks are emphasised.
    values
        The learner's answer or guesses, by name.
    truths
        The true values of a reveal, by name; empty before the guesses are made.
    figures
        Charts, views or tables that are displayed below.

    Examples
    --------
    >>> from deluge_nb.lab import check
    >>> feedback = check("5.1", 2)
    >>> feedback.ok, feedback.state
    (True, 'right')
    """

    id: str
    kind: Literal["check", "reveal"]
    state: State
    lines: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)
    truths: dict[str, float] = field(default_factory=dict)
    figures: tuple[Any, ...] = ()

    @property
    def ok(self) -> bool:
        """True if the answer was right, or the guesses were made."""
        return self.state in ("right", "shown")

    @property
    def text(self) -> str:
        """The sentences as plain text."""
        return " ".join(_EMPHASIS.sub(r"\1", line) for line in (_OPENING[self.state], *self.lines) if line)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/html": self._html(), "text/plain": self.text}, {RECORD: self._record()}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        display(data, raw=True, metadata=metadata)
        for figure in self.figures:
            display(figure)

    def _display_(self) -> Any:
        """Return what marimo shows: it does not call IPython's method."""
        import marimo

        return marimo.vstack([marimo.Html(self._html()), *self.figures])

    def _html(self) -> str:
        opening = f"<strong>{_OPENING[self.state]}</strong> " if _OPENING[self.state] else ""
        lines = "<br>".join(_EMPHASIS.sub(r"<em>\1</em>", html.escape(line)) for line in self.lines)
        style = f"border-left:4px solid {_BORDER[self.state]};padding:.4em .8em;margin:.3em 0"
        return f'<div role="status" class="mathjax_ignore" style="{style}">{opening}{lines}</div>'

    def _record(self) -> dict[str, Any]:
        values = {name: recorded(value) for name, value in self.values.items()}
        return {"id": self.id, "kind": self.kind, "state": self.state, "values": values}


def recorded(value: Any) -> Any:
    """Return a value that stays the same in a notebook's JSON, whose numbers are finite and of limited size."""
    if not isinstance(value, int | float):
        return str(value)
    if abs(value) <= sys.float_info.max:
        return value
    return "nan" if value != value else "inf" if value > 0 else "-inf"
