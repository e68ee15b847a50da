"""``LogprobCompare``: the widget that shows responses side by side, aligned by text and coloured by difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import traitlets

from ..errors import SettingError
from ..extras import has_extra
from ..interop.readers import as_logprobs
from ..logprobs.alignment import Alignment, Spans
from ..logprobs.columns import Floats
from ..logprobs.table import Logprobs
from ..render import comparison as static
from ..render.colors import PALETTES
from ..render.comparison import COMPARE_BY, LETTERS, CompareBy
from ..render.html import FALLBACK_LIMIT
from ..render.picture import comparison as picture
from ..stats.samples import Divergences
from ..stats.temperature import SamplerOrder
from ..text.counts import pluralize
from . import validation
from .compare_codec import pack_aligned, pack_responses, replies
from .divergence import FirstDivergence, divergence_at, first_divergence
from .exports import StaticExport
from .fallback import FallbackWidget
from .packer import Packer
from .table_sync import with_small_vocabulary
from .view import FONTS, SPACES

if TYPE_CHECKING:
    import altair

Arrange = Literal["side by side", "interleaved"]
ARRANGE = ("side by side", "interleaved")
MEASURES = ("logprob", "entropy")


class LogprobCompare(StaticExport, validation.SamplerTraits, FallbackWidget):
    """Responses of two prompts, models or temperatures in a notebook, side by side and aligned by their text.

    Text that both responses have is aligned however each cuts it into tokens. Its colour shows how much more (blue, a
    line above) or less (orange, a line below) probable it is in this response than in the other; text that only one
    has is dashed. Point at a token, or move with the arrow keys, to see both sides; ``n`` and ``p`` go to the next and
    the previous difference, ``o`` to the other side, ``/`` searches, ``?`` lists all keys.

    ``selection`` is the selected range of tokens, ``[response, start, stop]``, or empty; ``pinned`` has the kept cards,
    each as ``[response, position]``.

    Parameters
    ----------
    a, b, *more
        Tables of log-probabilities, or responses that have one: see :func:`deluge_nb.as_logprobs`. Each is compared
        with the first, and the first with the second. Up to eight.
    names
        A name for each; by default the responses' models, if these differ.
    color_by
        ``"difference"``, or as for :class:`deluge_nb.LogprobView`; by default ``"difference"``, or ``"probability"``
        where less than a fifth of the text is common, so that differences say nothing.
    arrange
        ``"side by side"``, or ``"interleaved"``: the lines of one above those of the other. A narrow widget is always
        interleaved.
    measure
        The measure of the chart above the text: ``"logprob"`` (nats) or ``"entropy"`` (bits).
    threshold
        ``n`` and ``p`` go to differences above this, in nats.
    selected
        A row of :attr:`spans`, or None.
    title
        A line above the responses; none by default.
    temperature, top_k, top_p, min_p, sampler_order
        As for :class:`deluge_nb.LogprobView`: the sampler of the cards, the same for all responses.
    palette, font, spaces, boundaries
        As for :class:`deluge_nb.LogprobView`; the palette does not apply to differences.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities to compare.
    SettingError
        When an argument has an invalid value.

    Examples
    --------
    >>> from deluge_nb import LogprobCompare
    >>> cold = [{"token": "Yes", "logprob": -0.1}, {"token": ".", "logprob": -0.2}]
    >>> warm = [{"token": "Yes", "logprob": -1.1}, {"token": "!", "logprob": -0.7}]
    >>> compare = LogprobCompare(cold, warm, names=["temperature 0", "temperature 1"])
    >>> compare.difference()
    array([ 1., nan])
    >>> compare.first_divergence.b_token
    '!'
    """

    _script = "compare.js"
    _page_assets = ("compare_page.js", "compare.css")

    data = traitlets.Bytes(b"").tag(sync=True)
    alignment = traitlets.Bytes(b"").tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    summaries = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    selection = traitlets.List(traitlets.Any()).tag(sync=True)
    pinned = traitlets.List(traitlets.Any()).tag(sync=True)
    color_by = traitlets.Enum(list(COMPARE_BY), "difference").tag(sync=True)
    arrange = traitlets.Enum(list(ARRANGE), "side by side").tag(sync=True)
    measure = traitlets.Enum(list(MEASURES), "logprob").tag(sync=True)
    threshold = traitlets.Float(1.0).tag(sync=True)
    palette = traitlets.Enum(list(PALETTES), "amber").tag(sync=True)
    font = traitlets.Enum(list(FONTS), "monospace").tag(sync=True)
    spaces = traitlets.Enum(list(SPACES), "marks").tag(sync=True)
    boundaries = traitlets.Bool(False).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        a: Any,
        b: Any,
        *more: Any,
        names: Sequence[str] | None = None,
        color_by: CompareBy | None = None,
        arrange: Arrange = "side by side",
        measure: str = "logprob",
        threshold: float = 1.0,
        selected: int | None = None,
        title: str | None = None,
        palette: str = "amber",
        font: str = "monospace",
        spaces: str = "marks",
        boundaries: bool = False,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        sampler_order: SamplerOrder = "vllm",
    ) -> None:
        responses = [a, b, *more]
        if len(responses) > len(LETTERS):
            raise SettingError(
                f"LogprobCompare takes two to {len(LETTERS)} responses, not {len(responses)}.",
                setting="more",
                value=len(responses),
            )
        self._aligned = Alignment([with_small_vocabulary(as_logprobs(response)) for response in responses])
        self._packers = [Packer() for _ in responses]
        color_by = static.default_color(self._aligned) if color_by is None else color_by
        with_measures = measure == "entropy" or color_by in ("entropy", "margin", "rank")
        super().__init__(
            data=pack_responses(self.tables, self._packers, with_measures=with_measures),
            alignment=pack_aligned(self._aligned),
            names=_names(responses, names),
            summaries=[static.summary(self._aligned, side) for side in range(len(responses))],
            selected=selected,
            color_by=color_by,
            arrange=arrange,
            measure=measure,
            threshold=threshold,
            title=title or "",
            palette=palette,
            font=font,
            spaces=spaces,
            boundaries=boundaries,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            sampler_order=sampler_order,
        )
        self.on_msg(self._receive)

    # Results --------------------------------------------------------------------------------------------------------

    @property
    def tables(self) -> tuple[Logprobs, ...]:
        """The tables of the responses."""
        return self._aligned.tables

    @property
    def spans(self) -> Spans:
        """The text that the first response shares with each other one, and the text that only one of them has."""
        return self._aligned.spans

    def difference(self, response: int = 0) -> Floats:
        """Return for each token of a response how much more probable its text is there than in the other response.

        If the other response cuts the text into other tokens, only a stretch whose ends are token boundaries in both
        can be compared. Each of its tokens has the difference of the whole stretch, which is a row of :attr:`spans`.

        Parameters
        ----------
        response
            The index of the response; 0 is the first, which is compared with the second.

        Returns
        -------
        Floats
            One float64 per token, in nats; NaN where only this response has the text.

        Raises
        ------
        SettingError
            When there is no such response.
        """
        self._check_index("response", response, 0)
        return self._aligned.difference(response)

    @property
    def first_divergence(self) -> FirstDivergence | None:
        """The first divergence of the first and the second response; None if their texts are the same."""
        return self.first_divergence_from(1)

    def first_divergence_from(self, other: int) -> FirstDivergence | None:
        """Return the first divergence of the first response and another.

        Parameters
        ----------
        other
            The index of the other response, from 1.

        Returns
        -------
        FirstDivergence or None
            The first tokens that differ; None if the texts are the same.

        Raises
        ------
        SettingError
            When there is no such response.
        """
        self._check_index("other", other, 1)
        return first_divergence(self._aligned, other)

    def divergence(self, position: int, other: int = 1) -> Divergences:
        """Return lower bounds on the distance of two responses' distributions at a position.

        Both responses must have the same tokens before it: only then were both distributions conditioned on the same
        text.

        Parameters
        ----------
        position
            The position of a token, at most that of the first that differs.
        other
            The index of the response that the first is compared with.

        Returns
        -------
        Divergences
            Lower bounds from the alternatives of both: see :func:`deluge_nb.stats.divergence_lower_bounds`.

        Raises
        ------
        SettingError
            When the tokens before the position are not the same, or there is no such token or response.
        ProbabilityMassError
            When the alternatives of a response have a total probability above 1.
        LogprobError
            When a response has no log-probability at the position.
        """
        self._check_index("other", other, 1)
        return divergence_at(self._aligned, position, other)

    def chart(self, measure: str | None = None) -> altair.Chart:
        """Return a chart of the log-probabilities (nats) or entropies (bits) of all responses, over one axis.

        Parameters
        ----------
        measure
            ``"logprob"`` or ``"entropy"``; by default that of the widget.

        Returns
        -------
        altair.Chart
            A line for each response.

        Raises
        ------
        SettingError
            When ``measure`` is neither.
        """
        from ..charts.comparison import compare_chart

        charted = self.measure if measure is None else measure
        if charted not in MEASURES:
            raise SettingError(
                f"measure must be one of {', '.join(MEASURES)}, not {measure!r}.", setting="measure", value=measure
            )
        return compare_chart(self._aligned, cast("list[str]", self.names), charted)

    def _export(self, form: Literal["html", "text", "svg", "png"], **options: Any) -> Any:
        names: Any = self.names
        if form == "text":
            return static.to_text(self._aligned, names, **options)
        style: Any = {"color_by": self.color_by, "palette": self.palette, "title": self.title}
        if form == "html":
            return static.to_html(self._aligned, names, **style, **options)
        draw = picture.to_svg if form == "svg" else picture.to_png
        return draw(self._aligned, names, **style, **options)

    def _page_state(self) -> tuple[dict[str, Any], str]:
        texts = zip(LETTERS, self.names, self.tables, strict=False)
        text = "\n\n".join(f"{letter}: {name}\n\n{table.text}" for letter, name, table in texts)
        return {"data": pack_responses(self.tables, [Packer() for _ in self.tables], whole=True)}, text

    @property
    def _sizes(self) -> list[int]:
        return list(map(len, self.tables))

    # Checks ---------------------------------------------------------------------------------------------------------

    def _check_index(self, name: str, value: Any, first: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value < len(self.tables):
            raise SettingError(
                f"{name} must be from {first} to {len(self.tables) - 1}, not {value!r}.", setting=name, value=value
            )

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Mapping[str, Any]) -> int | None:
        value = proposal["value"]
        if value is not None and not 0 <= value < len(self.spans):
            allowed = f"None or a row of spans from 0 to {len(self.spans) - 1}" if len(self.spans) else "None"
            raise validation.invalid("selected", allowed, value)
        return value

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Mapping[str, Any]) -> list[int]:
        return validation.side_span("selection", proposal["value"], self._sizes)

    @traitlets.validate("pinned")
    def _check_pinned(self, proposal: Mapping[str, Any]) -> list[list[int]]:
        return validation.side_positions("pinned", proposal["value"], self._sizes)

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Mapping[str, Any]) -> float:
        value = proposal["value"]
        if not value >= 0:
            raise validation.invalid("threshold", "a number of nats from 0", value)
        return value

    @traitlets.validate("names")
    def _check_names(self, proposal: Mapping[str, Any]) -> list[str]:
        return _distinct_names(list(proposal["value"]), len(self.tables))

    # Messages -------------------------------------------------------------------------------------------------------

    def _receive(self, _: object, content: Any, __: object) -> None:
        """Answer a request of the browser: a chunk of alternatives, or the measures of a response."""
        for reply, block in replies(self.tables, self._packers, content):
            self.send(reply, [block])

    def _static_forms(self) -> dict[str, str]:
        drawn = None
        if has_extra("vl_convert"):
            color_by, palette = cast(Any, self.color_by), cast(Any, self.palette)
            drawn = picture.fallback_picture(self._aligned, self.names, color_by, self.title, palette)
        page = self._export("html", picture=drawn, limit=FALLBACK_LIMIT)
        return {"text/html": page, "text/plain": self.to_text(limit=FALLBACK_LIMIT)}

    def __repr__(self) -> str:
        return f"LogprobCompare({', '.join(pluralize(len(table), 'token') for table in self.tables)})"


def _names(responses: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """Return the names as passed; by default the models if these differ, else letters."""
    if names is not None:
        return _distinct_names(names, len(responses))
    models = [getattr(response, "model", None) for response in responses]
    known = [model for model in models if isinstance(model, str) and model]
    if len(set(known)) == len(responses):
        return known
    return list(LETTERS[: len(responses)])


def _distinct_names(names: Any, count: int) -> list[str]:
    texts = list(names) if isinstance(names, list | tuple) else None
    if (
        texts is None
        or len(texts) != count
        or not all(isinstance(name, str) for name in texts)
        or len(set(texts)) < count
    ):
        raise validation.invalid("names", f"{count} different texts, one for each response", names)
    return texts
