"""The view: a completion's tokens, coloured by how sure the model was of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import traitlets

from ..client.continuation import Branch, Continuer
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..render import html
from ..render.assets import STATIC
from ..render.colors import PALETTES, Palette, Theme
from ..render.picture import api
from ..render.scale import COLOR_BY, ColorBy
from . import validation
from .branches import BranchTree
from .fallback import FallbackWidget
from .packer import CHUNK, Packer, pack_measures
from .table_sync import TableSync, continues, with_small_vocabulary

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..models.spec import ServedModel
    from ..prompts import PromptLike
    from ..sampling import SamplingParams

FONTS = ("monospace", "proportional")
SPACES = ("marks", "all", "plain")


class LogprobView(FallbackWidget):
    """The tokens of a completion, each coloured, with the alternatives that the model weighed.

    Point at a token, or move with the arrow keys, to see its alternatives. A click or Enter keeps the card open, ``/``
    searches, ``n`` and ``p`` go to the next and the previous surprise, ``?`` lists all keys. Selections made in the
    browser appear as traits in Python, and vice versa.

    Parameters
    ----------
    logprobs
        A table of log-probabilities, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color_by
        ``"probability"`` of the token, ``"surprisal"`` (its negative logarithm, in bits), ``"entropy"`` of the
        distribution it was drawn from (bits, the least that the alternatives allow), ``"margin"`` (the likeliest
        token's lead over the second) or ``"rank"`` of the token among the alternatives.
    selected
        The position of the selected token, or None.
    title
        A line above the tokens; none by default.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``: each one hue in equal steps, in light and dark.
    font
        ``"monospace"`` or ``"proportional"``.
    spaces
        Which white space is marked: ``"marks"`` (where it stands alone), ``"all"`` or ``"plain"`` (none).
    boundaries
        Whether a line is drawn between tokens.
    threshold
        A token with a probability below this is a surprise.
    limits
        Two values on the scale of ``color_by``: tokens outside them are dimmed. Empty for none.
    temperature
        The temperature at which cards show the alternatives. What is not known exactly then is an interval.
    client, prompt
        The client (or a model's name) that wrote the completion, and the prompt. With both, the reader can choose an
        alternative in a card and the model continues from it: see :meth:`branch`. Where it cannot, the cards say why.
    sampling_params
        The settings of the completion, where they were not the client's own.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities to show.
    SettingError
        When ``logprobs`` has another type, or an argument has a value that it cannot have.

    Examples
    --------
    >>> view = LogprobView(response, color_by="surprisal")
    >>> view.selected = 2
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
        self._sync = TableSync(self, with_small_vocabulary(as_logprobs(logprobs)))
        self._sync.with_measures = color_by not in ("probability", "surprisal")
        self._pinned_by_node: dict[int, Any] = {}
        self._author = (client, sampling_params)
        self._branches = BranchTree(self, logprobs, *_continuer(client, prompt, sampling_params))
        super().__init__(
            **self._sync.pack(),
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
        self.on_msg(self._receive)

    # The table --------------------------------------------------------------------------------------------------------

    @property
    def table(self) -> Logprobs:
        """The table of the completion; see :attr:`shown` for that of a branch."""
        return self._sync.table

    @property
    def logprobs(self) -> Logprobs:
        """The table, by the name that a response has for it: a view can be passed wherever a response can."""
        return self.table

    def update(self, logprobs: Any, *, prompt: PromptLike | None = None) -> None:
        """Show another table in the same place, such as one that has grown.

        If the table has grown, only the new rows are sent, and the text on the screen stays.

        Parameters
        ----------
        logprobs
            As for the view itself. A selection stays where the new table has its position.
        prompt
            The prompt of the new completion, for the view's client. Branches are removed with the text they left.

        Raises
        ------
        LogprobsMissingError, SettingError
            As for the view itself; the view then stays as it was.

        Examples
        --------
        >>> view.update(response)
        """
        old, new = self.table, with_small_vocabulary(as_logprobs(logprobs))
        grown = continues(old, new)
        client, params = self._author
        continuer = None if prompt is None else _continuer(client, prompt, params)[0]
        if not grown and self._branches.branches:
            self._branches.clear()
        self._branches.replace_answer(logprobs, grown=grown, continuer=continuer)
        self.branching = self._branches.why_not
        if grown:
            self._sync.append(new)
            return
        self._sync.replace(new)
        self._pinned_by_node.clear()
        self._fit_selection(self.pinned)
        self._sync.send_all()

    def get_state(self, *args: Any, **options: Any) -> Any:
        """Return the traits' values, with rows that were appended since they were last set."""
        sync = getattr(self, "_sync", None)
        if sync is not None and sync.is_stale:
            # Rows that are sent later continue from here, also in browsers that have these already.
            sync.send_appended()
            # Not as a change: only the caller needs them.
            self._trait_values.update(sync.pack_again())
        return super().get_state(*args, **options)

    # Branches ---------------------------------------------------------------------------------------------------------

    @property
    def branches(self) -> list[Branch]:
        """The answers that continue from another token, in the order in which they were begun."""
        return list(self._branches.branches)

    @property
    def shown(self) -> Logprobs:
        """The table on the screen: that of the completion, :attr:`table`, or that of the branch ``node``."""
        return self._branches.table(cast(int, self.node))

    def branch(self, position: int, alternative: str | int, *, node: int | None = None) -> Branch:
        """Let the model continue from another token, and wait for the answer.

        The view does not change; ``view.node = branch.id`` shows the branch.

        Parameters
        ----------
        position
            The position of the other token, counted from the end if negative.
        alternative
            Its text, or its place among the alternatives listed there, 0 for the first.
        node
            The node to leave: the ``id`` of a branch, 0 for the completion; by default the one that is shown.

        Returns
        -------
        Branch
            Its ``response`` is the whole answer. Its ``status`` and ``message`` report a failed request.

        Raises
        ------
        SettingError
            When there is no such alternative, or the model cannot continue from it; says why.
        LogprobsNotSupportedError, MissingKeyError, LocalModelError
            When the model cannot be asked at all.

        Examples
        --------
        >>> branch = view.branch(0, 1)
        >>> view.node = branch.id
        """
        return self._branches.branch(position, alternative, cast(int, self.node) if node is None else node)

    # Pictures ---------------------------------------------------------------------------------------------------------

    def to_png(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None, scale: float = 2) -> bytes:
        """Return the view as a PNG, in its own colours: see :func:`deluge_nb.to_png`."""
        return api.to_png(self.table, theme=theme, width=width, limit=limit, scale=scale, **self._style())

    def to_svg(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None) -> str:
        """Return the view as an SVG, in its own colours: see :func:`deluge_nb.to_svg`."""
        return api.to_svg(self.table, theme=theme, width=width, limit=limit, **self._style())

    def save_png(self, path: str | Path, **options: Any) -> None:
        """Write the result of :meth:`to_png` to a file."""
        Path(path).write_bytes(self.to_png(**options))

    def save_svg(self, path: str | Path, **options: Any) -> None:
        """Write the result of :meth:`to_svg` to a file."""
        Path(path).write_text(self.to_svg(**options), encoding="utf-8")

    def _style(self) -> dict[str, Any]:
        return {"color_by": self.color_by, "palette": self.palette, "title": self.title or None}

    def _static_forms(self) -> dict[str, str]:
        return html.static_bundle(self.table, cast(ColorBy, self.color_by), self.title, cast(Palette, self.palette))

    def _page_state(self) -> tuple[dict[str, Any], str]:
        packer = Packer()
        data = packer.tokens(self.table)
        packer.commit()
        state = {
            "data": data,
            "alternatives": packer.alternatives(self.table, 0, len(self.table)),
            "measures": pack_measures(self.table),
            "branching": None,
        }
        return state, self.table.text

    # Messages and traits ----------------------------------------------------------------------------------------------

    def _receive(self, _: object, content: Any, __: object) -> None:
        """Answer the browser, which asks for what was too much to send at once."""
        if not isinstance(content, dict):
            return
        if "branch" in content:
            self._branches.request(content["branch"])
        chunk = content.get("chunk")
        if isinstance(chunk, int) and not isinstance(chunk, bool) and 0 <= chunk * CHUNK < len(self.shown):
            self._send_chunk(chunk)
        if content.get("measures") is True:
            self._sync.with_measures = True
            self.measures = pack_measures(self.table)
        if content.get("whole") is True:
            # Also where the traits have the same already: the browser may have an older state.
            blocks = self._sync.pack_again()
            self._trait_values.update(blocks)
            self.send_state(list(blocks))

    def _send_chunk(self, chunk: int) -> None:
        node = cast(int, self.node)
        if node:
            self.send({"parts": ["alternatives"], "node": node}, [self._branches.pack_chunk(node, chunk)])
        else:
            self.send({"parts": ["alternatives"]}, [self._sync.pack_chunk(chunk)])

    @traitlets.validate("node")
    def _check_node(self, proposal: Mapping[str, Any]) -> int:
        return self._branches.check_node(proposal["value"])

    @traitlets.observe("node")
    def _show_node(self, change: Mapping[str, Any]) -> None:
        self._pinned_by_node[change["old"]] = self.pinned
        self._fit_selection(self._pinned_by_node.get(change["new"], self.pinned))
        if change["new"] == 0 and self._sync.is_stale:  # Rows came while a branch was on the screen.
            self._sync.send_all()

    def _fit_selection(self, pinned: Any) -> None:
        """Keep what is selected where the text that is shown has its position."""
        size = len(self.shown)
        with self.hold_sync():
            if self.selected is not None and self.selected >= size:
                self.selected = None
            if max(cast("list[int]", self.selection), default=0) > size:
                self.selection = []
            self.pinned = [position for position in pinned if position < size]

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Mapping[str, Any]) -> int | None:
        return validation.position("selected", proposal["value"], len(self.shown))

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Mapping[str, Any]) -> list[int]:
        return validation.span("selection", proposal["value"], len(self.shown))

    @traitlets.validate("pinned")
    def _check_pinned(self, proposal: Mapping[str, Any]) -> list[int]:
        return validation.positions("pinned", proposal["value"], len(self.shown))

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Mapping[str, Any]) -> float:
        allowed = "a probability above 0 and at most 1"
        return validation.between("threshold", proposal["value"], 0, 1, allowed, open_low=True)

    @traitlets.validate("limits")
    def _check_limits(self, proposal: Mapping[str, Any]) -> list[float]:
        return validation.limits("limits", proposal["value"])

    @traitlets.validate("temperature")
    def _check_temperature(self, proposal: Mapping[str, Any]) -> float:
        return validation.between("temperature", proposal["value"], 0, 100, "from 0 to 100")

    def __repr__(self) -> str:
        return f"LogprobView({len(self.table)} tokens)"


def _continuer(
    client: LLMClient | str | ServedModel | Continuer | None, prompt: PromptLike | None, params: SamplingParams | None
) -> tuple[Continuer | None, str | None]:
    """What continues the answer; or None, and why nothing can."""
    if client is None:
        return None, None if prompt is None else "No client is known that could continue: LogprobView(…, client=…)."
    if prompt is None:
        if isinstance(client, Continuer):
            return client, None
        return None, "The prompt is not known, so the model cannot continue: LogprobView(…, prompt=…)."
    if isinstance(client, Continuer):
        return client.for_prompt(prompt), None
    return Continuer(client, prompt, sampling_params=params), None
