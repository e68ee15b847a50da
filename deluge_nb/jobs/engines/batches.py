"""Scoring of Arrow batches inside engines that stream them: Spark's ``mapInArrow``, Ray Data and Daft.

Such an engine cuts the rows, schedules, and calls a function with batches. There is no job folder: what the engine runs
twice is asked twice. The columns are those of a job, in types that every engine takes, such as plain texts.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...answers.inputs import AnswerSet, Template, check_client, check_placeholders
from ...client.calls.offline import check_keys
from ...client.calls.travel import check_place, describe_place
from ...errors import SettingError, invalid_argument
from ...extras import import_extra
from ..inputs.frames import Frame, as_table_of
from ..inputs.hashing import RowHasher, first_rows, row_keys
from ..run import check_columns, check_frame, check_schema
from ..spec import Keep, Precision, make_spec
from ..storage.columns import COLUMN, as_public
from ..worker import answer_schema, result_names, score_table
from .here import AT_A_TIME, in_threads, wait_for_any

if TYPE_CHECKING:
    import pyarrow as pa

    from ...client.client import LLMClient
    from ..spec import Spec

# Rows that are asked together: what is held in memory for them does not grow with the host's batches.
_ROWS_AT_A_TIME = 1000
# Arrow's names of types, and Spark's.
_SPARK_NAMES = {"bool": "boolean", "int16": "short", "float": "float", "double": "double", "string": "string"}


def score_batches(
    template: Template,
    client: LLMClient,
    *,
    labels: AnswerSet | None = None,
    keep: Keep = "logprobs",
    dedup: bool | None = None,
    precision: Precision = "float64",
) -> BatchScorer:
    """Return a function that scores Arrow batches, for Spark's ``mapInArrow``, Ray Data, Daft and the like.

    The function can be pickled and holds no secrets: each worker process looks for keys in its own environment, and
    has one client (and one embedded model) for all its batches.

    Parameters
    ----------
    template, client, labels, keep, precision
        As for :func:`score_frame`. Limits of the client, such as ``max_requests_per_minute``, hold for each worker
        process: divide them by the number of processes.
    dedup
        Ask rows of a batch that have the same prompt once. By default, where the temperature is 0.

    Returns
    -------
    BatchScorer
        Maps batches to batches with the same rows, in order, and the columns of results that a :class:`Job` has. A row
        that failed has its ``error``.

    Raises
    ------
    SettingError
        When an argument has an invalid value, or the template has no placeholder.
    LogprobsNotSupportedError
        When labels are given and a model gives no log-probabilities.
    MissingDependencyError
        When pyarrow is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from deluge_nb import LLMClient, RawPrompt, score_batches
    >>> question = RawPrompt("Review: {text} Sentiment:")
    >>> score = score_batches(question, LLMClient("local"), labels=["positive", "negative"])
    >>> batch = pa.RecordBatch.from_pydict({"text": ["I loved it.", "A waste of time."]})
    >>> for scored in score([batch]):
    ...     print(scored["label"].to_pylist())
    ['positive', 'negative']
    """
    import_extra("pyarrow", "score_batches()")
    check_client(client, "client")
    if dedup is not None and not isinstance(dedup, bool):
        raise invalid_argument("dedup", dedup, "True, False or None")
    check_placeholders(template)
    spec = make_spec(template, client, labels=labels, keep=keep, precision=precision)
    return BatchScorer(spec, dedup=spec.is_deterministic if dedup is None else dedup)


class BatchScorer:
    """Function that scores batches of rows, made by :func:`deluge_nb.score_batches`.

    Called with an iterator of record batches (or of tables or data frames), it returns an iterator; called with one
    batch, table or data frame, it returns one. The rows are the same and in the same order, with the columns of results
    after those of the input.

    Parameters
    ----------
    spec
        The question, and the client that asks it.
    dedup
        Whether rows of a batch that have the same prompt are asked once.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from deluge_nb import LLMClient, score_batches
    >>> score = score_batches("Where is {city}?", LLMClient("local", max_new_tokens=2), keep="probabilities")
    >>> score(pa.table({"city": ["Paris", "Rome"]})).column_names[:2]
    ['city', 'completion']
    """

    def __init__(self, spec: Spec, *, dedup: bool) -> None:
        self._spec, self._dedup = spec, dedup
        self._expected: list[dict[str, Any]] | None = None
        # Spark and Ray show the name of a function.
        self.__name__ = "score_batches"

    @property
    def result_type(self) -> pa.DataType:
        """Arrow type of the results: a struct with a field for each column."""
        import pyarrow as pa

        return pa.struct(list(_result_schema(self._spec)))

    def schema(self, schema: Any) -> Any:
        """Return the schema of the results for that of an input; nothing is asked for it.

        Parameters
        ----------
        schema
            An Arrow schema, or the ``schema`` of a data frame of Spark.

        Returns
        -------
        pyarrow.Schema or pyspark.sql.types.StructType
            As the one given, with the columns of results.

        Raises
        ------
        SettingError
            When the template asks for another column, or a column has the name of a result.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from deluge_nb import LLMClient, score_batches
        >>> score = score_batches("Where is {city}?", LLMClient("local"), keep="probabilities")
        >>> score.schema(pa.schema({"city": pa.string()})).field("probability").type
        DataType(double)
        """
        import pyarrow as pa

        own = _result_schema(self._spec)
        if isinstance(schema, pa.Schema):
            given = Frame(schema.empty_table()).schema
            check_schema(given, self._spec)
            return pa.schema([*given, *own], given.metadata)
        if hasattr(schema, "jsonValue") and hasattr(schema, "fieldNames"):
            check_columns(schema.fieldNames(), self._spec)
            _check_case(schema.fieldNames(), own.names)
            fields = [*schema.jsonValue()["fields"], *_spark_type(pa.struct(list(own)))["fields"]]
            return type(schema).fromJson({"type": "struct", "fields": fields})
        raise invalid_argument("schema", schema, "an Arrow schema, or the schema of a data frame of Spark")

    def results(self, **columns: Any) -> pa.StructArray:
        """Return the results for columns, for engines whose functions map columns to a column.

        Parameters
        ----------
        **columns
            The columns that the template uses, by name: Arrow arrays, or anything with ``to_arrow()``.

        Returns
        -------
        pyarrow.StructArray
            One row for each of the input, of type :attr:`result_type`.

        Raises
        ------
        SettingError
            When the template asks for another column, or the columns are none or differ in length.

        Examples
        --------
        >>> from deluge_nb import LLMClient, score_batches
        >>> score = score_batches("Where is {city}?", LLMClient("local", max_new_tokens=2), keep="probabilities")
        >>> len(score.results(city=["Paris", "Rome"]))
        2
        """
        import pyarrow as pa

        schema = _result_schema(self._spec)
        table = self(as_table_of(columns))
        return pa.StructArray.from_arrays([_as_array(table[name]) for name in schema.names], fields=list(schema))

    def __call__(self, data: Any) -> Any:
        """Score one batch, or the batches of an iterator.

        Parameters
        ----------
        data
            An iterator, a list or a reader of batches, or one batch: a record batch, an Arrow table, a data frame of
            pandas or polars, or a dict of columns.

        Returns
        -------
        iterator, pyarrow.RecordBatchReader, pyarrow.RecordBatch, pyarrow.Table or data frame
            As what was given; a table for a dict.

        Raises
        ------
        SettingError
            When the template asks for another column, a column has the name of a result, or a model has another
            address in this process than where the function was made.
        MissingKeyError, LogprobsNotSupportedError, LocalModelError
            Before anything is sent, for an error that would concern every row.
        """
        import pyarrow as pa

        if isinstance(data, pa.RecordBatchReader):
            schema = self.schema(data.schema)
            # Empty batches have no rows to pass on.
            scored = (batch for _, table in self._score(data) for batch in table.cast(schema).to_batches())
            return pa.RecordBatchReader.from_batches(schema, scored)
        if isinstance(data, Iterator | list | tuple):
            return (_in_the_form_of(given, table) for given, table in self._score(data))
        ((_, table),) = self._score([data])
        return _in_the_form_of(data, table)

    def __getstate__(self) -> dict[str, Any]:
        # What is asked must not depend on the environment where the function arrives.
        expected = self._expected or describe_place(self._spec.client, self._spec.settings)
        return {**vars(self), "_expected": expected}

    def __repr__(self) -> str:
        return f"BatchScorer({self._spec.template!r}, {self._spec.client!r})"

    def _score(self, items: Iterable[Any]) -> Iterator[tuple[Any, pa.Table]]:
        """Yield each batch as it was given, and its rows with their results."""
        begun: deque[_Batch] = deque()

        def slices() -> Iterator[pa.Table]:
            is_checked = False
            for item in items:
                begun.append(batch := _Batch(item, self._spec, self._dedup))
                if batch.slices and not is_checked:
                    self._check_worker()
                    is_checked = True
                yield from batch.slices

        answers: list[pa.Table] = []
        with in_threads(self._results_of) as start:
            for answer in _in_order(start, slices()):
                if answer is not None:
                    answers.append(answer)
                while begun and len(answers) >= (count := len(begun[0].slices)):
                    batch, own, answers = begun.popleft(), answers[:count], answers[count:]
                    yield batch.data, batch.with_results(own, self._spec)

    def _check_worker(self) -> None:
        """Raise what would concern every row in this process, before anything is sent."""
        if self._expected is not None:
            check_place(self._spec.client, self._spec.settings, self._expected)
        check_keys(self._spec.client)

    def _results_of(self, table: pa.Table) -> pa.Table:
        answers, schema = score_table(self._spec, table), _result_schema(self._spec)
        columns = [as_public(answers[name]) if name == COLUMN else answers[name] for name in schema.names]
        return answers.from_arrays(columns, schema.names).cast(schema)


def _in_order(start: Callable[[pa.Table], Future[pa.Table]], slices: Iterator[pa.Table]) -> Iterator[pa.Table | None]:
    """Yield the results of slices in order, two under way; at the end None, for batches without rows."""
    running: deque[Future[pa.Table]] = deque()
    for table in slices:
        running.append(start(table))
        if len(running) == AT_A_TIME:
            yield _result(running.popleft())
    while running:
        yield _result(running.popleft())
    yield None


def _result(future: Future[pa.Table]) -> pa.Table:
    while not wait_for_any({future})[0]:
        pass
    return future.result()


class _Batch:
    """A batch as the host gave it, and its questions in slices of a bounded size."""

    def __init__(self, data: Any, spec: Spec, dedup: bool) -> None:
        if isinstance(data, str | os.PathLike):
            raise invalid_argument("data", data, "a batch, such as pyarrow.parquet.read_table(path)")
        frame = Frame(data)
        used = check_frame(frame, spec)
        self.data = data
        self.table = next(frame.tables(max(1, frame.rows)), frame.schema.empty_table())
        self._positions: NDArray[np.int64] | None = None
        questions = self.table.select(used)
        if dedup:
            first = first_rows(row_keys(RowHasher(used).add(questions)))
            asked = np.flatnonzero(first == np.arange(len(first)))
            if len(asked) < len(first):
                self._positions = np.searchsorted(asked, first)
                questions = questions.take(asked)
        starts = range(0, questions.num_rows, _ROWS_AT_A_TIME)
        self.slices = [questions.slice(start, _ROWS_AT_A_TIME) for start in starts]

    def with_results(self, answers: Sequence[pa.Table], spec: Spec) -> pa.Table:
        """Return the rows with the results of all slices."""
        import pyarrow as pa

        results = pa.concat_tables(answers) if answers else _result_schema(spec).empty_table()
        if self._positions is not None:
            results = results.take(self._positions)
        table = self.table
        for field, column in zip(results.schema, results.columns, strict=True):
            table = table.append_column(field, column)
        return table


def _result_schema(spec: Spec) -> pa.Schema:
    """Return the columns of results with texts in full: a stream of batches has no place for one dictionary."""
    import pyarrow as pa

    own = answer_schema(spec)
    return pa.schema([own.field(name).with_type(_in_full(own.field(name).type)) for name in result_names(spec)])


def _in_full(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(_in_full(kind.value_type))
    if pa.types.is_struct(kind):
        # As a job's table, without what means nothing outside its part.
        return pa.struct([(field.name, _in_full(field.type)) for field in kind.fields if field.name != "variant"])
    return kind


def _in_the_form_of(data: Any, table: pa.Table) -> Any:
    """Return a table as a record batch or a data frame, if that is what was given."""
    import pyarrow as pa

    module = type(data).__module__.partition(".")[0]
    if module == "pandas":
        return table.to_pandas()
    if module == "polars":
        return import_extra("polars", "score_batches()").from_arrow(table)
    if not isinstance(data, pa.RecordBatch):
        return table
    batches = table.combine_chunks().to_batches()
    if len(batches) > 1:
        raise SettingError(
            f"The results of a batch of {table.num_rows} rows have more than 2 GB of text; make smaller batches.",
            setting="data",
            value=table.num_rows,
        )
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _as_array(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays([pa.array([], column.type), *column.chunks])


def _check_case(names: Sequence[str], results: Sequence[str]) -> None:
    """Raise an error if Spark, which ignores the case of names, could not tell a result from another column."""
    seen: dict[str, str] = {}
    for name in [*results, *names]:
        other = seen.setdefault(name.lower(), name)
        if other != name and (other in results or name in results):
            raise SettingError(
                f"Spark cannot tell the column {name!r} from the result {other!r}, for it ignores case; rename "
                f"{'a label' if name in results else 'it'}.",
                setting="labels" if name in results else "schema",
                value=name,
            )


def _spark_type(kind: pa.DataType) -> Any:
    """Return a type as Spark writes it in JSON."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        common: dict[str, Any] = {"nullable": True, "metadata": dict[str, Any]()}
        fields = [{"name": field.name, "type": _spark_type(field.type), **common} for field in kind.fields]
        return {"type": "struct", "fields": fields}
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _spark_type(kind.value_type), "containsNull": True}
    return _SPARK_NAMES[str(kind)]
