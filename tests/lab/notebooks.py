"""The notebooks of the course, and their cells filled in as a learner would."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from deluge_nb.lab.catalog import notebook_of
from deluge_nb.lab.lesson import Lesson


class Cell(NamedTuple):
    kind: str
    source: str
    tags: tuple[str, ...]


def cells_of(lesson: Lesson) -> list[Cell]:
    notebook = json.loads(notebook_of(lesson).read_text(encoding="utf-8"))
    return [
        Cell(cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
        for cell in notebook["cells"]
    ]


def is_bare(lesson: Lesson) -> bool:
    """Return whether a notebook has neither outputs nor counts, which would give answers away."""
    notebook = json.loads(notebook_of(lesson).read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return not any(cell["outputs"] or cell["execution_count"] for cell in code)


def numbers_in(source: str, function: str) -> list[str]:
    """Return the numbers of the calls of `reveal` or `check` in the source of a cell."""
    return re.findall(rf'\b{function}\("([\d.]+)"', source)


def calls_of(lesson: Lesson, function: str) -> dict[str, dict[str, str]]:
    """Return the variables that each `reveal` or `check` reads, by its number and the name of its argument."""
    calls = {}
    for cell in cells_of(lesson):
        if cell.kind != "code" or not {"reveal", "exercise"} & {*cell.tags}:
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                values: dict[str, Any] = {word.arg or "": word.value for word in node.keywords}
                if len(node.args) > 1:
                    values["answer"] = node.args[1]
                number = node.args[0]
                assert isinstance(number, ast.Constant)
                calls[str(number.value)] = {name: ast.unparse(value) for name, value in values.items()}
    return calls


def filled(cell: Cell, values: Mapping[str, Any]) -> str:
    """Return the source of a cell with values in place of its three dots."""
    return re.sub(
        r"^(\w+) = \.\.\.",
        lambda match: f"{match[1]} = {values[match[1]]!r}" if match[1] in values else match[0],
        cell.source,
        flags=re.MULTILINE,
    )
