"""``%deluge`` and ``%deluge models``: the settings in a few lines, and the models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from ..models import REGISTRY

if TYPE_CHECKING:
    from traitlets import HasTraits

    from ..models.support_table import SupportTable


class Help:
    """The options, for display."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class Overview:
    """The model, the settings that were changed, and what to write next, for display."""

    def __init__(self, magics: HasTraits) -> None:
        defaults = {name: trait.default() for name, trait in magics.traits(config=True).items()}
        values = {name: getattr(magics, name) for name in defaults}
        self._model = values.pop("model")
        self._changed = {name: value for name, value in values.items() if value != defaults[name]}

    def __repr__(self) -> str:
        return "\n".join(line.replace("`", "") for line in self._lines())

    def _repr_markdown_(self) -> str:
        return "  \n".join(self._lines())

    def _lines(self) -> list[str]:
        changed = [f"`DelugeMagics.{name} = {value!r}`" for name, value in self._changed.items()]
        return [
            f"Model: `{self._model}`",
            f"Changed settings: {', '.join(changed)}" if changed else "All other settings are the defaults.",
            "",
            "Change one: `%config DelugeMagics.model = 'gpt-4o-mini'`",
            "Ask: `%%deluge` in the first line of a cell, the prompt below it; `%%deluge?` lists the options",
            "Models: `%deluge models`, or with a word such as `%deluge models gemini`",
            "Lessons in probability: `%deluge course`",
        ]


def models_with(words: str) -> SupportTable:
    """Return the models that have each of the words in their row, in any case; all without a word.

    Raises
    ------
    UsageError
        When no row has it.
    """
    table = REGISTRY.support_table()
    sought = words.casefold().split()
    rows = tuple(row for row in table.rows if all(word in " ".join(row).casefold() for word in sought))
    if not rows:
        raise UsageError(f"No model has {words!r} in its row; %deluge models shows all.")
    return replace(table, rows=rows)
