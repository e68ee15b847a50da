"""`score_batches` as a function of columns in Daft."""

from __future__ import annotations

from collections import Counter
from typing import Any

import daft
import pytest

from deluge_nb import BatchScorer, LLMClient, score_batches
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, check_table, rows
from tests.openai_server import Reply


def function_of(score: BatchScorer, **settings: Any) -> Any:
    kind = daft.DataType.from_arrow_type(score.result_type)
    return daft.func.batch(return_dtype=kind, unnest=True, batch_size=40, **settings)(score.results)


def scored(score: BatchScorer, frame: Any, **settings: Any) -> Any:
    add = function_of(score, **settings)
    return frame.select(frame["*"], add(number=frame["number"], text=frame["text"]))


@pytest.mark.parametrize("in_process", [True, False])
def test_each_row_is_asked_once_and_has_its_own_answer(server: RowServer, in_process: bool) -> None:
    server.bad = {17: Reply({"error": {"message": "no"}}, 400)}
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    planned = scored(score, daft.from_arrow(rows(250)), use_process=not in_process)
    assert server.requests == 0
    table = planned.to_arrow()
    check_table(table, 250, {17})
    assert server.counts == Counter(range(250))
    assert table.column_names == score.schema(rows(1).schema).names
    expected = score(rows(250))
    for name in ("completion", "label", "matched_mass", "decided", "status_code", "logprobs"):
        assert table[name].to_pylist() == expected[name].to_pylist(), name


def test_nothing_is_asked_for_frames_without_rows_or_for_a_schema(server: RowServer) -> None:
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    frame = daft.from_arrow(rows(10))
    planned = scored(score, frame.where(frame["number"] < 0))
    assert planned.schema().column_names() == score.schema(rows(1).schema).names
    table = planned.to_arrow()
    assert table.num_rows == 0
    assert table.column_names == planned.schema().column_names()
    assert server.requests == 0


def test_rows_that_all_failed_keep_the_schema(server: RowServer) -> None:
    server.bad = {row: Reply({"error": {"message": "no"}}, 400) for row in range(6)}
    score = score_batches(TEMPLATE, server.client(), labels=LABELS)
    table = scored(score, daft.from_arrow(rows(6))).to_arrow()
    check_table(table, 6, set(range(6)))
    assert table["logprobs"].null_count == 6


def test_a_missing_key_is_raised() -> None:
    score = score_batches(TEMPLATE, LLMClient("gpt-4o-mini"), labels=LABELS)
    with pytest.raises(Exception, match="OPENAI_API_KEY"):
        scored(score, daft.from_arrow(rows(10))).to_arrow()
