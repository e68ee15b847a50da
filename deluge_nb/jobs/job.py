"""A job: the answers to one question over many rows, read from its folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..answers.inputs import fill_prompt
from ..errors import LogprobsMissingError, SettingError, invalid_argument
from ..extras import has_extra, import_extra
from ..text.counts import pluralize
from .card import card_to_html, current_cell
from .inputs.frames import FIRST, index_names
from .storage.columns import COLUMN, FACTS, as_public, read_columns, tokens_of
from .storage.folder import JobFolder
from .worker import answer_schema, result_names

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

    from ..calibration.report import CalibrationReport
    from ..logprobs.columns import Floats
    from ..logprobs.table import Logprobs
    from ..widget.view import LogprobView
    from .engines.base import Engine
    from .progress import Progress
    from .spec import Spec


class Results(NamedTuple):
    """Labels and shares of all rows, as a report reads them."""

    labels: list[str | None]
    probability: Floats
    index: pandas.Index | None
    names: list[str]


class Job:
    """The answers to one question over many rows, in a folder that survives crashes.

    Made by :func:`deluge_nb.score_frame` and :func:`deluge_nb.classify_frame`, which return when the job is done. Rows
    that failed are rows: ``error`` has the reason.

    Parameters
    ----------
    folder, spec, engine, progress, rerun
        As those functions pass them.

    Examples
    --------
    >>> import tempfile
    >>> from deluge_nb import LLMClient, RawPrompt, score_frame
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20, max_new_tokens=1)
    >>> rows = {"text": ["I loved it.", "A waste of time."]}
    >>> question = RawPrompt("Review: {text} Sentiment:")
    >>> out = tempfile.mkdtemp()
    >>> job = score_frame(rows, question, client, labels=["positive", "negative"], out=out, show_progress=False)
    >>> job.table["label"].to_pylist()
    ['positive', 'negative']
    >>> job
    Job(2 rows, 0 of 2 rows failed, 1 of 1 part)
    """

    def __init__(self, folder: JobFolder, spec: Spec, engine: Engine, progress: Progress, rerun: Any) -> None:
        self._folder, self._spec, self._engine, self._rerun = folder, spec, engine, rerun
        self.progress = progress
        """Counts of rows, parts, failures and costs."""

    @property
    def folder(self) -> Path:
        """Folder of the job."""
        return self._folder.path

    def __len__(self) -> int:
        return self._folder.manifest.rows

    @cached_property
    def table(self) -> pa.Table:
        """The input's columns and then the results, one row for each row of the input, in the same order."""
        return self._read(result_names(self._spec))

    @property
    def failures(self) -> pa.Table:
        """The rows that failed: their number in ``row``, the input's columns, ``error`` and ``status_code``.

        Where the input has a column ``row``, the number is in ``row_``.
        """
        import pyarrow as pa

        table = self._read(["error", "status_code"])
        name = "row"
        while name in table.column_names:
            name += "_"
        numbered = table.add_column(0, name, pa.array(np.arange(table.num_rows)))
        return numbered.filter(table["error"].is_valid())

    def to_pandas(self, *, logprobs: bool = True) -> pandas.DataFrame:
        """Return the table as a data frame, with the index of the data frame that was passed.

        Parameters
        ----------
        logprobs
            False leaves out the column of log-probabilities, which takes much memory as Python objects.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        import_extra("pandas", "to_pandas()")
        return self._without_logprobs(logprobs).to_pandas()

    def to_polars(self, *, logprobs: bool = True) -> polars.DataFrame:
        """Return the table as a data frame of polars.

        Parameters
        ----------
        logprobs
            False leaves out the column of log-probabilities.

        Returns
        -------
        polars.DataFrame

        Raises
        ------
        MissingDependencyError
            When polars is not installed.
        """
        return import_extra("polars", "to_polars()").from_arrow(self._without_logprobs(logprobs))

    def logprobs(self, row: int) -> Logprobs:
        """Return the log-probabilities of a row's answer.

        Parameters
        ----------
        row
            Number of the row; negative ones count from the end.

        Returns
        -------
        Logprobs

        Raises
        ------
        IndexError
            When there is no such row.
        SettingError
            When the row is no number.
        LogprobsMissingError
            When the answer has none; the message has the reason.
        """
        _, answer = self._answer(row)
        table = None
        if COLUMN in answer.column_names:
            (table,) = read_columns(answer, tokens_of(answer))
        if table is None:
            reason = answer["error"][0].as_py()
            if reason is None:
                was_asked = self._spec.method or any(settings.logprobs for settings in self._spec.settings)
                sent = "the server sent none" if was_asked else "the client asks for none (logprobs=True does)"
                reason = sent if COLUMN in answer.column_names else "the job kept none (keep=)"
            raise LogprobsMissingError(f"Row {row} has no log-probabilities: {reason}")
        return table

    def view(self, row: int, **settings: Any) -> LogprobView:
        """Return the answer to a row as a view of its tokens.

        Parameters
        ----------
        row
            Number of the row; negative ones count from the end.
        **settings
            As for :class:`deluge_nb.LogprobView`.

        Returns
        -------
        LogprobView

        Raises
        ------
        IndexError
            When there is no such row.
        SettingError
            When the row is no number.
        LogprobsMissingError
            When the answer has no log-probabilities.
        """
        # Deferred: it loads the notebook libraries.
        from ..widget.view import LogprobView

        table = self.logprobs(row)  # raises the reason of a row that failed
        question, _ = self._answer(row)
        prompt = fill_prompt(question, self._spec.template, f"row {row}").as_asked
        own: dict[str, Any] = {"client": self._spec.client, "prompt": prompt, "sampling_params": self._spec.settings[0]}
        return LogprobView(table, **(own | settings))

    def report(self, truth: Iterable[Any] | str, **settings: Any) -> CalibrationReport:
        """Return the calibration report of the shares, for rows whose right labels are known.

        Parameters
        ----------
        truth
            The right label of each row, in order, or the name of the input's column that has them; None and NaN are
            missing.
        **settings
            As for :class:`deluge_nb.CalibrationReport`.

        Returns
        -------
        CalibrationReport

        Raises
        ------
        SettingError
            When the job has no labels, or the truth does not fit.
        """
        from ..calibration.report import CalibrationReport

        if not self._spec.names:
            raise SettingError("A report needs labels: run the job with labels=.", setting="truth", value=truth)
        table = self._read(["label", "probability"])
        if isinstance(truth, str):
            if truth not in table.column_names[:-2]:  # the last two are results
                raise invalid_argument("truth", truth, "a list of labels, or the name of a column of the input")
            truth = table[truth].to_pylist()
        shares = table["probability"].to_numpy().astype(np.float64)
        index = _index_of(table)
        found = Results(table["label"].to_pylist(), shares, index, self._spec.names)
        return CalibrationReport.from_results(found, truth, **settings)

    def retry(self, *, show_progress: bool = True) -> Job:
        """Ask the rows again that failed for a reason that may be gone, and only those.

        A row that its server refuses for what it is (status 400, 413, 422), or whose value is missing, is not asked
        again.

        Parameters
        ----------
        show_progress
            Show the progress.

        Returns
        -------
        Job
            The job itself, with the new answers.
        """
        try:
            self.progress = self._rerun(self._folder, self._spec, self._engine, show_progress)
        finally:  # some parts may have new answers even if it fails
            self.__dict__.pop("table", None)
        return self

    def __repr__(self) -> str:
        counts = self.progress
        parts = f"{counts.parts_done} of {pluralize(counts.parts, 'part')}"
        rows = f"{len(self):,} {'row' if len(self) == 1 else 'rows'}"
        return f"Job({rows}, {counts.describe_failed()} failed, {parts})"

    def _ipython_display_(self) -> None:
        if self.progress.cell is None or self.progress.cell != current_cell():
            raise NotImplementedError  # IPython then shows one of the forms below
        # The live card stands above, in the output of the same cell.

    def _repr_html_(self) -> str:
        return card_to_html(self.progress, self._spec.names, str(self.folder))

    def _without_logprobs(self, logprobs: bool) -> pa.Table:
        if logprobs or COLUMN not in result_names(self._spec):
            return self.table
        return self._read([name for name in result_names(self._spec) if name != COLUMN])

    def _read(self, names: Sequence[str]) -> pa.Table:
        """Return the input with some columns of results."""
        import pyarrow as pa

        inputs: list[pa.Table] = []
        answers: list[pa.Table] = []
        for part in self._folder.parts:
            inputs.append(self._folder.read_input(part))
            answers.append(self._folder.read_answers(part, ["row", *names]).replace_schema_metadata(None))
        if not inputs:
            schema = self._folder.read_schema()
            inputs = [schema.empty_table()]
            answers = [answer_schema(self._spec).empty_table().select(["row", *names])]
        rows, found = pa.concat_tables(inputs), pa.concat_tables(answers)
        first, asked = rows[FIRST].to_numpy(), found["row"].to_numpy()
        positions = np.searchsorted(asked, first)
        fits = len(asked) == self._folder.manifest.questions and (not len(first) or positions.max() < len(asked))
        if not fits or not np.array_equal(asked[positions], first):
            raise SettingError(
                f"The answers in {self.folder} do not fit its rows; start the job in another folder.",
                setting="out",
                value=str(self.folder),
            )
        if COLUMN in names:
            place = found.schema.get_field_index(COLUMN)
            found = found.set_column(place, COLUMN, as_public(found[COLUMN]))
        if self._folder.manifest.questions < len(self):
            found = found.unify_dictionaries().combine_chunks().take(pa.array(positions))
        result = rows.drop_columns([FIRST])
        for name in names:
            result = result.append_column(found.schema.field(name).with_nullable(True), found[name])
        return result

    def _answer(self, row: int) -> tuple[dict[str, Any], pa.Table]:
        """Return the values of a row's question, and its answer as a table of one row."""
        if isinstance(row, bool) or not hasattr(row, "__index__"):
            raise invalid_argument("row", row, "the number of a row")
        position = row + len(self) if row < 0 else row
        if not 0 <= position < len(self):
            raise IndexError(f"There is no row {row} in a job of {pluralize(len(self), 'row')}.")
        manifest = self._folder.manifest
        part, inside = divmod(position, manifest.part_rows)
        own = self._folder.read_input(part, [*manifest.used, FIRST]).slice(inside, 1)
        first = own[FIRST][0].as_py()
        names = ["row", "error", *([COLUMN, *FACTS] if COLUMN in result_names(self._spec) else ())]
        answers = self._folder.read_answers(first // manifest.part_rows, names)
        at = int(np.searchsorted(answers["row"].to_numpy(), first))
        return own.select(manifest.used).to_pylist()[0], answers.slice(at, 1)


def _index_of(table: pa.Table) -> pandas.Index | None:
    """Return the index of the data frame that the table was made of; None where it was none."""
    if table.schema.pandas_metadata is None or not has_extra("pandas"):
        return None
    return table.select(index_names(table.schema)).to_pandas().index
