"""Log-probabilities as columns: what comes back is what went in, in a tenth of the space of JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import Logprobs
from deluge_nb.jobs.storage.columns import COLUMN, DICTIONARIES, as_public, read_columns, write_columns
from deluge_nb.jobs.storage.folder import write_table
from deluge_nb.logprobs.columns import Builder, RawBytes, Vocabulary

TEXTS = ["", " Paris", "\ufffd", "a\u0301", "\U0001f600", "\n", "x"]
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
raw = st.sampled_from([None, ..., b"\xf0\x9f", b"\x98\x80"]) | st.binary(max_size=3)
numbers = st.none() | st.sampled_from([0.0, -9999.0, -3.4e38]) | st.floats(-30, 0)
tokens = st.tuples(texts, numbers, raw | st.just("own"), st.none() | st.integers(0, 300_000))


def add(builder: Builder, entry: Any, chosen: bool) -> None:
    text, number, octets, token_id = entry
    octets_given: RawBytes = text.encode() if octets == "own" else octets
    (builder.add_token if chosen else builder.add_alternative)(text, number, octets_given, token_id)


@st.composite
def tables(draw: st.DrawFn) -> list[Logprobs | None]:
    shared = Vocabulary()
    made: list[Logprobs | None] = []
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.integers(0, 4)) == 0:
            made.append(None)
            continue
        builder = Builder(shared if draw(st.booleans()) else None)
        for _ in range(draw(st.integers(0, 3))):
            add(builder, draw(tokens), True)
            for _ in range(draw(st.integers(0, 3))):
                add(builder, draw(tokens), False)
        facts: dict[str, Any] = {
            "vocab_size": draw(st.none() | st.integers(1, 300_000)),
            "rounding": draw(st.sampled_from([None, 0.0, 5e-5])),
            "matches_text": draw(st.booleans()),
        }
        made.append(Logprobs(builder.vocabulary, *builder.columns(), **facts))
    return made


def stored(given: list[Logprobs | None], precision: str = "float64") -> tuple[bytes, bytes]:
    """Return a Parquet file of tables, and its metadata."""
    columns, packed = write_columns(given, precision)
    buffer = io.BytesIO()
    write_table(pa.table(columns), buffer)
    return buffer.getvalue(), packed


def restored(file: bytes, packed: bytes) -> list[Logprobs | None]:
    names = [name for name in DICTIONARIES if name.endswith("token")]
    return read_columns(pq.read_table(io.BytesIO(file), read_dictionary=names), packed)


def everything(table: Logprobs | None) -> Any:
    """Return all that a table knows."""
    if table is None:
        return None
    vocabulary, (chosen, logprob, alternative, other, offsets) = table.vocabulary, table.columns
    entries = [[vocabulary.entry(index) for index in indices.tolist()] for indices in (chosen, alternative)]
    values = [[None if value != value else value for value in array.tolist()] for array in (logprob, other)]
    return entries, values, offsets.tolist(), table.vocab_size, table.rounding, table.matches_text


@settings(deadline=None, max_examples=150)
@given(tables())
def test_tables_return_from_a_file_with_texts_bytes_ids_numbers_and_facts(given: list[Logprobs | None]) -> None:
    assert list(map(everything, restored(*stored(given)))) == list(map(everything, given))


@settings(deadline=None, max_examples=50)
@given(tables())
def test_the_public_column_is_a_list_of_dicts(given: list[Logprobs | None]) -> None:
    columns, _ = write_columns(given, "float64")
    public = as_public(pa.chunked_array([columns[COLUMN]]))
    public.validate(full=True)
    for table, entries in zip(given, public.to_pylist(), strict=True):
        expected = None if table is None else [_plain(entry) for entry in table]
        assert entries == expected


def _plain(entry: Any) -> dict[str, Any]:
    top = [{"token": other["token"], "logprob": other["logprob"]} for other in entry["top_logprobs"]]
    return {"token": entry["token"], "logprob": entry["logprob"], "top_logprobs": top}


def zipf(answers: int, length: int, alternatives: int, *, with_ids: bool = False) -> list[Logprobs | None]:
    """Return tables of Zipf-distributed tokens out of 32,000."""
    draws = np.random.default_rng(7)
    words = [f" {''.join(map(chr, 97 + draws.integers(0, 26, draws.integers(1, 8))))}{i}" for i in range(32_000)]
    vocabulary = Vocabulary.of((word, word.encode(), i if with_ids else None) for i, word in enumerate(words))
    made: list[Logprobs | None] = []
    for _ in range(answers):
        shape = length, alternatives
        ids = np.minimum(draws.zipf(1.3, shape) - 1 + draws.integers(0, 50, shape), 31_999).astype(np.int32)
        weights = np.sort(-draws.exponential(3, shape), axis=1)[:, ::-1]
        logprob = weights - np.log(np.exp(weights).sum(1, keepdims=True)) - 0.02
        offsets = np.arange(0, length * alternatives + 1, alternatives, dtype=np.int32)
        columns = ids[:, 0].copy(), logprob[:, 0].copy(), ids.ravel(), logprob.ravel(), offsets
        made.append(Logprobs(vocabulary, *columns))
    return made


@pytest.mark.parametrize(("precision", "most"), [("float64", 200), ("float32", 125)])
@pytest.mark.parametrize("with_ids", [False, True])
@pytest.mark.parametrize(("answers", "length"), [(60, 64), (1000, 1)])
def test_a_token_with_20_alternatives_takes_a_tenth_of_json(
    precision: str, most: int, with_ids: bool, answers: int, length: int
) -> None:
    given = zipf(answers, length, 20, with_ids=with_ids)
    file, packed = stored(given, precision)
    size = (len(file) + len(packed)) / (answers * length)
    assert size <= most + 20 * with_ids
    json_size = len("\n".join(json.dumps(list(table or ())) for table in given)) / (answers * length)
    assert size <= json_size / (9 if not with_ids else 8)


def test_single_precision_keeps_six_digits_and_says_so() -> None:
    exact = Logprobs.from_entries([{"token": "a", "logprob": -1 / 3}], rounding=0)
    (found,) = restored(*stored([exact], "float32"))
    assert found is not None
    assert found.logprob[0] == np.float32(-1 / 3)
    assert found.rounding is None
