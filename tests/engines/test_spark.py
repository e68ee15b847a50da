"""`score_batches` in Spark's `mapInArrow`; needs Java."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pyarrow as pa
import pytest
from pyspark import TaskContext
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from deluge_nb import LLMClient, RawPrompt, score_batches
from tests.engines.family import embedded_servers
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, check_table, rows
from tests.openai_server import Reply

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, and there is none on PATH")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    # Two tasks at a time; a task that fails is tried twice.
    session = (
        SparkSession.builder.master("local[2,2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "40")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    servers = embedded_servers()
    session.stop()
    _, alive = psutil.wait_procs(servers, timeout=60)
    assert not alive


def frame(spark: Any, count: int, partitions: int = 3) -> Any:
    return spark.createDataFrame(rows(count).to_pylist(), "number long, text string").repartition(partitions)


def collect(scored: Any) -> pa.Table:
    return scored.toArrow().sort_by("number")


def test_each_row_is_asked_once_and_has_its_own_answer(spark: Any, server: RowServer) -> None:
    server.bad = {17: Reply({"error": {"message": "no"}}, 400)}
    score = score_batches(TEMPLATE, server.client(), labels=LABELS, keep="all")
    given = frame(spark, 250)
    scored = given.mapInArrow(score, score.schema(given.schema))
    assert server.requests == 0
    table = collect(scored)
    check_table(table, 250, {17})
    assert server.counts == Counter(range(250))
    assert table.column_names == score.schema(rows(1).schema).names
    assert table["status_code"].to_pylist()[17] == 400
    expected = score(rows(250))
    for name in ("completion", "label", "matched_mass", "decided", "logprobs"):
        assert table[name].to_pylist() == expected[name].to_pylist(), name


def test_nothing_is_asked_for_frames_without_rows_or_for_a_schema(spark: Any, server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    given = frame(spark, 10)
    schema = score.schema(given.schema)
    scored = given.where("number < 0").mapInArrow(score, schema)
    assert scored.schema == schema
    table = scored.toArrow()
    assert table.num_rows == 0
    assert table.column_names == schema.names
    assert server.requests == 0


def test_rows_whose_columns_are_all_null_keep_the_schema(spark: Any, server: RowServer) -> None:
    server.bad = {row: Reply({"error": {"message": "no"}}, 400) for row in range(6)}
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    given = frame(spark, 6)
    table = collect(given.mapInArrow(score, score.schema(given.schema)))
    check_table(table, 6, set(range(6)))
    assert table["logprobs"].null_count == 6


def test_a_worker_without_a_key_raises_before_anything_is_sent(
    spark: Any, server: RowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The workers were started without it.
    secret = "sk-" + "s7" * 12
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    score = score_batches(TEMPLATE, LLMClient("gpt-4o-mini"), labels=LABELS)
    given = frame(spark, 10)
    with pytest.raises(PythonException, match=r"MissingKeyError.*OPENAI_API_KEY") as caught:
        collect(given.mapInArrow(score, score.schema(given.schema)))
    assert secret not in str(caught.value)
    assert server.requests == 0


def test_batches_may_be_data_frames_of_pandas(spark: Any, server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    given = frame(spark, 100)
    table = collect(given.mapInPandas(score, score.schema(given.schema)))
    check_table(table, 100)
    assert table["logprobs"].to_pylist() == score(rows(100))["logprobs"].to_pylist()
    assert server.requests == 200


def test_each_worker_has_one_embedded_model(spark: Any) -> None:
    question = RawPrompt("{number} and {number} is")
    score = score_batches(question, LLMClient("local", max_new_tokens=1), keep="probabilities")
    given = frame(spark, 12, 4)
    table = collect(given.mapInArrow(score, score.schema(given.schema)))
    assert table["error"].null_count == 12
    parents = [server.ppid() for server in embedded_servers()]
    # Spark has two workers of Python.
    assert 1 <= len(set(parents)) == len(parents) <= 2


def test_a_partition_that_is_run_again_gives_the_same_rows(spark: Any, server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)

    def failing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        for number, batch in enumerate(score(batches)):
            yield batch
            if number == 1 and context.partitionId() == 0 and context.attemptNumber() == 0:
                raise OSError("the worker has lost its disk")

    given = frame(spark, 240, 2)
    table = collect(given.mapInArrow(failing, score.schema(given.schema)))
    check_table(table, 240)
    assert set(server.counts) == set(range(240))
    assert 240 < server.requests <= 360
