"""The cells that run: what was typed in each, and which answers it has shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

# Blank lines and indentation may stand before the magic.
_MAGIC_FIRST = re.compile(r"\s*%%deluge(?:[ \t][^\n]*)?(?:\n|\Z)")
_LINE_BREAK, _EMPTY_LINE = re.compile(r"\r?\n\Z"), re.compile(r"(?<=\n)\n\Z")
# What stands above a line with the magic. A cell that begins with a magic for cells is that one's own.
_ABOVE = re.compile(r"(?!\s*%%(?!deluge\b))(.*?)^[ \t]*(?=%%deluge\b)", re.DOTALL | re.MULTILINE)
_HINT = "__import__('deluge_nb.magic.line').magic.line.below_others({!r})\n"


@dataclass(slots=True)
class _Cell:
    raw: str
    is_typed: bool
    shown: list[object] = field(default_factory=list)


class Cells:
    """The cells that run, the inner ones last: a cell may run others.

    Parameters
    ----------
    in_terminal
        True where IPython takes an empty line for the end of a cell that is typed; it is no part of the prompt.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from deluge_nb.magic.cells import Cells
    >>> cells = Cells()
    >>> cells.begin(SimpleNamespace(raw_cell="%%deluge -k 3\\n  >>> 1 + 1", store_history=True))
    >>> cells.body("1 + 1\\n")
    '  >>> 1 + 1'
    """

    def __init__(self, *, in_terminal: bool = False) -> None:
        self._in_terminal = in_terminal
        self._running: list[_Cell] = []

    def begin(self, info: Any) -> None:
        """Record the cell that is about to run.

        Parameters
        ----------
        info
            The information that IPython passes to ``pre_run_cell``.
        """
        self._running.append(_Cell(info.raw_cell or "", bool(info.store_history)))

    def end(self, result: Any = None) -> None:
        """Forget the cell that has ended; IPython has displayed its value by now.

        What it has shown is in the output of the cell that ran it, too.

        Parameters
        ----------
        result
            The result that IPython passes to ``post_run_cell``; not used.
        """
        if self._running:
            ended = self._running.pop()
            for value in ended.shown:
                self.mark_shown(value)

    def body(self, passed: str) -> str:
        """Return the body of the magic as it was typed, without the line break that ends the cell.

        Parameters
        ----------
        passed
            The body that IPython passed on, from which it has removed prompts and indentation. It is used where the
            magic is not the first line of the cell.
        """
        cell = self._running[-1] if self._running else None
        first = None if cell is None else _MAGIC_FIRST.match(cell.raw)
        if cell is None or first is None:
            return _LINE_BREAK.sub("", passed)
        typed, cell.raw = cell.raw[first.end() :], ""
        if self._in_terminal and cell.is_typed:
            typed = _EMPTY_LINE.sub("", typed)
        return _LINE_BREAK.sub("", typed)

    def mark_shown(self, value: object) -> None:
        """Record that the running cell has shown a value, or was asked not to."""
        if self._running:
            self._running[-1].shown.append(value)

    def has_shown(self, value: object) -> bool:
        """Return whether a running cell has shown a value already."""
        return any(value is shown for cell in self._running for shown in cell.shown)


def explain_place(lines: list[str]) -> list[str]:
    """Return the lines of a cell; where others stand above the magic, a line that says so in their place.

    IPython takes such a magic for one of a line, and says that it was not found. An indented magic is none for it
    either; that one is moved to the edge.
    """
    cell = "".join(lines)
    found = _ABOVE.match(cell)
    if found is None:
        return lines
    above = found[1]
    if not above.strip():
        return cell[found.end() :].splitlines(keepends=True)
    # Within a text of several lines the part above is no code of its own.
    if TransformerManager().check_complete(f"{above}\n0\n\n")[0] != "complete":
        return lines
    is_code = any(line.strip() and not line.lstrip().startswith("#") for line in above.split("\n"))
    return [_HINT.format("code" if is_code else "comment")]
