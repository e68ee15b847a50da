"""Odd frames: each is asked as it looks, or refused in one sentence, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deluge_nb import Conversation, SettingError, score_frame
from tests.jobs.rows import LABELS, TEMPLATE, RowServer, row_server, rows

NUMBERS = [0, 1, 2]
LETTERS = list("abc")
VIEWS = pa.dictionary(pa.int32(), pa.string_view())


@pytest.fixture
def server() -> Iterator[RowServer]:
    with row_server() as running:
        yield running


def texts(values: Any) -> pd.DataFrame:
    """Return a frame with a column of texts, which may be none."""
    return pd.DataFrame({"number": NUMBERS, "text": values})


class Stored:
    """A dataset as the library ``datasets`` has them: rows behind an index, in the format that is asked for."""

    __module__ = "datasets.arrow_dataset"

    def __init__(self, table: pa.Table, index: list[int], kind: str | None = None) -> None:
        self._table, self._index = table, index
        self.format = {"type": kind}

    def with_format(self, kind: str) -> Stored:
        return Stored(self._table, self._index, kind)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, key: slice) -> pa.Table:
        assert self.format["type"] == "arrow"
        return self._table.take(pa.array(self._index[key]))

    def __arrow_c_stream__(self, schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(schema)  # without the index


class Stream:
    """A stream of rows of ``datasets``."""

    __module__ = "datasets.iterable_dataset"

    def with_format(self, kind: str) -> Stream:
        return self


class Splits(dict[str, Any]):
    """Splits of ``datasets``."""

    __module__ = "datasets.dataset_dict"

    def with_format(self, kind: str) -> Splits:
        return self


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (texts(pd.Categorical(list("aba"))), ["a", "b", "a"]),
        (pl.DataFrame({"number": NUMBERS, "text": pl.Series(list("aba"), dtype=pl.Categorical)}), ["a", "b", "a"]),
        (pl.DataFrame({"number": NUMBERS, "text": pl.Series(list("aba"), dtype=pl.Enum(["a", "b"]))}), ["a", "b", "a"]),
        (texts(["{number}", "{x}", "}{"]), ["{number}", "{x}", "}{"]),
        (texts(np.array([2**64 - 1, 1, 2], np.uint64)), [str(2**64 - 1), "1", "2"]),
        (texts([Decimal("1.10")] * 3), ["1.10"] * 3),
        (
            texts(pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin")),
            [f"2024-01-0{i} 00:00:00+01:00" for i in (1, 2, 3)],
        ),
        (texts(LETTERS).set_index(pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)])), LETTERS),
        (texts(LETTERS).set_index("number"), LETTERS),
        (texts(LETTERS).set_index(pd.Index(NUMBERS, name="number")), LETTERS),
        (texts(pd.array([["a"], [], ["b"]], pd.ArrowDtype(pa.list_(pa.string())))), ["['a']", "[]", "['b']"]),
        (texts([{"a": 1}] * 3), ["{'a': 1}"] * 3),
        (texts(pd.Categorical([3, 1, 3])), ["3", "1", "3"]),
        (pa.table({"number": NUMBERS, "text": pa.array(list("aba")).dictionary_encode().cast(VIEWS)}), list("aba")),
        (pa.table({"number": NUMBERS, "text": pa.array([["a"]] * 3, pa.list_view(pa.string()))}), ["['a']"] * 3),
        (pa.table({"number": NUMBERS, "text": pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"])}), list("aab")),
        (Stored(rows(9), NUMBERS), ["text 0", "text 1", "text 2"]),
        (Stored(rows(9), [2, 0, 1]).with_format("numpy"), ["text 2", "text 0", "text 1"]),
    ],
)
def test_values_are_asked_as_they_look(server: RowServer, tmp_path: Path, data: Any, asked: list[str]) -> None:
    job = score_frame(data, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    seen = [seen.question.partition(" : ")[2] for seen in server.server.seen]
    assert sorted(seen) == sorted(asked)
    assert job.progress.failed == 0
    job.to_polars()
    if isinstance(data, pd.DataFrame):
        assert job.to_pandas().index.equals(data.index)


def test_names_of_columns_that_are_numbers_become_texts(server: RowServer, tmp_path: Path) -> None:
    data = pd.DataFrame({0: NUMBERS, 1: LETTERS})
    job = score_frame(data, "Row {0} : {1}", server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    assert job.to_pandas()["1"].tolist() == LETTERS


@pytest.mark.parametrize("name", ["größe", "élan", "текст", "हिन्दी", "本文", "e\u0301tat", "_", "n2"])
def test_a_placeholder_is_a_name_in_any_script(server: RowServer, tmp_path: Path, name: str) -> None:
    data, template = pd.DataFrame({"number": NUMBERS, name: LETTERS}), f"Row {{number}} : {{{name}}}"
    score_frame(data, template, server.client(), out=tmp_path, show_progress=False)
    assert sorted(seen.question for seen in server.server.seen) == ["Row 0 : a", "Row 1 : b", "Row 2 : c"]


def test_braces_that_name_no_column_are_text(server: RowServer, tmp_path: Path) -> None:
    template = 'Row {number} : {text} {"a": 1}'
    score_frame(rows(1), template, server.client(), out=tmp_path, show_progress=False)
    assert server.server.seen[0].question == 'Row 0 : text 0 {"a": 1}'


@pytest.mark.parametrize(
    ("column", "written", "cure"),
    [
        ("the text", "{the text}", r"rename\(columns=\{'the text': 'the_text'\}\), and write \{the_text\}"),
        ("a-b", "{a-b}", r"write \{a_b\}"),
        ("2nd", "{2nd}", r"write \{_2nd\}"),
        ("text", "{text!r}", r"write \{text\}, without anything else"),
        ("text", "{text:>10}", r"write \{text\}, without anything else"),
        ("text", "{text[0]}", r"write \{text\}, without anything else"),
        ("text", "{ text }", r"write \{text\}, without anything else"),
        ("text", "{text} {}", r"has \{\}: write the name of a column between the braces, such as \{number\}"),
    ],
)
@pytest.mark.parametrize("is_chat", [False, True])
def test_what_looks_like_a_placeholder_and_is_none_is_refused(
    server: RowServer, tmp_path: Path, column: str, written: str, cure: str, is_chat: bool
) -> None:
    data = pd.DataFrame({"number": NUMBERS, column: LETTERS})
    text = f"Row {{number}} : {written}"
    template = Conversation.user(text) if is_chat else text
    with pytest.raises(SettingError, match=cure):
        score_frame(data, template, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    assert server.requests == 0


def used_up() -> Any:
    connection = duckdb.connect().execute("select 0 number, 'a' as text")
    connection.fetchall()
    return connection


def union() -> Any:
    return pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array(NUMBERS), pa.array(LETTERS)])


def dataset(frame: pd.DataFrame) -> Any:
    return ds.dataset(pa.table(frame))


def several_levels() -> pd.DataFrame:
    frame = texts(LETTERS)
    return frame.set_axis(pd.MultiIndex.from_tuples([("number", "a"), ("text", "b")]), axis=1)


@pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame([[0, "a", "b"]], columns=["number", "text", "text"]), "two columns called 'text'; rename"),
        (pd.DataFrame([[0, "a", "b"]], columns=["number", 1, "1"]), "two columns called '1'; rename"),
        (several_levels(), "several levels; join them"),
        (texts(["a", 1, 2.5]), "column text with type object; give each column one plain type"),
        (texts([2**70, 1, 2]), "too large.*give each column one plain type"),
        (texts(pd.Series(["a\ud800", "b", "c"], dtype=object)), "surrogates not allowed; replace such characters"),
        (texts(pd.period_range("2024", periods=3, freq="M")), r"'text' of data has no text.*\.astype\(str\)"),
        (texts(pd.interval_range(0, 3)), r"'text' of data has no text.*\.astype\(str\)"),
        (texts([b"a", b"b", b"c"]), r"'text' of data has no text.*str\.decode"),
        (pl.DataFrame({"number": NUMBERS, "text": pl.Series([object()] * 3, dtype=pl.Object)}), "holds Python objects"),
        (
            texts([{"a": 1}, {"b": 2}, None]),
            r"different keys, which a.*df\['text'\]\.map\(json\.dumps\)",
        ),
        (texts(LETTERS).assign(text=pd.cut([1, 2, 3], 2)), r"'text' of data has no text.*\.astype\(str\)"),
        (duckdb.sql("select 0 number, 'a' as text, interval 1 day as span"), "'span' of data has the type.*leave it"),
        (used_up(), r"a connection whose rows were read already.*connection\.sql\(query\)"),
        ({"number": pd.Series([1]), "text": pd.Series(["a"])}, r"dict of lists.*pandas\.DataFrame\(data\)"),
        (pa.chunked_array([LETTERS]), r"a table, such as pyarrow\.table"),
        (dataset(texts(LETTERS)), r"pass data\.to_table\(\)"),
        ({"number": [1, 2], "text": ["a"]}, "all columns need the same number of rows"),
        ([{"number": 1, "text": "a"}], r"data must be a data frame .*pandas\.DataFrame\(rows\) makes one"),
        ((row for row in [{"number": 1}]), "data must be a data frame"),
        (np.zeros((3, 2)), "data must be a data frame"),
        (Stored(rows(3), NUMBERS, "custom"), r"has a transform.*use data\.map"),
        (Stream(), "a stream of rows.*read them first"),
        (Splits(train=1, test=2), r"several splits \('train', 'test'\); pass one of them, such as data\['train'\]"),
        ("https://example.org/a.parquet", "is an address; copy the file"),
        (pa.table({"number": NUMBERS, "text": union()}), "'text' of data has the type .*union.*leave it out"),
        ("nowhere.parquet", "a path where there is no file"),
        (Path(__file__).parent, r"is a folder; name one Parquet file"),
        (Path(__file__), "is no Parquet file that can be read"),
    ],
)
def test_other_frames_are_refused_with_the_remedy(server: RowServer, tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        score_frame(data, TEMPLATE, server.client(), labels=LABELS, out=tmp_path / "job", show_progress=False)
    assert "\n" not in str(caught.value)
    assert server.requests == 0


def test_a_parquet_file_may_have_any_types(server: RowServer, tmp_path: Path) -> None:
    lists = pd.array([["a"]] * 3, pd.ArrowDtype(pa.list_(pa.string())))
    table = pa.Table.from_pandas(texts(LETTERS).assign(lists=lists))
    table = table.set_column(1, "text", pa.array(LETTERS).cast(pa.string_view()))
    pq.write_table(table, tmp_path / "in.parquet")
    job = score_frame(tmp_path / "in.parquet", TEMPLATE, server.client(), labels=LABELS, out=tmp_path, part_rows=2)
    assert job.to_pandas()[["text", "lists"]].to_numpy().tolist() == [[letter, ["a"]] for letter in LETTERS]
    # The same rows as a table, whose columns pandas has described, are the same job.
    score_frame(pq.read_table(tmp_path / "in.parquet"), TEMPLATE, server.client(), labels=LABELS, out=tmp_path)
    assert server.requests == 3


def test_other_files_are_refused_with_what_reads_them(server: RowServer, tmp_path: Path) -> None:
    readers = {"a.csv": r"read_csv\(path\)", "a.JSONL": r"read_json\(path, lines=True\)", "a.csv.gz": "read_csv"}
    for name, reader in readers.items():
        (tmp_path / name).write_text("number,text\n1,a\n")
        with pytest.raises(SettingError, match=f"is no Parquet file; pass what pandas.{reader}.* returns"):
            score_frame(tmp_path / name, TEMPLATE, server.client(), out=tmp_path / "job", show_progress=False)


def test_a_column_without_text_may_stand_beside_those_that_are_asked(server: RowServer, tmp_path: Path) -> None:
    month, raw, size = pd.period_range("2024", periods=3, freq="M"), [b"a", b"b", b"c"], pd.cut([1, 2, 3], 2)
    facts = pd.Series([{"a": 1}, {"b": 2}, None])
    data = texts(LETTERS).assign(month=month, raw=raw, size=size, facts=facts)
    job = score_frame(data, TEMPLATE, server.client(), labels=LABELS, out=tmp_path, show_progress=False)
    assert job.to_pandas()[["month", "size"]].to_numpy().tolist() == data[["month", "size"]].to_numpy().tolist()
