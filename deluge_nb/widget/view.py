"""The widget: a completion's tokens, coloured by how sure the model was of each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anywidget
import numpy as np
import traitlets

from ..client.continuation import Continuer
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..render import html
from ..render.assets import STATIC
from ..render.colors import PALETTES, Palette, Theme
from ..render.picture import api
from ..render.scale import COLOR_BY, ColorBy
from .branches import Branches, Branching
from .fallback import Beside
from .packer import CHUNK, EAGER, Packer, pack_measures
from .validation import Checks

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..models.spec import ServedModel
    from ..prompts import PromptLike
    from ..sampling import SamplingParams

# Rows are sent at most so often, in seconds.
_PAUSE = 1 / 30
# When no more has come for so long, a text has probably ended.
_QUIET = 1.0
FONTS = ("monospace", "proportional")
SPACES = ("marks", "all", "plain")


class LogprobView(Branching, Checks, Beside, anywidget.AnyWidget):
    """Shows the tokens of a completion and, at each, what else the model weighed.

    Point at a token, or move with the arrow keys, to see its alternatives. A click or Enter keeps the card open, ``/``
    searches, ``n`` and ``p`` go to the next and the previous surprise, ``?`` lists all keys. What is chosen in the
    browser is a trait here, and the other way round.

    Parameters
    ----------
    logprobs
        A table of log-probabilities, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color_by
        ``"probability"`` of the token, ``"surprisal"`` (its negative logarithm, bits), ``"entropy"`` of what it was
        drawn from (bits, the least that the alternatives allow), ``"margin"`` (the likeliest token's lead over the
        runner-up) or ``"rank"`` of the token among the alternatives.
    selected
        The position of the selected token, or None.
    title
        A line above the tokens; none by default.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``: each one hue, equally spaced to the eye, in light and dark.
    font
        ``"monospace"`` or ``"proportional"``.
    spaces
        Which white space is marked: ``"marks"`` (where it stands alone), ``"all"`` or ``"plain"`` (none).
    boundaries
        Whether a line is drawn between tokens.
    threshold
        A token of a probability below this is a surprise.
    limits
        Two values of what ``color_by`` says: tokens outside them are dimmed. Empty for none.
    temperature
        What the cards weigh the alternatives at. What is not known exactly then is an interval.
    client, prompt
        Who wrote this (a client, or a model's name) and what was asked. With both, the reader can pick an alternative
        in a card and the model goes on from there: see :meth:`branch`. Where it cannot, the cards say why.
    sampling_params
        The settings of the answer, where they were not the client's own.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities to show.
    SettingError
        When ``logprobs`` is none of these, or an argument has a value it cannot have.
    """

    _esm = STATIC / "view.js"
    _css = STATIC / "view.css"

    data = traitlets.Bytes(b"").tag(sync=True)
    measures = traitlets.Bytes(b"").tag(sync=True)
    alternatives = traitlets.Bytes(b"").tag(sync=True)
    branched = traitlets.Bytes(b"").tag(sync=True)
    tree = traitlets.List(traitlets.Any()).tag(sync=True)
    node = traitlets.Int(0).tag(sync=True)
    branching = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    selection = traitlets.List(traitlets.Any()).tag(sync=True)
    pinned = traitlets.List(traitlets.Any()).tag(sync=True)
    color_by = traitlets.Enum(list(COLOR_BY), "probability").tag(sync=True)
    palette = traitlets.Enum(list(PALETTES), "amber").tag(sync=True)
    font = traitlets.Enum(list(FONTS), "monospace").tag(sync=True)
    spaces = traitlets.Enum(list(SPACES), "marks").tag(sync=True)
    boundaries = traitlets.Bool(False).tag(sync=True)
    threshold = traitlets.Float(0.1).tag(sync=True)
    limits = traitlets.List(traitlets.Any()).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        logprobs: Any,
        *,
        color_by: ColorBy = "probability",
        selected: int | None = None,
        title: str | None = None,
        palette: str = "amber",
        font: str = "monospace",
        spaces: str = "marks",
        boundaries: bool = False,
        threshold: float = 0.1,
        limits: Sequence[float] = (),
        temperature: float = 1.0,
        client: LLMClient | str | ServedModel | Continuer | None = None,
        prompt: PromptLike | None = None,
        sampling_params: SamplingParams | None = None,
    ) -> None:
        self.table: Logprobs = _own(as_logprobs(logprobs))
        self._asked = (client, sampling_params)
        self._branches = Branches(self, logprobs, *_continued(client, prompt, sampling_params))
        self._packer = Packer()
        self._whole, self._sent, self._stale = len(self.table), len(self.table), False
        self._last, self._later = 0.0, cast("asyncio.TimerHandle | None", None)
        self._settling = cast("asyncio.TimerHandle | None", None)
        super().__init__(
            **self._packed(measured=color_by not in ("probability", "surprisal")),
            selected=selected,
            color_by=color_by,
            title=title or "",
            palette=palette,
            font=font,
            spaces=spaces,
            boundaries=boundaries,
            threshold=threshold,
            limits=list(limits),
            temperature=temperature,
            branching=self._branches.why_not,
        )
        self.on_msg(self._answer)

    @property
    def logprobs(self) -> Logprobs:
        """The table that is shown, so that whatever takes a response takes a view."""
        return self.table

    def update(self, logprobs: Any, *, prompt: PromptLike | None = None) -> None:
        """Show another table in the same place, such as one that has grown.

        Of one that has grown only what is new is sent, and what stands on the screen stays.

        Parameters
        ----------
        logprobs
            As for the view itself. A selection stays where the new table has its position.
        prompt
            What the view's client was asked for this. Branches go with the text they left, when it is another.

        Raises
        ------
        LogprobsMissingError, SettingError
            As for the view itself; what was shown stays then.
        """
        old, new = self.table, _own(as_logprobs(logprobs))
        grown = _continues(old, new)
        client, params = self._asked
        continuer = None if prompt is None else _continued(client, prompt, params)[0]
        if not grown and self._branches.all:
            self._branches.clear()
        self._branches.renew(logprobs, grown=grown, continuer=continuer)
        self.branching = self._branches.why_not
        if grown:
            self.table = new
            if old.vocabulary is new.vocabulary:
                if len(new) > len(old):
                    self._append_soon()
                return
        else:
            self.table = new
            self._packer = Packer()
            with self.hold_sync():
                if self.selected is not None and self.selected >= len(new):
                    self.selected = None
                if max(cast("list[int]", self.selection), default=0) > len(new):
                    self.selection = []
                self.pinned = [token for token in cast("list[int]", self.pinned) if token < len(new)]
        self._send_all()

    def get_state(self, *args: Any, **options: Any) -> Any:
        """The traits' values; what came with appended tokens is in them by then."""
        if getattr(self, "_stale", False):
            # What is sent later goes on from here, also for those who have this from before.
            self._append()
            for name, value in self._again().items():
                # Without a change: whoever asks is told, and the others have it.
                self._trait_values[name] = value
        return super().get_state(*args, **options)

    def _saved(self) -> tuple[dict[str, Any], str]:
        packer = Packer()
        data = packer.tokens(self.table)
        packer.keep()
        state = {
            "data": data,
            "alternatives": packer.alternatives(self.table, 0, len(self.table)),
            "measures": pack_measures(self.table),
            "branching": None,
        }
        return state, self.table.text

    def to_png(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None, scale: float = 2) -> bytes:
        """What is shown as a PNG, in the view's colours: see :func:`deluge_nb.to_png`."""
        return api.to_png(self.table, theme=theme, width=width, limit=limit, scale=scale, **self._look())

    def to_svg(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None) -> str:
        """What is shown as an SVG, in the view's colours: see :func:`deluge_nb.to_svg`."""
        return api.to_svg(self.table, theme=theme, width=width, limit=limit, **self._look())

    def save_png(self, path: str | Path, **options: Any) -> None:
        """Write what :meth:`to_png` gives."""
        Path(path).write_bytes(self.to_png(**options))

    def save_svg(self, path: str | Path, **options: Any) -> None:
        """Write what :meth:`to_svg` gives."""
        Path(path).write_text(self.to_svg(**options), encoding="utf-8")

    def _look(self) -> dict[str, Any]:
        return {"color_by": self.color_by, "palette": self.palette, "title": self.title or None}

    # Packing --------------------------------------------------------------------------------------------------------

    def _packed(self, *, measured: bool) -> dict[str, bytes]:
        table, packer = self.table, self._packer
        eager = len(table) <= EAGER
        data = packer.tokens(table)
        packer.keep()
        alternatives = packer.alternatives(table, 0, len(table) if eager else CHUNK)
        packer.keep()
        return {
            "measures": pack_measures(table) if eager or measured else b"",
            "alternatives": alternatives,
            "data": data,
        }

    def _append_soon(self) -> None:
        """Send what is new, but not more often than a screen shows it: Jupyter drops messages that come too fast."""
        self._stale = True
        wait = self._last + _PAUSE - time.monotonic()
        if wait <= 0:
            self._append()
        elif self._later is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self._append()
            else:
                self._later = loop.call_later(wait, self._append)

    def _append(self) -> None:
        """Send the rows that are new. The traits follow when they are twice as long, and when no more comes."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        table, sent = self.table, self._sent
        if len(table) <= sent:
            return
        self._last = time.monotonic()
        if len(table) >= 2 * self._whole:
            self._send_all()
            return
        self._sent = len(table)
        first = self._packer.safe_start(table, sent)
        tokens = self._packer.tokens(table, first)
        alternatives = self._packer.alternatives(table, first, len(table))
        self._packer.keep()
        self.send(
            {"parts": ["alternatives", "measures", "tokens"]},
            [alternatives, pack_measures(table, first), tokens],
        )
        self._settle_soon()

    def _settle_soon(self) -> None:
        """A notebook that is saved with its widgets has the traits, and not what came with messages."""
        if self._settling is not None:
            self._settling.cancel()
        with contextlib.suppress(RuntimeError):  # without a loop nobody saves a notebook
            self._settling = asyncio.get_running_loop().call_later(_QUIET, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if self._whole < len(self.table):
            self._send_all()

    def _send_all(self) -> None:
        with self.hold_sync():
            for name, value in self._again().items():
                self.set_trait(name, value)

    def _again(self) -> dict[str, bytes]:
        self._stale, self._whole, self._sent = False, len(self.table), len(self.table)
        self._packer.all_over()
        return self._packed(measured=bool(self.measures))

    # Answers --------------------------------------------------------------------------------------------------------

    def _answer(self, _: object, content: Any, __: object) -> None:
        """The browser asks for what was too much to send at once."""
        if not isinstance(content, dict):
            return
        if "branch" in content:
            self._branches.asked(content["branch"])
        chunk, node = content.get("chunk"), cast(int, self.node)
        if isinstance(chunk, int) and not isinstance(chunk, bool) and 0 <= chunk * CHUNK < len(self.shown):
            last = min((chunk + 1) * CHUNK, len(self.shown))
            if node:
                self.send({"parts": ["alternatives"], "node": node}, [self._branches.chunk(node, chunk)])
            else:
                self.send({"parts": ["alternatives"]}, [self._packer.alternatives(self.table, chunk * CHUNK, last)])
        if content.get("measures") is True:
            self.measures = pack_measures(self.table)
        if content.get("whole") is True:
            # Also where it is what the traits have: whoever asks may have an older state.
            again = self._again()
            self._trait_values.update(again)
            self.send_state(list(again))

    def _static(self) -> dict[str, str]:
        return html.static_bundle(self.table, cast(ColorBy, self.color_by), self.title, cast(Palette, self.palette))

    def __repr__(self) -> str:
        return f"LogprobView({len(self.table)} tokens)"


def _own(table: Logprobs) -> Logprobs:
    """A table over a vocabulary of its own, where what a call's answers share is much larger than the table."""
    return table.compact() if len(table.vocabulary) > 1024 + 64 * len(table) else table


def _continued(
    client: LLMClient | str | ServedModel | Continuer | None, prompt: PromptLike | None, params: SamplingParams | None
) -> tuple[Continuer | None, str | None]:
    """Who goes on with the text; or nobody, and why."""
    if client is None:
        return None, None if prompt is None else "Nobody is known who could go on from here: LogprobView(…, client=…)."
    if prompt is None:
        if isinstance(client, Continuer):
            return client, None
        return None, "What was asked is not known, so nobody can go on from here: LogprobView(…, prompt=…)."
    if isinstance(client, Continuer):
        return client.about(prompt), None
    return Continuer(client, prompt, sampling_params=params), None


def _continues(old: Logprobs, new: Logprobs) -> bool:
    """Whether a table is another one with more tokens at its end, or the same one."""
    size = len(old)
    if not size or len(new) < size:
        return False
    if old.vocabulary is new.vocabulary:
        same = np.array_equal(old.chosen, new.chosen[:size])
    else:
        same = old.token_bytes == new[:size].token_bytes
    return same and np.array_equal(old.logprob, new[:size].logprob, equal_nan=True)
