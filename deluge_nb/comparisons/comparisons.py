"""``Comparisons``: the answers of several prompts or models to many inputs, as a table whose rows open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
import traitlets

from ..answers.results import format_value
from ..errors import LogprobsMissingError, SettingError, invalid_argument
from ..extras import import_extra
from ..printable import printable
from ..render.comparison import LETTERS
from ..text.counts import pluralize
from ..text.glyphs import passage
from ..widget.compare import LogprobCompare
from ..widget.compare_codec import join_parts
from ..widget.exports import TextExport
from ..widget.fallback import FallbackWidget, release
from ..widget.validation import invalid
from . import static
from .answers import Answer, read_answer
from .cells import describe, order_of, row_of, totals_of
from .row_state import RowState, shared_traits
from .saved import pack_rows

if TYPE_CHECKING:
    import pandas

    from ..logprobs.table import Logprobs

# Rows of the static form beside the widget, which add to the size of every saved notebook.
_FALLBACK_ROWS = 100
# Characters of an input in the title of its comparison.
_TITLE = 120
_MEASURES = ("answer", "logprob", "difference")


class Comparisons(TextExport, FallbackWidget):
    """Answers of several prompts or models to many inputs, as a table in a notebook.

    Made by :func:`deluge_nb.compare_many`. A row has an input and, for each variant, the answer, the mean
    log-probability of its tokens, and the difference from the first variant's; both in nats. A click on a row, or
    Enter, opens the comparison of its answers. A click on a heading sorts.

    ``comparisons[i]`` is the comparison of a row as a widget of its own: of all its answers, or of the first and
    another where there are more than eight. ``comparisons[i, "name"]`` compares the first with that variant.

    Parameters
    ----------
    inputs
        The inputs: texts, prompts, or the values of a template.
    responses
        For each variant, by its name, one response for each input: of this or another library, a table of
        log-probabilities, or None for one that is missing.
    index
        Labels of the rows; by default their positions.
    title
        A line above the table; none by default.

    Raises
    ------
    SettingError
        When the variants have different numbers of responses.

    Examples
    --------
    >>> from deluge_nb import Comparisons
    >>> cold, warm = [{"token": "Paris", "logprob": -0.1}], [{"token": "Lyon", "logprob": -1.5}]
    >>> comparisons = Comparisons(["The capital of France?"], {"cold": [cold], "warm": [warm]})
    >>> comparisons
    Comparisons(1 input, cold / warm)
    >>> comparisons[0]
    LogprobCompare(1 token, 1 token)
    >>> print(comparisons.to_text())
    1 input · same answer in 0
    <BLANKLINE>
    0  The capital of France?
      cold    −0.10           Paris
      warm    −1.50    −1.40  Lyon
    """

    interrupted: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Responses of the last :func:`deluge_nb.compare_many` that ended early, by variant; None for missing ones."""

    _script = "comparisons.js"
    _page_assets = ("comparisons_page.js", "comparisons.css")

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    totals = traitlets.List(traitlets.Dict()).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    sort_by = traitlets.Unicode("").tag(sync=True)
    descending = traitlets.Bool(False).tag(sync=True)
    opened = traitlets.Int(None, allow_none=True).tag(sync=True)
    against = traitlets.Int(1).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    comparison = traitlets.Dict().tag(sync=True)
    data = traitlets.Bytes(b"").tag(sync=True)
    alignment = traitlets.Bytes(b"").tag(sync=True)

    def __init__(
        self,
        inputs: Sequence[Any],
        responses: Mapping[str, Sequence[Any]],
        *,
        index: pandas.Index | None = None,
        title: str | None = None,
    ) -> None:
        self._inputs, self._index = list(inputs), index
        self._responses = {name: list(entries) for name, entries in responses.items()}
        for name, entries in self._responses.items():
            if len(entries) != len(self._inputs):
                raise SettingError(
                    f"responses[{name!r}] must have one response for each of the "
                    f"{pluralize(len(self._inputs), 'input')}, not {len(entries)}.",
                    setting="responses",
                    value=len(entries),
                )
        if not self._responses:
            raise invalid_argument("responses", responses, "a dict of at least one name, each with a list of responses")
        self._columns = [list(map(read_answer, entries)) for entries in self._responses.values()]
        self._shown: tuple[Any, RowState] | None = None
        self._opened: dict[tuple[int, tuple[str, ...]], LogprobCompare] = {}
        labels = range(len(self._inputs)) if index is None else index
        by_row = zip(*self._columns, strict=True)
        super().__init__(
            names=list(self._responses),
            rows=[
                row_of(str(label), format_value(value), answers)
                for label, value, answers in zip(labels, self._inputs, by_row, strict=True)
            ],
            totals=totals_of(self._columns),
            note=describe(self._columns),
            title=title or "",
        )
        self.observe(self._load, ["opened", "against"])
        self.on_msg(self._receive)

    # Results --------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._inputs)

    def __iter__(self) -> Iterator[LogprobCompare]:
        return (self[row] for row in range(len(self)))

    @overload
    def __getitem__(self, index: int | tuple[int, str]) -> LogprobCompare: ...
    @overload
    def __getitem__(self, index: slice) -> Comparisons: ...
    def __getitem__(self, index: int | tuple[int, str] | slice) -> LogprobCompare | Comparisons:
        if isinstance(index, slice):
            responses = {name: entries[index] for name, entries in self._responses.items()}
            places = range(len(self))[index]
            labels: Any = np.array(places) if self._index is None else self._index[index]
            return Comparisons(self._inputs[index], responses, index=labels, title=self.title)
        row, name = index if isinstance(index, tuple) else (index, None)
        if isinstance(row, bool) or not isinstance(row, int | np.integer):
            raise invalid_argument("index", row, "the position of a row, a slice, or a position and a variant's name")
        if not -len(self) <= row < len(self):
            raise IndexError(f"There is no row {row}; there are {pluralize(len(self), 'row')}.")
        names = self.names
        if name is not None and name not in names[1:]:
            raise invalid_argument("index", name, f"a row and one of {', '.join(names[1:])}, compared with {names[0]}")
        return self._open(int(row) % len(self), None if name is None else names.index(name))

    @property
    def inputs(self) -> list[Any]:
        """The inputs; of a frame's rows, the values that the templates ask for."""
        return list(self._inputs)

    @property
    def responses(self) -> dict[str, list[Any]]:
        """The responses of each variant, in the order of the inputs."""
        return {name: list(entries) for name, entries in self._responses.items()}

    @property
    def index(self) -> pandas.Index | None:
        """Labels of the rows; None where the inputs came without any."""
        return self._index

    @property
    def order(self) -> list[int]:
        """Positions of the rows, in the order in which the table shows them."""
        measure, _, name = self.sort_by.partition(":")
        side = self.names.index(name) if name else 0
        return order_of(self.rows, measure, side, self.descending)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a data frame, in the order of the inputs.

        Returns
        -------
        pandas.DataFrame
            One row for each input: ``input`` and, for each variant X, ``answer_X``, ``mean_logprob_X`` (nats),
            ``difference_nats_X`` (not of the first) and ``error_X`` (the reason why there is no answer).

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.

        Examples
        --------
        >>> from deluge_nb import Comparisons
        >>> cold, warm = [{"token": "Paris", "logprob": -0.1}], [{"token": "Lyon", "logprob": -1.5}]
        >>> frame = Comparisons(["Capital?"], {"cold": [cold], "warm": [warm]}).to_pandas()
        >>> frame["difference_nats_warm"].round(2).tolist()
        [-1.4]
        """
        pd = import_extra("pandas", "to_pandas()")
        columns: dict[str, Any] = {"input": list(map(format_value, self._inputs))}
        firsts = np.array([answer.mean_logprob for answer in self._columns[0]])
        for side, (name, column) in enumerate(zip(self.names, self._columns, strict=True)):
            means = np.array([answer.mean_logprob for answer in column])
            columns[f"answer_{name}"] = [answer.text for answer in column]
            columns[f"mean_logprob_{name}"] = means
            if side:
                columns[f"difference_nats_{name}"] = means - firsts
            columns[f"error_{name}"] = [answer.error for answer in column]
        return pd.DataFrame(columns, index=self._index)

    def _export(self, form: Literal["html", "text", "svg", "png"], **options: Any) -> str:
        rows = [self.rows[row] for row in self.order]
        if form == "text":
            return static.to_text(list(map(printable, self.names)), rows, self.totals, note=self.note, **options)
        return static.to_html(self.names, rows, self.totals, note=self.note, title=self.title, **options)

    # The opened row -------------------------------------------------------------------------------------------------

    def _open(self, row: int, other: int | None) -> LogprobCompare:
        """Return the comparison of a row: of all its answers, or of the first and another."""
        tables = self._compared(row, other)
        key = (row, tuple(tables))
        if key not in self._opened:
            compare = LogprobCompare(
                *tables.values(),
                names=list(tables),
                title=" ".join(passage(self.rows[row]["input"], _TITLE).split()),
            )
            # It takes part in the page only once it is displayed by itself.
            release(compare)
            self._opened[key] = compare
        return self._opened[key]

    @property
    def _is_many(self) -> bool:
        """True if a comparison has only the first answer and another."""
        return len(self._columns) > len(LETTERS)

    def _compared(self, row: int, other: int | None) -> dict[str, Logprobs]:
        """Return the tables that the comparison of a row has, by the names of their variants."""
        if other is None and self._is_many:
            other = self.against
        chosen = range(len(self._columns)) if other is None else (0, other)
        answers = {side: self._columns[side][row] for side in chosen}
        tables = {self.names[side]: answer.table for side, answer in answers.items() if answer.table is not None}
        if len(tables) < 2:
            raise self._nothing_to_compare(row, answers)
        return tables

    def _nothing_to_compare(self, row: int, answers: Mapping[int, Answer]) -> LogprobsMissingError:
        reasons = [
            f"{self.names[side]!r}: {answer.error or answer.facts}"
            for side, answer in answers.items()
            if answer.table is None
        ]
        return LogprobsMissingError(
            f"Row {row} has fewer than two answers with log-probabilities ({'; '.join(map(printable, reasons))})."
        )

    def _load(self, _: object = None) -> None:
        """Give the browser the comparison of the opened row."""
        row = self.opened
        if row is None:
            self.set_trait("comparison", {})
            return
        shown = {"row": row, "against": self.against}
        try:
            state = self._state(row)
        except LogprobsMissingError as error:
            self.set_trait("comparison", {**shown, "error": str(error)})
            return
        with self.hold_sync():
            self.data, self.alignment = join_parts(state.parts()), state.alignment
            self.comparison = {**shown, "state": {**shared_traits(), **state.traits}}

    def _state(self, row: int) -> RowState:
        """Return what the browser shows of a row."""
        tables = self._compared(row, None)
        key = (row, tuple(tables))
        if self._shown is None or self._shown[0] != key:
            self._shown = (key, RowState(tables))
        return self._shown[1]

    def _receive(self, _: object, content: Any, __: object) -> None:
        """Answer a request of the browser: for the comparison of the opened row, or for data of its tokens."""
        if not isinstance(content, dict) or self.opened is None or content.get("row") != self.opened:
            return
        if "side" not in content:
            self.send({"row": self.opened})
            return
        try:
            state = self._state(self.opened)
        except LogprobsMissingError:
            return
        for reply, block in state.replies(content):
            self.send({**reply, "row": self.opened}, [block])

    # Forms ----------------------------------------------------------------------------------------------------------

    def _page_state(self) -> tuple[dict[str, Any], str]:
        """Return the comparisons of all rows in place of that of the opened one: a page cannot ask for them."""
        shown = self.against
        others = [shown, *(side for side in range(1, len(self.names)) if side != shown)] if self._is_many else [None]
        wanted = [(row, other) for other in others for row in self.order]
        saved = pack_rows(wanted, self._compared)
        note = " · ".join([self.note, *saved.notes])
        opened: dict[str, Any] = {"comparison": {}, "data": b"", "alignment": b""}
        return {**opened, "note": note, "details": saved.details, "blocks": saved.blocks}, self.to_text()

    def _static_forms(self) -> dict[str, str]:
        return {"text/html": self.to_html(limit=_FALLBACK_ROWS), "text/plain": self.to_text(limit=_FALLBACK_ROWS)}

    def __repr__(self) -> str:
        return f"Comparisons({pluralize(len(self), 'input')}, {printable(' / '.join(self.names))})"

    # Checks ---------------------------------------------------------------------------------------------------------

    @traitlets.validate("opened")
    def _check_opened(self, proposal: Mapping[str, Any]) -> int | None:
        value = proposal["value"]
        if value is not None and not 0 <= value < len(self):
            raise invalid("opened", f"None or a position from 0 to {len(self) - 1}" if len(self) else "None", value)
        return value

    @traitlets.validate("against")
    def _check_against(self, proposal: Mapping[str, Any]) -> int:
        value = proposal["value"]
        if not 1 <= value < max(len(self.names), 2):
            raise invalid("against", f"from 1 to {len(self.names) - 1}", value)
        return value

    @traitlets.validate("sort_by")
    def _check_sort_by(self, proposal: Mapping[str, Any]) -> str:
        value = proposal["value"]
        measure, _, name = value.partition(":")
        is_column = (
            measure in _MEASURES and name in self.names and not (measure == "difference" and name == self.names[0])
        )
        if value not in ("", "input") and not is_column:
            raise invalid("sort_by", '"", "input", or a measure and a variant such as "difference:name"', value)
        return value
