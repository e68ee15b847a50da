"""`score_batches`: batches in, the same rows out in order, with a schema that is known before; no engine is needed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deluge_nb import (
    BatchScorer,
    LLMClient,
    LogprobsNotSupportedError,
    MissingKeyError,
    SettingError,
    as_logprobs,
    score_batches,
)
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, Unpicklable, ask, check_table, row_server, rows
from tests.openai_server import Reply

pytestmark = pytest.mark.filterwarnings("ignore:.* prompts failed:UserWarning")

NO_ROWS = rows(1).slice(0, 0)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


@pytest.fixture
def server(shared_server: RowServer) -> RowServer:
    shared_server.bad.clear()
    shared_server.delay = 0.0
    shared_server.server.seen.clear()
    shared_server.server.most_in_flight = 0
    return shared_server


def scorer(server: RowServer, **given: Any) -> BatchScorer:
    return score_batches(TEMPLATE, server.client(), labels=LABELS, **given)


def batches(count: int, size: int) -> list[pa.RecordBatch]:
    return rows(count).to_batches(max_chunksize=size)


# Forms of batches -----------------------------------------------------------------------------------------------------


def test_an_iterator_of_batches_gives_an_iterator_of_batches_with_the_same_rows(server: RowServer) -> None:
    scored = list(scorer(server)(iter(batches(50, 7))))
    assert [type(batch) for batch in scored] == [pa.RecordBatch] * 8
    assert [batch.num_rows for batch in scored] == [7] * 7 + [1]
    check_table(pa.Table.from_batches(scored), 50)
    assert server.counts == Counter(range(50))


def test_the_results_are_those_of_a_job(server: RowServer, tmp_path: Path) -> None:
    server.bad = {3: Reply({"error": {"message": "no"}}, 400)}
    with pytest.warns(UserWarning, match="1 of 20 rows failed"):
        job = ask(server.client(), 20, tmp_path, keep="all")
    table = scorer(server, keep="all")(rows(20))
    assert table.column_names == job.table.column_names
    for name in table.column_names:
        if name != "raw_response":
            assert table[name].to_pylist() == job.table[name].to_pylist(), name
    assert [None if raw is None else "choices" in raw for raw in table["raw_response"].to_pylist()].count(True) == 19


@pytest.mark.parametrize("keep", ["probabilities", "logprobs", "all"])
@pytest.mark.parametrize("labels", [None, LABELS])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_schema_is_known_before_anything_is_asked(
    server: RowServer, keep: Any, labels: list[str] | None, precision: Any
) -> None:
    score = score_batches(TEMPLATE, server.client(), labels=labels, keep=keep, precision=precision)
    schema = score.schema(NO_ROWS.schema)
    assert server.requests == 0
    assert schema.names[:2] == ["number", "text"]
    assert pa.struct(list(schema)[2:]) == score.result_type
    for table in (NO_ROWS, rows(3)):
        assert score(table).schema.equals(schema)


def test_batches_without_rows_keep_their_schema_and_send_nothing(server: RowServer) -> None:
    score = scorer(server)
    empty = pa.RecordBatch.from_pylist([], NO_ROWS.schema)
    assert list(score(iter([]))) == []
    scored = list(score(iter([empty, empty])))
    assert [batch.num_rows for batch in scored] == [0, 0]
    assert server.requests == 0
    mixed = [empty, *batches(5, 2), empty, *batches(1, 1), empty]
    scored = list(score(iter(mixed)))
    assert [batch.num_rows for batch in scored] == [0, 2, 2, 1, 0, 1, 0]
    assert {batch.schema for batch in scored} == {score.schema(NO_ROWS.schema)}


def test_rows_that_all_failed_have_the_same_schema(server: RowServer) -> None:
    server.bad = {row: Reply({"error": {"message": "no"}}, 400) for row in range(4)}
    score = scorer(server)
    table = score(rows(4))
    assert table.schema.equals(score.schema(NO_ROWS.schema))
    assert table["p_yes"].null_count == table["logprobs"].null_count == 4
    assert table["status_code"].to_pylist() == [400] * 4


def test_one_batch_or_frame_gives_one_of_its_kind(server: RowServer) -> None:
    score = scorer(server)
    table = rows(5)
    assert isinstance(score(table), pa.Table)
    assert isinstance(score(table.to_batches()[0]), pa.RecordBatch)
    assert isinstance(score(pl.DataFrame(pl.from_arrow(table))), pl.DataFrame)
    frame = table.to_pandas().set_index(pd.Index(list("abcde"), name="key"))
    scored = score(frame)
    assert isinstance(scored, pd.DataFrame)
    assert scored.index.equals(frame.index)
    check_table(pa.Table.from_pandas(scored, preserve_index=False), 5)
    # As a host gives columns as arrays of NumPy.
    check_table(score({"number": np.arange(5), "text": np.array(list("abcde"))}), 5)
    assert [type(item) for item in score([frame, frame])] == [pd.DataFrame] * 2


def test_a_reader_of_batches_gives_a_reader(server: RowServer) -> None:
    table = pa.concat_tables([rows(5), NO_ROWS, NO_ROWS])
    reader = scorer(server)(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()))
    assert isinstance(reader, pa.RecordBatchReader)
    first = reader.read_next_batch()
    check_table(pa.Table.from_batches([first, *reader]), 5)
    assert first.num_rows == 5


def test_results_alone_are_a_struct_of_the_columns(server: RowServer) -> None:
    score = scorer(server)
    table = rows(30)
    found = score.results(number=table["number"], text=table["text"].combine_chunks())
    assert found.type == score.result_type
    check_table(pa.Table.from_struct_array(found).append_column("number", table["number"]), 30)
    assert score.results(number=[], text=[]).type == score.result_type
    for wrong in ("text", b"text"):
        with pytest.raises(SettingError, match="text must be a column, such as an Arrow array or a list"):
            score.results(number=[1], text=wrong)
    with pytest.raises(SettingError, match=r"asks for \{number\}"):
        score.results(text=["a"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"number": [1, 2], "text": ["a"]}, "columns must be of one length, not number=2, text=1"),
        ({"number": [1], "text": "a"}, "text must be a column"),
        ({"number": 1, "text": ["a"]}, "number must be a column"),
        ({"number": [1], "text": [object()]}, "cannot be read as an Arrow table"),
        ({}, r"template asks for \{number\}"),
    ],
)
def test_columns_that_are_no_table_are_refused(server: RowServer, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        scorer(server).results(**columns)
    assert server.requests == 0


def test_log_probabilities_are_read_back_from_a_row(server: RowServer) -> None:
    (found,) = scorer(server)(rows(1))["logprobs"].to_pylist()
    table = as_logprobs(found)
    assert table.text == "no"
    assert [entry["token"] for entry in found[0]["top_logprobs"]] == ["no", "yes"]


# Order, size and cost -------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 9), max_size=6), at_a_time=st.integers(1, 4))
@example(sizes=[0, 3, 0, 0, 9, 0], at_a_time=4)
def test_however_rows_are_cut_each_has_its_own_answer(server: RowServer, sizes: list[int], at_a_time: int) -> None:
    server.server.seen.clear()
    table, ends = rows(sum(sizes)), np.cumsum([0, *sizes]).tolist()
    parts = [table.slice(start, size) for start, size in zip(ends, sizes, strict=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deluge_nb.jobs.engines.batches._ROWS_AT_A_TIME", at_a_time)
        scored = list(scorer(server)(iter(parts)))
    assert [part.num_rows for part in scored] == sizes
    if scored:
        check_table(pa.concat_tables(scored), table.num_rows)
    assert server.counts == Counter(range(table.num_rows))


def test_a_large_batch_is_asked_in_slices_of_a_bounded_size(server: RowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deluge_nb.jobs.engines.batches._ROWS_AT_A_TIME", 10)
    server.delay = 0.01
    client = server.client()
    most, inner = [0], client.process_prompts_sync

    def counting(prompts: Any, **given: Any) -> Any:
        most[0] = max(most[0], len(prompts))
        return inner(prompts, **given)

    monkeypatch.setattr(client, "process_prompts_sync", counting)
    check_table(score_batches(TEMPLATE, client, labels=LABELS)(rows(95)), 95)
    assert most == [10]


def test_batches_are_taken_as_they_are_needed(server: RowServer) -> None:
    taken = list[int]()

    def endless() -> Iterator[pa.Table]:
        for number in range(1000):
            taken.append(number)
            yield rows(3)

    scored = scorer(server)(endless())
    assert taken == []
    next(scored)
    assert len(taken) <= 2
    scored.close()
    assert server.requests <= 6


def test_an_input_that_breaks_ends_the_requests_under_way() -> None:
    def breaking() -> Iterator[pa.RecordBatch]:
        yield from batches(1, 1)
        raise OSError("the host has lost its input")

    with row_server() as server:
        server.delay = 20.0
        client = server.client()
        with pytest.raises(OSError, match="lost its input"):
            list(score_batches(TEMPLATE, client, labels=LABELS)(breaking()))
        assert client.interrupted == [None]


def test_equal_prompts_of_a_batch_are_asked_once_at_temperature_0(server: RowServer) -> None:
    table = pa.concat_tables([rows(4), rows(6), rows(4)])
    scored = scorer(server)(table)
    assert scored["number"].to_pylist() == table["number"].to_pylist()
    assert scored["p_yes"].to_pylist() == pytest.approx([(row % 97 + 1) / 99 for row in table["number"].to_pylist()])
    assert server.counts == Counter(range(6))
    server.server.seen.clear()
    scorer(server, dedup=False)(table)
    assert server.requests == 14
    server.server.seen.clear()
    score_batches(TEMPLATE, server.client(temperature=1), labels=LABELS)(table)
    assert server.requests == 14


def test_the_worker_waits_for_the_client_s_own_limit_of_requests(server: RowServer) -> None:
    server.delay = 0.01
    score = score_batches(TEMPLATE, server.client(max_concurrent_requests=3), labels=LABELS)
    check_table(pa.concat_tables(score(rows(20).slice(start, 5) for start in range(0, 20, 5))), 20)
    assert server.server.most_in_flight <= 3


# Pickling and secrets -------------------------------------------------------------------------------------------------


def test_the_function_travels_without_secrets_and_shares_a_client(server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(api_key="sk-secret"), labels=LABELS)
    with pytest.warns(UserWarning, match="carries no secrets"):
        pickled = pickle.dumps(score)
    assert b"sk-secret" not in pickled
    first, second = pickle.loads(pickled), pickle.loads(pickled)
    assert first._spec.client is second._spec.client
    check_table(first(rows(4)), 4)


def test_a_client_that_cannot_be_pickled_says_which_argument_to_leave_out(server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(pace=Unpicklable()), labels=LABELS)
    with pytest.raises(SettingError, match=r"cannot be pickled \(.*lock.*leave out the client's argument"):
        pickle.dumps(score)
    check_table(score(rows(2)), 2)


@pytest.mark.slow
def test_it_works_in_another_process(server: RowServer, tmp_path: Path) -> None:
    (tmp_path / "score.pickle").write_bytes(pickle.dumps(scorer(server)))
    code = (
        "import pickle, sys, pyarrow as pa\n"
        "score = pickle.load(open(sys.argv[1], 'rb'))\n"
        "table = score(pa.table({'number': [7, 8], 'text': ['a', 'b']}))\n"
        "print(table['p_yes'].to_pylist())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "score.pickle")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "NO_PROXY": "*"})
    assert done.stdout.strip() == str(scorer(server)(rows(9))["p_yes"].to_pylist()[7:])


def test_a_process_without_a_key_says_so_before_it_takes_a_second_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "k3" * 12)
    score = score_batches(TEMPLATE, LLMClient(["gpt-4o-mini", "gpt-4o"]), labels=LABELS)
    arrived = pickle.loads(pickle.dumps(score))
    monkeypatch.delenv("OPENAI_API_KEY")
    taken = list[int]()

    def given() -> Iterator[pa.Table]:
        for number in range(3):
            taken.append(number)
            yield rows(1)

    with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
        list(arrived(given()))
    assert taken == [0]
    assert arrived(NO_ROWS).num_rows == 0


def test_a_process_where_the_model_has_another_address_says_so(
    server: RowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "k4" * 12)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    pickled = pickle.dumps(score_batches(TEMPLATE, LLMClient("gpt-4o-mini"), labels=LABELS))
    check_table(pickle.loads(pickled)(rows(2)), 2)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    # In a process of its own, that is.
    monkeypatch.setattr("deluge_nb.jobs.spec._clients", OrderedDict())
    for _ in range(2):
        arrived = pickle.loads(pickled)
        with pytest.raises(SettingError, match=r"has the address 'http://127.0.0.1:9/v1' here"):
            arrived(rows(2))
        pickled = pickle.dumps(arrived)
    assert server.requests == 2


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["completion", "label", "probability", "p_yes", "error", "logprobs"])
def test_a_column_with_the_name_of_a_result_is_refused(server: RowServer, name: str) -> None:
    score = scorer(server)
    table = rows(3).append_column(name, pa.array([1, 2, 3]))
    for use in (lambda: score(table), lambda: list(score(iter([table]))), lambda: score.schema(table.schema)):
        with pytest.raises(SettingError, match=f"data has a column '{name}', which is the name of a result"):
            use()
    assert server.requests == 0


def test_a_column_of_results_that_are_not_kept_is_not_reserved(server: RowServer) -> None:
    table = rows(3).append_column("logprobs", pa.array([1, 2, 3]))
    assert scorer(server, keep="probabilities")(table)["logprobs"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("in.parquet", "data must be a batch"),
        (Path("in.parquet"), "data must be a batch"),
        ([["a", "b"]], "data must be a data frame"),
        ([{"number": 1, "text": "a"}], r"dict of lists.*pandas\.DataFrame\(data\)"),
        (3, "data must be a data frame"),
        (None, "data must be a data frame"),
        (pd.Series(["a"]), "such as series.to_frame"),
        (pa.table([[1], [2]], names=["text", "text"]), "two columns called 'text'"),
        (pa.table({"text": ["a"]}), r"template asks for \{number\}"),
    ],
)
def test_what_is_no_batch_is_refused(server: RowServer, data: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        list(scorer(server)(data))
    assert server.requests == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"client": "local"}, "client must be a client, not the name of a model"),
        ({"keep": "numbers"}, "keep must be one of"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"dedup": 1}, "dedup must be True, False or None"),
        ({"labels": []}, "labels must be a list of at least one answer"),
        ({"labels": [["a"], ["b"]]}, "labels"),
        ({"template": "No names"}, r"template has no placeholder such as \{text\}"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(server: RowServer, arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"template": TEMPLATE, "client": server.client(), "labels": LABELS, **arguments}
    with pytest.raises(SettingError, match=message):
        score_batches(**given)


def test_a_model_without_log_probabilities_is_refused_at_once() -> None:
    with pytest.raises(LogprobsNotSupportedError):
        score_batches(TEMPLATE, LLMClient("claude-sonnet-4-5"), labels=LABELS)


@pytest.mark.parametrize("schema", [{"number": "int"}, "number int", rows(1), None])
def test_a_schema_of_an_unknown_kind_is_refused(server: RowServer, schema: Any) -> None:
    with pytest.raises(SettingError, match="schema must be an Arrow schema, or the schema of a data frame of Spark"):
        scorer(server).schema(schema)


# Odd input ------------------------------------------------------------------------------------------------------------


def test_values_that_are_missing_fail_their_rows_only(server: RowServer) -> None:
    table = pa.table({"number": [0, 1, 2, 3], "text": ["a", None, "", "d"]})
    scored = scorer(server)(table)
    assert [error is not None for error in scored["error"].to_pylist()] == [False, True, False, False]
    assert server.counts == Counter([0, 2, 3])


def test_a_batch_of_nothing_but_missing_values_sends_nothing(server: RowServer) -> None:
    scored = scorer(server)(pa.table({"number": pa.nulls(3), "text": pa.nulls(3)}))
    assert scored["error"].null_count == 0
    assert server.requests == 0


@pytest.mark.parametrize(
    "text",
    [
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array(["a", "b", "a"], pa.large_string()),
        pa.array(["a", "b", "a"], pa.string_view()),
        pa.array([["a"], ["b", "c"], []]),
        pa.array([{"x": 1}, {"x": 2}, {"x": 3}]),
        pa.array([1.5, 2.0, float("inf")]),
    ],
    ids=lambda array: str(array.type),
)
def test_columns_of_any_type_come_back_as_they_were(server: RowServer, text: pa.Array) -> None:
    score = scorer(server)
    table = pa.table({"number": [0, 1, 2], "text": text})
    scored = score(table)
    assert scored["text"].to_pylist() == table["text"].to_pylist()
    assert scored.schema.equals(score.schema(table.schema))
    check_table(scored, 3)


def test_a_column_without_text_cannot_be_filled_in_and_any_other_comes_back(server: RowServer) -> None:
    octets = pa.array([b"\xff", b"b", None])
    with pytest.raises(SettingError, match="column 'text' of data has no text"):
        scorer(server)(pa.table({"number": [0, 1, 2], "text": octets}))
    assert server.requests == 0
    assert scorer(server)(rows(3).append_column("octets", octets))["octets"].to_pylist() == [b"\xff", b"b", None]


def test_sliced_batches_and_chunks_are_read_at_their_place(server: RowServer) -> None:
    score = scorer(server)
    batch = rows(40).to_batches()[0].slice(11, 7)
    assert score(batch)["number"].to_pylist() == list(range(11, 18))
    chunks = pa.concat_tables([rows(3), rows(40).slice(3, 30), rows(40).slice(33)])
    check_table(score(chunks), 40)


def test_hostile_texts_of_a_server_are_columns(server: RowServer) -> None:
    server.bad = {
        0: Reply({"error": {"message": "\ud800 half"}}, 422),
        1: Reply({"choices": []}),
        2: Reply({"error": {"message": "x" * 10_000 + "\x00\x1b[31m"}}, 500),
    }
    table = scorer(server)(rows(4))
    table.validate(full=True)
    assert [error is not None for error in table["error"].to_pylist()] == [True, True, True, False]


def test_metadata_and_other_columns_stay(server: RowServer) -> None:
    table = rows(3).append_column("when", pa.array([0, 1, 2], pa.timestamp("us", "UTC")))
    table = table.replace_schema_metadata({"own": "fact"})
    scored = scorer(server)(table)
    assert scored.select(table.column_names).equals(table, check_metadata=True)
    assert scored["p_yes"].null_count == 0


def test_the_schema_of_spark_gets_the_columns_of_results(server: RowServer) -> None:
    class StructType:
        """As much of Spark's class as a schema is made with."""

        def __init__(self, plain: dict[str, Any]) -> None:
            self.plain = plain

        def jsonValue(self) -> dict[str, Any]:
            return self.plain

        def fieldNames(self) -> list[str]:
            return [field["name"] for field in self.plain["fields"]]

        @classmethod
        def fromJson(cls, plain: dict[str, Any]) -> StructType:
            return cls(plain)

    def field(name: str, kind: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "nullable": True, "metadata": {}}

    own = [field("number", "long"), field("text", "string")]
    found = scorer(server).schema(StructType({"type": "struct", "fields": own}))
    numbers = [field(name, "double") for name in ("probability", "matched_mass")]
    alternative = [field("token", "string"), field("logprob", "double")]

    def array(fields: list[dict[str, Any]]) -> dict[str, Any]:
        return {"type": "array", "elementType": {"type": "struct", "fields": fields}, "containsNull": True}

    assert found.plain["fields"] == [
        *own,
        field("completion", "string"),
        field("label", "string"),
        *numbers,
        field("decided", "boolean"),
        field("p_yes", "double"),
        field("p_no", "double"),
        field("error", "string"),
        field("status_code", "short"),
        field("logprobs", array([*alternative, field("top_logprobs", array(alternative))])),
    ]
    with pytest.raises(SettingError, match="'label', which is the name of a result"):
        scorer(server).schema(StructType({"type": "struct", "fields": [*own, field("label", "string")]}))
    # Spark ignores the case of names, and would fail after the rows were paid for.
    with pytest.raises(SettingError, match=r"cannot tell the column 'Label' from the result 'label'.*rename it"):
        scorer(server).schema(StructType({"type": "struct", "fields": [*own, field("Label", "string")]}))
    alike = score_batches(TEMPLATE, server.client(), labels={"A": ["yes"], "a": ["no"]})
    with pytest.raises(SettingError, match=r"cannot tell the column 'p_a' from the result 'p_A'.*rename a label"):
        alike.schema(StructType({"type": "struct", "fields": own}))
