"""`score_batches` in Ray Data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import ray
from ray.data.expressions import col

from deluge_nb import LLMClient, score_batches
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, check_table, rows
from tests.openai_server import Reply


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def collect(dataset: Any) -> pa.Table:
    tables = ray.get(dataset.to_arrow_refs())
    return pa.concat_tables([table for table in tables if table.num_rows]).sort_by("number")


@pytest.mark.parametrize("batch_format", ["pyarrow", "numpy"])
def test_each_row_is_asked_once_and_has_its_own_answer(server: RowServer, batch_format: str) -> None:
    server.bad = {17: Reply({"error": {"message": "no"}}, 400)}
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    dataset = ray.data.from_arrow([rows(250).slice(start, 50) for start in range(0, 250, 50)])
    planned = dataset.map_batches(score, batch_format=batch_format, batch_size=40)
    assert server.requests == 0
    # What is not materialized is asked again for every use, also for its schema.
    scored = planned.materialize()
    check_table(collect(scored), 250, {17})
    assert scored.schema().names == score.schema(rows(1).schema).names
    assert server.counts == Counter(range(250))
    if batch_format == "pyarrow":
        expected = score(rows(250))
        for name in ("completion", "label", "matched_mass", "decided", "status_code", "logprobs"):
            assert collect(scored)[name].to_pylist() == expected[name].to_pylist(), name


def test_blocks_without_rows_send_nothing(server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    none = ray.data.from_arrow(rows(10)).filter(expr=col("number") < 0)
    assert none.map_batches(score, batch_format="pyarrow").materialize().count() == 0
    assert server.requests == 0


def test_rows_that_all_failed_keep_the_schema(server: RowServer) -> None:
    server.bad = {row: Reply({"error": {"message": "no"}}, 400) for row in range(0, 6)}
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    dataset = ray.data.from_arrow([rows(6), rows(12).slice(6)])
    scored = dataset.map_batches(score, batch_format="pyarrow").materialize()
    check_table(collect(scored), 12, set(range(6)))


def test_a_worker_without_a_key_raises_before_anything_is_sent(
    server: RowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The workers were started without it.
    secret = "sk-" + "r9" * 12
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    score = score_batches(TEMPLATE, LLMClient("gpt-4o-mini"), labels=LABELS)
    dataset = ray.data.from_arrow(rows(10))
    with pytest.raises(Exception, match="OPENAI_API_KEY") as caught:
        dataset.map_batches(score, batch_format="pyarrow").materialize()
    assert secret not in str(caught.value)
    assert server.requests == 0
