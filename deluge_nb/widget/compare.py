"""The widget that compares: responses side by side, aligned by their text, coloured by what one says more or less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import traitlets

from ..errors import SettingError
from ..interop.readers import as_logprobs
from ..logprobs.alignment import Alignment, Spans, common_prefix_length, distribution_at, token_label
from ..logprobs.columns import Floats
from ..logprobs.table import Logprobs
from ..render import comparison as static
from ..render.assets import STATIC
from ..render.colors import PALETTES
from ..render.comparison import COMPARE_BY, LETTERS, CompareBy
from ..render.html import FALLBACK_LIMIT
from ..stats.samples import Divergences, divergence_lower_bounds
from .compare_codec import pack_alignment, pack_responses
from .fallback import FallbackWidget
from .packer import CHUNK, Packer, pack_measures
from .table_sync import with_small_vocabulary
from .validation import invalid
from .view import FONTS

if TYPE_CHECKING:
    import altair

Arrange = Literal["side by side", "interleaved"]
ARRANGE = ("side by side", "interleaved")
MEASURES = ("logprob", "entropy")


@dataclass(frozen=True)
class FirstDivergence:
    """Where two texts part.

    ``span`` is its row in ``compare.spans``; ``a`` and ``b`` are the positions of the first tokens that differ,
    ``a_token`` and ``b_token`` how these are called (None past the end of a text). ``divergence`` is how much the two
    distributions differ there at least; None where the tokens before are not the same, or too little is known.
    """

    span: int
    a: int
    b: int
    a_token: str | None
    b_token: str | None
    divergence: Divergences | None


class LogprobCompare(FallbackWidget):
    """Lays responses of two prompts, models or temperatures side by side, aligned by text.

    What both say is aligned whatever tokens it is made of, and coloured by how much more (blue, a line above) or less
    (orange, a line below) probable each response calls it than the other; what only one says is dashed. Point at a
    token, or move with the arrow keys, to see both; ``n`` and ``p`` go to the next and the previous difference, ``o``
    to the other side, ``?`` lists all keys.

    Parameters
    ----------
    a, b, *more
        Tables of log-probabilities, or responses that have one: see :func:`deluge_nb.as_logprobs`. Each is compared
        with the first, and the first with the second. Up to eight.
    names
        What each is called; the responses' models by default, where these differ.
    color_by
        ``"difference"``, or as for :class:`deluge_nb.LogprobView`.
    arrange
        ``"side by side"``, or ``"interleaved"``: the lines of one above those of the other. What is narrow is
        interleaved in any case.
    measure
        What the chart above the text is of: ``"logprob"`` (nats) or ``"entropy"`` (bits).
    threshold
        A difference of more than this is one that ``n`` and ``p`` go to: nats.
    selected
        A row of :attr:`spans`, or None.
    title
        A line above; none by default.
    palette, font
        As for :class:`deluge_nb.LogprobView`; the palette is not that of differences.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities to compare.
    SettingError
        When an argument has a value it cannot have.
    """

    _esm = STATIC / "compare.js"
    _css = STATIC / "compare.css"
    _page_assets = ("compare_page.js", "compare.css")

    data = traitlets.Bytes(b"").tag(sync=True)
    alignment = traitlets.Bytes(b"").tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    color_by = traitlets.Enum(list(COMPARE_BY), "difference").tag(sync=True)
    arrange = traitlets.Enum(list(ARRANGE), "side by side").tag(sync=True)
    measure = traitlets.Enum(list(MEASURES), "logprob").tag(sync=True)
    threshold = traitlets.Float(1.0).tag(sync=True)
    palette = traitlets.Enum(list(PALETTES), "amber").tag(sync=True)
    font = traitlets.Enum(list(FONTS), "monospace").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        a: Any,
        b: Any,
        *more: Any,
        names: Sequence[str] | None = None,
        color_by: CompareBy = "difference",
        arrange: Arrange = "side by side",
        measure: str = "logprob",
        threshold: float = 1.0,
        selected: int | None = None,
        title: str | None = None,
        palette: str = "amber",
        font: str = "monospace",
    ) -> None:
        responses = [a, b, *more]
        if len(responses) > len(LETTERS):
            raise SettingError(
                f"LogprobCompare takes two to {len(LETTERS)} responses, not {len(responses)}.",
                setting="more",
                value=len(responses),
            )
        self._compared = Alignment([with_small_vocabulary(as_logprobs(one)) for one in responses])
        self._packers = [Packer() for _ in responses]
        wanted = measure == "entropy" or color_by in ("entropy", "margin", "rank")
        super().__init__(
            data=pack_responses(self.tables, self._packers, measured=wanted),
            alignment=self._alignment(),
            names=_names(responses, names),
            selected=selected,
            color_by=color_by,
            arrange=arrange,
            measure=measure,
            threshold=threshold,
            title=title or "",
            palette=palette,
            font=font,
        )
        self.on_msg(self._receive)

    # Results --------------------------------------------------------------------------------------------------------

    @property
    def tables(self) -> tuple[Logprobs, ...]:
        """The tables that are compared."""
        return self._compared.tables

    @property
    def spans(self) -> Spans:
        """What the first response and each other one share, and what only one of them has: see ``to_pandas()``."""
        return self._compared.spans

    def difference(self, response: int = 0) -> Floats:
        """How much more probable a response calls the text of each of its tokens than what it is compared with.

        Where the other side has other tokens, only the text that both cut alike can be compared: each of its tokens
        has the difference of the whole, and ``spans`` says how many share it.

        Parameters
        ----------
        response
            Which response; 0 is the first, which is compared with the second.

        Returns
        -------
        Floats
            One float64 per token, nats; NaN where the text is only in this response.

        Raises
        ------
        SettingError
            When there is no such response.
        """
        self._one_of("response", response, 0)
        return self._compared.difference(response)

    @property
    def first_divergence(self) -> FirstDivergence | None:
        """Where the first and the second response part; None where their texts are the same."""
        return self.first_divergence_from(1)

    def first_divergence_from(self, other: int) -> FirstDivergence | None:
        """Where the first and another response part; None where their texts are the same.

        Raises
        ------
        SettingError
            When there is no such response.
        """
        self._one_of("other", other, 1)
        pair = self._compared.pairs[other - 1]
        odd = np.flatnonzero(~pair.common)
        if not len(odd):
            return None
        row = int(odd[0])
        a, b = int(pair.a_start[row]), int(pair.b_start[row])
        left, right = self.tables[0], self.tables[other]
        before = sum(len(one) for one in self._compared.pairs[: other - 1])
        return FirstDivergence(
            before + row, a, b, token_label(left, a), token_label(right, b), self._parting(a, b, other)
        )

    def divergence(self, position: int, other: int = 1) -> Divergences:
        """How much two responses' distributions differ before a token that both reached by the same tokens, at least.

        Parameters
        ----------
        position
            Which token; not beyond the first that differs.
        other
            Which response the first is compared with.

        Returns
        -------
        Divergences
            Lower bounds from what both list: see :func:`deluge_nb.stats.divergence_lower_bounds`.

        Raises
        ------
        SettingError
            When the tokens before are not the same, or there is no such token or response.
        ProbabilityMassError
            When a list adds up to more than 1.
        LogprobError
            When nothing is known of a position.
        """
        self._one_of("other", other, 1)
        same = common_prefix_length(self.tables[0], self.tables[other])
        last = min(same, len(self.tables[0]) - 1, len(self.tables[other]) - 1)
        if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= last:
            raise SettingError(
                f"position must be from 0 to {last}, for only there both have a token after the same tokens, "
                f"not {position!r}.",
                setting="position",
                value=position,
            )
        return divergence_lower_bounds(
            distribution_at(self.tables[0], position), distribution_at(self.tables[other], position)
        )

    def chart(self, measure: str | None = None) -> altair.Chart:
        """The log-probabilities (nats) or entropies (bits) of all responses over one axis.

        Parameters
        ----------
        measure
            ``"logprob"`` or ``"entropy"``; that of the widget if left out.

        Raises
        ------
        SettingError
            When ``measure`` is neither.
        """
        from ..charts.comparison import compare_chart

        wanted = self.measure if measure is None else measure
        if wanted not in MEASURES:
            raise SettingError(
                f"measure must be one of {', '.join(MEASURES)}, not {measure!r}.", setting="measure", value=measure
            )
        return compare_chart(self._compared, cast("list[str]", self.names), wanted)

    def to_html(self, *, limit: int | None = None) -> str:
        """The comparison as HTML: a column for each response, rows that hold the same text.

        Parameters
        ----------
        limit
            Show at most so many tokens of each, and say how many more there are; all by default.
        """
        names = cast("list[str]", self.names)
        by = cast(CompareBy, self.color_by)
        return static.to_html(self._compared, names, color_by=by, title=self.title, limit=limit)

    def to_text(self, *, limit: int | None = None) -> str:
        """The comparison for a terminal: what only one response has in brackets, and the largest differences below.

        Parameters
        ----------
        limit
            Show at most so many tokens of each, and say how many more there are; all by default.
        """
        return static.to_text(self._compared, cast("list[str]", self.names), limit=limit)

    def _page_state(self) -> tuple[dict[str, Any], str]:
        texts = zip(LETTERS, self.names, self.tables, strict=False)
        text = "\n\n".join(f"{letter}: {name}\n\n{table.text}" for letter, name, table in texts)
        return {"data": pack_responses(self.tables, [Packer() for _ in self.tables], whole=True)}, text

    def _alignment(self) -> bytes:
        parts = [self.first_divergence_from(other) for other in range(1, len(self.tables))]
        told = [
            None
            if one is None
            else {"span": one.span, "js": None if one.divergence is None else float(one.divergence.js_lower)}
            for one in parts
        ]
        return pack_alignment(self._compared, told)

    def _parting(self, a: int, b: int, other: int) -> Divergences | None:
        left, right = self.tables[0], self.tables[other]
        if a != b or common_prefix_length(left, right) < a or a >= min(len(left), len(right)):
            return None
        try:
            return self.divergence(a, other)
        except ValueError:  # what is listed is none of a distribution
            return None

    # Checks ---------------------------------------------------------------------------------------------------------

    def _one_of(self, name: str, value: Any, first: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value < len(self.tables):
            raise SettingError(
                f"{name} must be from {first} to {len(self.tables) - 1}, not {value!r}.", setting=name, value=value
            )

    @traitlets.validate("selected")
    def _position(self, proposal: Mapping[str, Any]) -> int | None:
        value = proposal["value"]
        if value is not None and not 0 <= value < len(self.spans):
            allowed = f"None or a row of spans from 0 to {len(self.spans) - 1}" if len(self.spans) else "None"
            raise invalid("selected", allowed, value)
        return value

    @traitlets.validate("threshold")
    def _nats(self, proposal: Mapping[str, Any]) -> float:
        value = proposal["value"]
        if not value >= 0:
            raise invalid("threshold", "a number of nats from 0", value)
        return value

    @traitlets.validate("names")
    def _called(self, proposal: Mapping[str, Any]) -> list[str]:
        return _distinct(list(proposal["value"]), len(self.tables))

    # Answers --------------------------------------------------------------------------------------------------------

    def _receive(self, _: object, content: Any, __: object) -> None:
        """The browser asks for what was too much to send at once."""
        if not isinstance(content, dict):
            return
        side, chunk = content.get("side"), content.get("chunk")
        if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side < len(self.tables):
            return
        table = self.tables[side]
        if isinstance(chunk, int) and not isinstance(chunk, bool) and 0 <= chunk * CHUNK < len(table):
            last = min((chunk + 1) * CHUNK, len(table))
            block = self._packers[side].alternatives(table, chunk * CHUNK, last)
            self.send({"parts": ["alternatives"], "side": side}, [block])
        if content.get("measures") is True:
            self.send({"parts": ["measures"], "side": side}, [pack_measures(table)])

    def _static_forms(self) -> dict[str, str]:
        return {"text/html": self.to_html(limit=FALLBACK_LIMIT), "text/plain": self.to_text(limit=FALLBACK_LIMIT)}

    def __repr__(self) -> str:
        return f"LogprobCompare({', '.join(f'{len(table)} tokens' for table in self.tables)})"


def _names(responses: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """The names as given; else the models, where these tell the responses apart; else letters."""
    if names is not None:
        return _distinct(names, len(responses))
    models = [getattr(one, "model", None) for one in responses]
    told = [model for model in models if isinstance(model, str) and model]
    if len(set(told)) == len(responses):
        return told
    return list(LETTERS[: len(responses)])


def _distinct(names: Any, count: int) -> list[str]:
    given = list(names) if isinstance(names, list | tuple) else None
    if (
        given is None
        or len(given) != count
        or not all(isinstance(name, str) for name in given)
        or len(set(given)) < count
    ):
        raise invalid("names", f"{count} different texts, one for each response", names)
    return given
