"""Read predictions and answers out of notebooks that were handed in."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ..printable import printable
from .feedback import RECORD, recorded

if TYPE_CHECKING:
    import pandas

_OPENS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Entry:
    """One guess or answer in a notebook."""

    notebook: str
    """The notebook's path, within the folder."""

    kind: str
    """``"reveal"`` for a guess, ``"check"`` for the answer to an exercise."""

    id: str
    """The number of the reveal or exercise, such as ``"5.1"``."""

    name: str
    """The name of the guess; ``"answer"`` for an exercise."""

    value: float | str | None
    """The value that was written; None for three dots."""

    state: str
    """``"right"``, ``"wrong"``, ``"shown"`` (a guess that was made), ``"todo"``, or ``"not run"``."""


class Entries(Sequence[Entry]):
    """The guesses and answers of all notebooks in a folder, as a sequence and as a table.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from deluge_nb.lab import collect
    >>> with TemporaryDirectory() as folder:
    ...     len(collect(folder))
    0
    """

    def __init__(self, entries: Iterable[Entry], problems: Iterable[str] = ()) -> None:
        self._entries = tuple(entries)
        self.problems = tuple(problems)
        """A sentence for each file that could not be read."""

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        return self._entries[index]

    def to_csv(self) -> str:
        """Return the table as CSV, with a line of names first.

        Returns
        -------
        str
            The table. A value that a spreadsheet would take for a formula is written with an apostrophe before it, and
            control characters are visible signs.

        Examples
        --------
        >>> from deluge_nb.lab.handed_in import Entries
        >>> Entries([]).to_csv()
        'notebook,kind,id,name,value,state\\r\\n'
        """
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Entry)])
        writer.writerows([_harmless(value) for value in astuple(entry)] for entry in self._entries)
        return file.getvalue()

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a frame.

        Returns
        -------
        pandas.DataFrame
            A row for each guess and answer.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.

        Examples
        --------
        >>> from deluge_nb.lab.handed_in import Entries
        >>> list(Entries([]).to_pandas().columns)
        ['notebook', 'kind', 'id', 'name', 'value', 'state']
        """
        from ..extras import import_extra

        pandas = import_extra("pandas", "A frame")
        return pandas.DataFrame(
            [astuple(entry) for entry in self._entries], columns=[field.name for field in fields(Entry)]
        )

    def __repr__(self) -> str:
        notebooks = len({entry.notebook for entry in self._entries})
        return f"Entries({len(self._entries)} of {notebooks} notebooks)"


def collect(folder: str | Path) -> Entries:
    """Return the guesses and answers in all notebooks of a folder and the folders below it.

    Nothing is run. The outputs of checks and reveals say whether an answer was right. Where a notebook was saved
    without outputs, values are read from its cells, and their state is ``"not run"``.

    Parameters
    ----------
    folder
        The folder with the notebooks.

    Returns
    -------
    Entries
        A sequence with ``to_pandas()`` and ``to_csv()``. Files that are no notebooks are in ``.problems``.

    Raises
    ------
    SettingError
        If there is no such folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from deluge_nb.lab import collect, copy_lesson
    >>> with TemporaryDirectory() as folder:
    ...     path = copy_lesson(5, folder)
    ...     entries = collect(folder)
    >>> entries[0]
    Entry(notebook='05_how_surprised.ipynb', kind='reveal', id='5.1', name='away', value=None, state='todo')
    """
    root = Path(folder)
    if not root.is_dir():
        raise SettingError(
            f"{root} is no folder; give the folder with the notebooks.", setting="folder", value=str(folder)
        )
    entries: list[Entry] = []
    problems: list[str] = []
    for path in sorted(root.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        name = path.relative_to(root).as_posix()
        try:
            cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
            entries += list(_entries_of(name, cells))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"{printable(name)} cannot be read as a notebook ({type(error).__name__}).")
    return Entries(entries, problems)


def _entries_of(notebook: str, cells: Sequence[Any]) -> Iterator[Entry]:
    variables: dict[str, Any] = {}
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        tree = _parsed("".join(cell["source"]))
        variables |= _assigned(tree)
        records = {(record["kind"], record["id"]): record for record in _records(cell)}
        for kind, number, arguments in _calls(tree):
            record = records.get((kind, number))
            for name, argument in arguments.items():
                written = variables.get(argument.id, ...) if isinstance(argument, ast.Name) else _literal(argument)
                made = written is not ...
                value = recorded(record["values"][name]) if record and name in record["values"] else written
                state = record["state"] if record else "not run" if made else "todo"
                value = printable(value) if isinstance(value, str) else None if value is ... else value
                yield Entry(printable(notebook), kind, printable(number), name, value, printable(state))


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # a magic, a learner's slip, or deep brackets
        return ast.Module([], [])


def _records(cell: Any) -> Iterator[Any]:
    """Yield the records that checks and reveals have left in the outputs of a cell."""
    for output in cell.get("outputs", ()):
        record = output.get("metadata", {}).get(RECORD)
        # Learners can write into their outputs whatever they like.
        if isinstance(record, dict) and all(isinstance(record.get(name), str) for name in ("kind", "id", "state")):
            values = record.get("values")
            yield {**record, "values": values if isinstance(values, dict) else {}}


def _assigned(tree: ast.Module) -> dict[str, Any]:
    """Return the values of variables that a cell assigns, as far as they are written as literals."""
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = _literal(node.value)
    return values


def _literal(node: ast.expr) -> Any:
    """Return the value of an expression that is a literal, else its source."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = None
    if value is ... or isinstance(value, int | float | str):
        return value if value is ... else recorded(value)
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError):  # an integer with too many digits, or a long chain
        return "(cannot be read)"


def _calls(tree: ast.Module) -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    """Yield the calls of `reveal` and `check`: kind, number, and the arguments by name."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("reveal", "check")):
            continue
        if not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        arguments = {word.arg: word.value for word in node.keywords if word.arg}
        if len(node.args) > 1:
            arguments["answer"] = node.args[1]
        yield node.func.id, str(node.args[0].value), arguments


def _harmless(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _OPENS_FORMULA else value
