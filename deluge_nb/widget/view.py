"""``LogprobView``: the widget that shows completions with each token coloured by its probability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import traitlets

from ..client.continuation import Branch
from ..logprobs.table import Logprobs
from ..render.colors import PALETTES
from ..render.excerpt import check_before, draw_before
from ..render.scale import COLOR_BY, ColorBy
from ..stats.temperature import SamplerOrder
from ..text.counts import pluralize
from . import validation
from .branches import BranchTree, read_answers, resolve_continuer
from .exports import AnswerForms, StaticExport
from .fallback import FallbackWidget
from .packer import CHUNK, Packer, pack_measures
from .table_sync import TableSync, continues, with_small_vocabulary

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..client.continuation import Continuer
    from ..models.spec import ServedModel
    from ..prompts import PromptLike
    from ..response.samples import Samples
    from ..sampling import SamplingParams

FONTS = ("monospace", "proportional")
SPACES = ("marks", "all", "plain")


def _sent_before(before: str, _: object) -> str:
    """Return what the browser draws of the text before the tokens; a prompt may be long."""
    return draw_before(before)


class LogprobView(StaticExport, validation.MeasureSettings, FallbackWidget):
    """A completion in a notebook: tokens coloured by probability, with the alternatives the model considered.

    Point at a token, or move with the arrow keys, to see its alternatives. A click or Enter keeps the card open, ``/``
    searches, ``n`` and ``p`` go to the next and the previous surprise, ``?`` lists all keys. Selections made in the
    browser appear as traits in Python, and vice versa.

    Parameters
    ----------
    logprobs
        A table of log-probabilities, or a response that has one: see :func:`deluge_nb.as_logprobs`. A list of responses
        to one prompt is shown as a tree of their common beginnings: see :attr:`samples`.
    color_by
        ``"probability"`` of the token, ``"surprisal"`` (its negative logarithm, in bits), ``"entropy"`` of the
        distribution it was drawn from (in bits; a lower bound from the alternatives), ``"margin"`` (the probability of
        the likeliest token minus that of the second) or ``"rank"`` of the token among the alternatives.
    selected
        The position of the selected token, or None.
    title
        A line above the tokens; none by default.
    before
        The text that came before the tokens, such as the prompt. Its last 300 characters are shown in grey and are no
        part of what is copied. By default what the response knows: raw text that it continues, or the beginning of its
        answer; ``""`` shows none.
    palette
        ``"amber"``, ``"blue"``, ``"green"`` or ``"grey"``: one hue in equal steps, for light and dark themes.
    font
        ``"monospace"`` or ``"proportional"``.
    spaces
        White space that is marked: ``"marks"`` (tokens of white space alone), ``"all"`` or ``"plain"`` (none).
    boundaries
        True to draw a line between tokens.
    threshold
        Tokens with a probability below this are surprises.
    limits
        Two values on the scale of ``color_by``: tokens outside them are dimmed. Empty for none.
    temperature, top_k, top_p, min_p
        The settings of a sampler: cards show what it can draw beside what the model thinks. None for a cut that is not
        made. Probabilities that cannot be computed exactly from the alternatives are shown as intervals. By default
        the temperature is 1 and nothing is cut; of a response that was drawn with cuts, its own settings are shown.
    sampler_order
        ``"vllm"`` or ``"llama.cpp"``: see :func:`deluge_nb.stats.sampling_bounds`.
    client, prompt
        The client (or a model's name) that wrote the completion, and the prompt. With both, you can choose an
        alternative in a card and the model continues from it: see :meth:`branch`. If it cannot, the cards say why.
    sampling_params
        The settings of the completion, if they were not the client's own.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities to show.
    SettingError
        When ``logprobs`` has another type, or an argument has an invalid value; of several responses, when all have
        failed or their prompts differ.

    Examples
    --------
    >>> from deluge_nb import LogprobView
    >>> tokens = [{"token": "Paris", "logprob": -0.1}, {"token": ".", "logprob": -0.7}]
    >>> view = LogprobView(tokens, color_by="surprisal", title="The capital of France")
    >>> view.selected = 1
    >>> view
    LogprobView(2 tokens)
    """

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
    title = traitlets.Unicode("").tag(sync=True)
    before = traitlets.Unicode("").tag(sync=True, to_json=_sent_before)

    def __init__(
        self,
        logprobs: Any,
        *,
        color_by: ColorBy = "probability",
        selected: int | None = None,
        title: str | None = None,
        before: str | None = None,
        palette: str = "amber",
        font: str = "monospace",
        spaces: str = "marks",
        boundaries: bool = False,
        threshold: float = 0.1,
        limits: Sequence[float] = (),
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        sampler_order: SamplerOrder = "vllm",
        client: LLMClient | str | ServedModel | Continuer | None = None,
        prompt: PromptLike | None = None,
        sampling_params: SamplingParams | None = None,
    ) -> None:
        samples, answer, table = read_answers(logprobs)
        self._sync = TableSync(self, with_small_vocabulary(table))
        self._sync.with_measures = color_by not in ("probability", "surprisal")
        self._pinned_by_node: dict[int, Any] = {}
        self._author = (client, sampling_params)
        self._branches = BranchTree(self, answer, *resolve_continuer(client, prompt, sampling_params), samples)
        drawn_with = sampling_params or getattr(answer, "sampling_params", None)
        sampler = validation.sampler(drawn_with, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        super().__init__(
            **self._sync.pack(),
            **self._branches.traits(),
            selected=selected,
            color_by=color_by,
            title=title or "",
            before=check_before(before, answer),
            palette=palette,
            font=font,
            spaces=spaces,
            boundaries=boundaries,
            threshold=threshold,
            limits=validation.limits("limits", limits),
            **sampler,
            sampler_order=sampler_order,
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
        """The table under the name it has in a response, so that a view can be passed in place of a response."""
        return self.table

    def update(self, logprobs: Any, *, prompt: PromptLike | None = None, before: str | None = None) -> None:
        """Show another table in the same view, such as one that has grown.

        If the table has grown, only the new rows are sent, and the text on the screen stays.

        Parameters
        ----------
        logprobs
            A table or one or more responses, as for the view itself. A selection stays if the new table has its
            position.
        prompt
            The prompt of the new completion, for the view's client. If the text is another one, its branches are
            removed.
        before
            The text before the new tokens. By default what the new response knows, else it stays.

        Raises
        ------
        LogprobsMissingError, SettingError
            As for the view itself; the view then keeps its table.

        Examples
        --------
        >>> from deluge_nb import LogprobView
        >>> tokens = [{"token": "Par", "logprob": -0.1}, {"token": "is", "logprob": -0.2}]
        >>> view = LogprobView(tokens[:1])
        >>> view.update(tokens)
        >>> view.table.text
        'Paris'
        """
        samples, answer, table = read_answers(logprobs)
        given = check_before(before, answer)
        old, new = self.table, with_small_vocabulary(table)
        if given or before is not None:
            self.before = given
        is_tree = bool(samples or self.samples)
        grown = not is_tree and continues(old, new)
        client, params = self._author
        continuer = None if prompt is None else resolve_continuer(client, prompt, params)[0]
        if is_tree or (not grown and self._branches.branches):
            self._branches.clear()
        self._branches.replace_answer(answer, samples, grown=grown, continuer=continuer)
        self.branching = self._branches.why_not
        if grown:
            self._sync.append(new)
            return
        self._sync.replace(new)
        self._pinned_by_node.clear()
        self._fit_selection(self.pinned)
        self._sync.send_all()
        if samples:
            with self.hold_sync():
                for name, value in self._branches.traits().items():
                    self.set_trait(name, value)

    def get_state(self, *args: Any, **options: Any) -> Any:
        """Return the values of the traits, including rows appended since the traits were last set.

        Parameters
        ----------
        *args, **options
            As for the base class, :class:`ipywidgets.Widget`.

        Returns
        -------
        dict
            The values by the names of their traits.
        """
        sync = getattr(self, "_sync", None)
        if sync is not None and sync.is_stale:
            # Rows that are sent later continue from here, also in browsers that have these already.
            sync.send_appended()
            # Not as a change: only the caller needs them.
            self._trait_values.update(sync.pack_again())
        return super().get_state(*args, **options)

    # Samples and branches ---------------------------------------------------------------------------------------------

    @property
    def samples(self) -> Samples:
        """The different answers that the view was given, the most common first; empty if it was given only one.

        ``view.node = i`` shows ``view.samples[i]``.
        """
        return self._branches.samples

    @property
    def branches(self) -> list[Branch]:
        """The answers that continue from another token, in the order of their requests."""
        return list(self._branches.branches)

    @property
    def shown(self) -> Logprobs:
        """The table on the screen: that of the completion, :attr:`table`, or that of the answer or branch ``node``."""
        return self._branches.table(cast(int, self.node))

    def branch(self, position: int, alternative: str | int, *, node: int | None = None) -> Branch:
        """Let the model continue from another token, and wait for the answer.

        The view does not change; ``view.node = branch.id`` shows the branch.

        Parameters
        ----------
        position
            The position of the token to replace, counted from the end if negative.
        alternative
            The text of the other token, or its index among the alternatives listed there, 0 for the first.
        node
            The node to branch from: the ``id`` of a branch, 0 for the completion; by default the one on the screen.

        Returns
        -------
        Branch
            Its ``response`` is the whole answer. Its ``status`` and ``message`` report a failed request.

        Raises
        ------
        SettingError
            When there is no such alternative, or the model cannot continue from it; the message says why.
        LogprobsNotSupportedError, MissingKeyError, LocalModelError
            When no request can be made to the model.

        Examples
        --------
        >>> from deluge_nb import LLMClient, LogprobView
        >>> client = LLMClient("local", logprobs=True, top_logprobs=5, max_new_tokens=8)
        >>> response = client.process_prompts_sync(["Name a colour."], show_progress=False)[0]
        >>> view = LogprobView(response, client=client, prompt="Name a colour.")
        >>> branch = view.branch(0, 1)
        >>> branch.response.logprobs.tokens[0] == branch.token
        True
        """
        return self._branches.branch(position, alternative, cast(int, self.node) if node is None else node)

    # Static forms -----------------------------------------------------------------------------------------------------

    @property
    def _forms(self) -> AnswerForms:
        style: Any = self.color_by, self.palette, self.title, self.before
        return AnswerForms(self.table, self.samples.first_name, self._branches.rows, *style)

    def _export(self, form: Literal["html", "text", "svg", "png"], **options: Any) -> Any:
        return self._forms.export(form, **options)

    def _static_forms(self) -> dict[str, str]:
        return self._forms.bundle()

    def _page_state(self) -> tuple[dict[str, Any], str]:
        packer = Packer()
        data = packer.tokens(self.table)
        packer.commit()
        state = {
            "data": data,
            "alternatives": packer.alternatives(self.table, 0, len(self.table)),
            "measures": pack_measures(self.table),
            "branching": None,
            # A page has no kernel that sends answers when they are asked for.
            **self._branches.traits(math.inf),
        }
        return state, self._forms.below_tree("text", self.table.text)

    # Messages and traits ----------------------------------------------------------------------------------------------

    def _receive(self, _: object, content: Any, __: object) -> None:
        """Answer a request of the browser: a branch, a chunk of alternatives, measures, or the whole table."""
        if not isinstance(content, dict):
            return
        if "branch" in content:
            self._branches.request(content["branch"])
        if (node := self._branches.show_sample(content.get("sample"))) is not None:
            self.node = node
        chunk = content.get("chunk")
        if isinstance(chunk, int) and not isinstance(chunk, bool) and 0 <= chunk * CHUNK < len(self.shown):
            self._send_chunk(chunk)
        if content.get("measures") is True:
            self._sync.with_measures = True
            self.measures = pack_measures(self.table)
        if content.get("whole") is True:
            # Even if the traits are up to date: the browser may have an older state.
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
        if change["new"] == 0 and self._sync.is_stale:  # Rows arrived while a branch was on the screen.
            self._sync.send_all()

    def _fit_selection(self, pinned: Any) -> None:
        """Keep the selections that lie within the text on the screen."""
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

    def __repr__(self) -> str:
        if self.samples:
            return f"LogprobView({pluralize(self.samples.total, 'answer')}, {len(self.samples)} different)"
        return f"LogprobView({pluralize(len(self.table), 'token')})"
