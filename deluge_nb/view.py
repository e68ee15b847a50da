"""The widget: a completion's tokens, coloured by how sure the model was of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

from . import render
from ._pack import CHUNK, EAGER, pack_alternatives, pack_tokens
from ._scale import COLOR_BY, ColorBy
from .errors import SettingError
from .interop import as_logprobs
from .logprobs import Logprobs

_STATIC = Path(__file__).parent / "static"


class LogprobView(anywidget.AnyWidget):
    """Shows the tokens of a completion and, at each, what else the model weighed.

    Point at a token, or move with the arrow keys, to see its alternatives. Click, Enter and the arrow keys set
    :attr:`selected`.

    Parameters
    ----------
    logprobs
        A table of log-probabilities, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color_by
        ``"probability"`` of the token, ``"surprisal"`` (its negative logarithm) or ``"entropy"`` of what it was drawn
        from.
    selected
        The position of the selected token, or None.
    title
        A line above the tokens; none by default.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities to show.
    SettingError
        When ``logprobs`` is none of these, or ``selected`` is no position in it.
    """

    _esm = _STATIC / "view.js"
    _css = _STATIC / "view.css"

    data = traitlets.Bytes(b"").tag(sync=True)
    alternatives = traitlets.Bytes(b"").tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    color_by = traitlets.Enum(list(COLOR_BY), "probability").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        logprobs: Any,
        *,
        color_by: ColorBy = "probability",
        selected: int | None = None,
        title: str | None = None,
    ) -> None:
        # A copy over its own vocabulary: what a call's answers share may be large.
        self.table: Logprobs = as_logprobs(logprobs).compact()
        super().__init__(**_packed(self.table), selected=selected, color_by=color_by, title=title or "")
        self.on_msg(self._answer)

    def update(self, logprobs: Any) -> None:
        """Show another table in the same place, such as one that has grown.

        Parameters
        ----------
        logprobs
            As for the view itself. A selection stays where the new table has its position.

        Raises
        ------
        LogprobsMissingError, SettingError
            As for the view itself; what was shown stays then.
        """
        self.table = as_logprobs(logprobs).compact()
        with self.hold_sync():
            if self.selected is not None and self.selected >= len(self.table):
                self.selected = None
            for name, packed in _packed(self.table).items():
                self.set_trait(name, packed)

    @traitlets.validate("selected")
    def _position(self, proposal: Mapping[str, Any]) -> int | None:
        value = proposal["value"]
        if value is not None and not 0 <= value < len(self.table):
            last = len(self.table) - 1
            allowed = f"None or a position from 0 to {last}" if last >= 0 else "None where there are no tokens"
            raise SettingError(
                f"selected must be {allowed}, not {value!r}.",
                setting="selected",
                value=value,
            )
        return value

    def _answer(self, _: object, content: Any, __: object) -> None:
        """The browser asks for the alternatives of a chunk of tokens, for a table too long to send them all."""
        chunk = content.get("chunk") if isinstance(content, dict) else None
        if isinstance(chunk, int) and 0 <= chunk * CHUNK < len(self.table):
            self.send({"chunk": chunk}, [pack_alternatives(self.table, chunk)])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        found = super()._repr_mimebundle_(**options)
        if found is None:
            return None
        data, metadata = found if isinstance(found, tuple) else (found, {})
        return {**data, **render.static_bundle(self.table, cast(ColorBy, self.color_by), self.title)}, metadata

    def __repr__(self) -> str:
        return f"LogprobView({len(self.table)} tokens)"


def _packed(table: Logprobs) -> dict[str, bytes]:
    alternatives = pack_alternatives(table) if len(table) <= EAGER else b""
    return {"alternatives": alternatives, "data": pack_tokens(table)}


def mimebundle(table: Logprobs) -> Any:
    """What a table shows as a cell's value: the widget, and the same in HTML and in text for where there is none."""
    return LogprobView(table)._repr_mimebundle_()
