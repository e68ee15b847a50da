"""The worker: an Arrow table of questions in, an Arrow table of answers out. All engines are built around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answers.classify import CONTENT_FREE, classify
from ..answers.columns import AnswerColumns, spread
from ..answers.inputs import fill_prompt, placeholders
from ..answers.responses import read_binary, read_responses
from ..errors import RequestError, SettingError
from ..logprobs.columns import replace_surrogates
from ..prompts.prompt import check_present
from ..response import APIResponse
from .inputs.frames import FIRST
from .storage.columns import COLUMN, FACTS, TOKENS, logprobs_type, read_columns, tokens_of, write_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from ..answers.results import Classification
    from ..prompts import Prompt
    from .spec import Spec

Ask = Callable[["Spec", "Sequence[Prompt]", Sequence[int]], list[APIResponse]]
"""Function that answers the prompts of rows, given with their numbers, in order."""

# Statuses of refusals that are about a moment, a key or a name, and not about the row.
_NOT_ITS_FAULT = frozenset({401, 402, 403, 404, 407, 408, 409, 425, 429})
RESULTS = ("completion", "label", "probability", "matched_mass", "decided")
"""Columns of results before those of the answers; ``error`` and ``status_code`` follow them."""


def result_names(spec: Spec) -> list[str]:
    """Return the names of the columns that a job adds to its input, in order."""
    kept = {"probabilities": [], "logprobs": [COLUMN], "all": [COLUMN, "raw_response"]}[spec.keep]
    return [*RESULTS, *(f"p_{name}" for name in spec.names), "error", "status_code", *kept]


def answer_schema(spec: Spec) -> pa.Schema:
    """Return the schema of a part: known before anything is asked, so that nothing infers it by asking."""
    import pyarrow as pa

    kinds: dict[str, Any] = {
        "completion": pa.string(),
        "label": pa.string(),
        "probability": pa.float64(),
        "matched_mass": pa.float64(),
        "decided": pa.bool_(),
        **{f"p_{name}": pa.float64() for name in spec.names},
        "error": pa.string(),
        "status_code": pa.int16(),
        COLUMN: logprobs_type(spec.precision, with_variants=True),
        "raw_response": pa.string(),
    }
    facts = zip(FACTS, (pa.int32(), pa.float64(), pa.bool_()), strict=True) if spec.keep != "probabilities" else ()
    return pa.schema(
        [
            ("row", pa.int64()),
            *((name, kinds[name]) for name in result_names(spec)),
            *facts,
            ("finish_reason", pa.string()),
            ("input_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("cost", pa.float64()),
            ("model", pa.string()),
            ("is_transient", pa.bool_()),
        ]
    )


def send(spec: Spec, prompts: Sequence[Prompt], rows: Sequence[int]) -> list[APIResponse]:
    """Send the prompts of rows to the client of a job, and return the responses in order."""
    return spec.client.process_prompts_sync(
        [prompt.as_asked for prompt in prompts], sampling_params=list(spec.settings), show_progress=False
    )


def prompts_of(spec: Spec, table: pa.Table) -> list[Prompt | SettingError]:
    """Return the prompt of each row, or in its place why the row has none."""
    used = _used(spec, table)
    columns = [table[name].to_pylist() for name in used]
    rows = [dict(zip(used, values, strict=True)) for values in zip(*columns, strict=True)] or [{}] * table.num_rows
    return [_prompt_or_error(spec, row) for row in rows]


def numbers_of(table: pa.Table) -> list[int]:
    """Return the numbers of rows: those of a job, or else counted from 0."""
    return table[FIRST].to_pylist() if FIRST in table.column_names else list(range(table.num_rows))


def score_table(spec: Spec, table: pa.Table, ask: Ask = send) -> pa.Table:
    """Ask one question for each row of a table, and return one answer for each, in order.

    Parameters
    ----------
    spec
        The question, and the client that asks it.
    table
        The columns that the template uses, and in a job the numbers of the rows, which else count from 0.
    ask
        What answers the prompts: the client, or files with what a service has answered.

    Returns
    -------
    pyarrow.Table
        With the schema of :func:`answer_schema`. A row that failed has its ``error``.

    Raises
    ------
    MissingKeyError, LogprobsNotSupportedError, LocalModelError
        Before anything is sent, for an error that would concern every row.
    """
    import pyarrow as pa

    prompts, numbers = prompts_of(spec, table), numbers_of(table)
    asked = {row: prompt for row, prompt in zip(numbers, prompts, strict=True) if not isinstance(prompt, SettingError)}
    found, answers = _ask(spec, asked, _used(spec, table), ask)
    responses: Sequence[APIResponse | None] = found
    refused = {row: str(prompt) for row, prompt in enumerate(prompts) if isinstance(prompt, SettingError)}
    if refused:
        rows = [row for row in range(len(prompts)) if row not in refused]
        responses, answers = spread(found, rows, len(prompts)), answers.spread(rows, len(prompts))
    arrays, packed = _columns(spec, responses, answers, refused)
    schema = answer_schema(spec)
    arrays["row"] = numbers
    built = [
        column if isinstance(column := arrays[field.name], pa.Array) else _array(column, field.type) for field in schema
    ]
    return pa.Table.from_arrays(built, schema=schema.with_metadata({TOKENS: packed} if packed else None))


def _used(spec: Spec, table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name in placeholders(spec.template)]


def ask_again(
    spec: Spec, table: pa.Table, before: pa.Table, ask: Ask = send, only: Collection[int] | None = None
) -> pa.Table:
    """Ask the rows again that failed for a reason that may be gone.

    Parameters
    ----------
    spec, table, ask
        As for :func:`score_table`.
    before
        The earlier answers to the same rows.
    only
        Numbers of the rows to ask, among those; None for all.

    Returns
    -------
    pyarrow.Table
        The answers to all rows, in order.
    """
    import pyarrow as pa

    is_again = before["is_transient"].to_numpy()
    if only is not None:
        is_again = is_again & np.isin(before["row"].to_numpy(), list(only))
    rows = np.flatnonzero(is_again)
    if not len(rows):
        return before
    fresh = score_table(spec, table.take(pa.array(rows)), ask)
    # Row i of the result is the next row of the new answers, or row i of the earlier ones.
    source = np.where(is_again, before.num_rows + np.cumsum(is_again) - 1, np.arange(before.num_rows))
    plain = [name for name in before.column_names if name != COLUMN and name not in FACTS]
    both = pa.concat_tables([part.select(plain).replace_schema_metadata(None) for part in (before, fresh)])
    columns = {name: both[name].take(pa.array(source)).combine_chunks() for name in plain}
    packed = b""
    if COLUMN in before.column_names:
        tables = [*read_columns(before, tokens_of(before)), *read_columns(fresh, tokens_of(fresh))]
        facts, packed = write_columns([tables[index] for index in source.tolist()], spec.precision)
        columns |= facts
    schema = answer_schema(spec)
    arrays = [columns[field.name] for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata({TOKENS: packed} if packed else None))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a server sent half of a surrogate pair
        return pa.array([replace_surrogates(value) if isinstance(value, str) else value for value in values], kind)


def _prompt_or_error(spec: Spec, row: dict[str, Any]) -> Prompt | SettingError:
    try:
        for name, value in row.items():
            check_present(value, f"the value of {name!r}")
        return fill_prompt(row, spec.template, "the row")
    except SettingError as error:  # a value is missing: the failure of this row only
        return error


def _ask(
    spec: Spec, asked: Mapping[int, Prompt], used: Sequence[str], ask: Ask
) -> tuple[list[APIResponse | None], AnswerColumns]:
    """Return the responses to the rows that are asked, and what was read from them."""
    prompts = list(asked.values())
    if not prompts:
        return [], AnswerColumns.empty(0, spec.names)
    if spec.method is not None:
        results = _classify(spec, prompts, used)
        responses = [result.responses[0] if result.responses else None for result in results]
        return responses, AnswerColumns.of(results, spec.names)
    given, labels = ask(spec, prompts, list(asked)), spec.answers
    if labels is None:
        return [*given], AnswerColumns.empty(len(given), ())
    # As score_llm reads them where there are two answers or one.
    read = read_binary if len(labels) <= 2 else read_responses
    return [*given], read(given, labels).columns()


def _classify(spec: Spec, prompts: Sequence[Prompt], used: Sequence[str]) -> Sequence[Classification]:
    neutral = [fill_prompt(dict.fromkeys(used, text), spec.template, "content_free") for text in CONTENT_FREE]
    return classify(
        [prompt.as_asked for prompt in prompts],
        spec.labels,
        spec.client,
        method=spec.method or "first-token",
        calibration=spec.calibration,
        content_free=[prompt.as_asked for prompt in neutral],
        show_progress=False,
    )


def _columns(
    spec: Spec, responses: Sequence[APIResponse | None], answers: AnswerColumns, refused: Mapping[int, str]
) -> tuple[dict[str, Any], bytes]:
    """Return the columns of answers by name, and the metadata of their log-probabilities."""
    errors = [
        answer if response is None or not response.is_error else response.error_message or "The request failed."
        for response, answer in zip(responses, answers.error_message, strict=True)
    ]
    for row, reason in refused.items():
        errors[row] = reason
    columns: dict[str, Any] = {
        "completion": [response and response.completion for response in responses],
        "label": answers.label,
        "probability": answers.probability,
        "matched_mass": answers.matched_mass,
        "decided": answers.decided,
        **{f"p_{name}": answers.shares[name] for name in spec.names},
        "error": errors,
        "status_code": [response and response.status_code for response in responses],
        "finish_reason": [response and response.finish_reason for response in responses],
        "input_tokens": [response and response.input_tokens for response in responses],
        "output_tokens": [response and response.output_tokens for response in responses],
        "cost": [response and response.cost for response in responses],
        "model": [response and response.model for response in responses],
        "is_transient": [response is not None and _is_transient(response) for response in responses],
    }
    packed = b""
    if spec.keep != "probabilities":
        tables = [None if response is None else response.logprobs for response in responses]
        facts, packed = write_columns(tables, spec.precision)
        columns |= facts
    if spec.keep == "all":
        columns["raw_response"] = [response and _as_json(response.raw_response) for response in responses]
    return columns, packed


def _is_transient(response: APIResponse) -> bool:
    """Return whether a response failed for a reason that may be gone when its row is asked again."""
    if not response.is_error:
        return False
    status = response.status_code
    if status is None:
        return response.error is None or isinstance(response.error, RequestError)
    return status in _NOT_ITS_FAULT or status >= 500


def _as_json(body: Any) -> str | None:
    return None if body is None else json.dumps(body, ensure_ascii=True, default=str)
