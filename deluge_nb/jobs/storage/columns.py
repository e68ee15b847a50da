"""Log-probabilities as Arrow and Parquet columns, and back, without a loop over tokens.

The column that people see is a list of structs, as in the documented list of dicts: ``token``, ``logprob`` and
``top_logprobs``. A text does not say everything about a token: it may stand for other bytes, and it has an id. Both
belong to the vocabulary and not to every occurrence, so they are stored once for each part, in the metadata of its
schema. Where one text is several tokens, as with the halves of an emoji, ``variant`` says which (null for the first).
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...logprobs.columns import RawBytes, Vocabulary
from ...logprobs.table import Logprobs

if TYPE_CHECKING:
    import pyarrow as pa

Entry = tuple[str, RawBytes, int | None]

TOKENS = b"tokens"
"""Name of the metadata with the tokens whose bytes or ids are more than their texts say."""
COLUMN = "logprobs"
FACTS = ("vocab_size", "rounding", "matches_text")
"""Columns beside that of the tables, with what holds for a whole table."""
_LIST = f"{COLUMN}.list.element"
_TOP = f"{_LIST}.top_logprobs.list.element"
DICTIONARIES = [f"{_LIST}.token", f"{_TOP}.token", f"{_LIST}.variant", f"{_TOP}.variant"]
SPLIT = [f"{_LIST}.logprob", f"{_TOP}.logprob"]


def logprobs_type(precision: str, *, with_variants: bool = False) -> pa.DataType:
    """Return the Arrow type of the column."""
    import pyarrow as pa

    number = pa.float32() if precision == "float32" else pa.float64()
    own = [("token", pa.dictionary(pa.int32(), pa.string())), ("logprob", number)]
    variant = [("variant", pa.int32())] if with_variants else []
    return pa.list_(pa.struct([*own, *variant, ("top_logprobs", pa.list_(pa.struct([*own, *variant])))]))


def write_columns(tables: Sequence[Logprobs | None], precision: str) -> tuple[dict[str, Any], bytes]:
    """Return the Arrow columns of many tables, by name, and the metadata that belongs to them.

    Parameters
    ----------
    tables
        One for each row; None where there is none.
    precision
        ``"float64"`` or ``"float32"``.
    """
    import pyarrow as pa

    given = [table for table in tables if table is not None]
    vocabularies = {id(table.vocabulary): table.vocabulary for table in given}
    starts = dict(zip(vocabularies, np.cumsum([0, *map(len, vocabularies.values())]).tolist(), strict=False))
    # One concatenation for all tables: a job's tables are small and many.
    columns = list(zip(*(table.columns for table in given), strict=True)) or [[]] * 5
    shifts = np.array([starts[id(table.vocabulary)] for table in given], np.int64)
    chosen, alternative = (
        _concatenate(columns[at], np.int64) + np.repeat(shifts, [len(one) for one in columns[at]]) for at in (0, 2)
    )
    logprob, other_logprob = (_concatenate(columns[at], np.float64) for at in (1, 3))
    # Offsets begin at 0 in each table; the step from the end of one to the begin of the next is no number of its own.
    is_begin = np.zeros(sum(map(len, columns[4])), np.bool_)
    is_begin[np.cumsum([0, *map(len, columns[4])])[:-1]] = True
    ends = _ends(np.diff(_concatenate(columns[4], np.int64), prepend=0)[~is_begin])
    used, local = np.unique(np.concatenate((chosen, alternative)), return_inverse=True)
    spelling = _Spelling(_entries(list(vocabularies.values()), used))
    kind = logprobs_type(precision, with_variants=True)
    number = pa.float32() if precision == "float32" else pa.float64()

    def struct(positions: NDArray[np.int64], values: NDArray[np.float64], fields: Any, *more: Any) -> Any:
        token = pa.DictionaryArray.from_arrays(pa.array(spelling.text[positions]), spelling.texts)
        variant = spelling.variant[positions]
        numbers = pa.array(values, mask=np.isnan(values)).cast(number)
        return pa.StructArray.from_arrays(
            [token, numbers, pa.array(variant, mask=variant == 0), *more], fields=list(fields)
        )

    outer = kind.value_type
    inner = outer.field("top_logprobs").type.value_type
    top = pa.ListArray.from_arrays(pa.array(ends), struct(local[len(chosen) :], other_logprob, inner))
    rows = struct(local[: len(chosen)], logprob, outer, top)
    is_missing = np.array([table is None for table in tables], np.bool_)
    sizes = _ends(np.array([0 if table is None else len(table) for table in tables], np.int64))
    offsets = pa.array(sizes, mask=np.append(is_missing, False)) if is_missing.any() else pa.array(sizes)
    facts = {
        COLUMN: pa.ListArray.from_arrays(offsets, rows),
        "vocab_size": _facts(tables, lambda table: table.vocab_size, pa.int32()),
        "rounding": _facts(tables, lambda table: _stored_rounding(table.rounding, precision), pa.float64()),
        "matches_text": _facts(tables, lambda table: table.matches_text, pa.bool_()),
    }
    return facts, spelling.pack()


def read_columns(columns: pa.Table, packed: bytes | None) -> list[Logprobs | None]:
    """Return the tables of Arrow columns as :func:`write_columns` returned them, over one vocabulary.

    Parameters
    ----------
    columns
        A table with the four columns.
    packed
        Its metadata.
    """
    column = columns[COLUMN].combine_chunks()
    if hasattr(column, "chunks"):
        column = column.chunk(0) if column.num_chunks else column.type.wrap_array([])
    rows = column.flatten()
    sizes = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    tops = rows.field("top_logprobs")
    others = tops.flatten()
    spelling = _unpack(packed)
    entries: dict[Entry, int] = {}

    def indices(struct: Any) -> NDArray[np.int32]:
        token = struct.field("token")
        token = token if hasattr(token, "dictionary") else token.dictionary_encode()
        texts = token.dictionary.to_pylist()
        forms = [spelling.get(text) or [(text, text.encode(), None)] for text in texts]
        start = _ends(np.array([len(variants) for variants in forms], np.int64))
        flat = [entries.setdefault(entry, len(entries)) for variants in forms for entry in variants]
        variant = struct.field("variant").fill_null(0).to_numpy(zero_copy_only=False)
        positions = token.indices.to_numpy(zero_copy_only=False)
        return np.array(flat, np.int32)[start[positions] + variant] if len(positions) else np.zeros(0, np.int32)

    chosen, alternative = indices(rows), indices(others)
    vocabulary = Vocabulary.of(entries)
    logprob, other_logprob = (
        struct.field("logprob").to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        for struct in (rows, others)
    )
    ends = _ends(tops.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))
    facts = zip(*(columns[name].to_pylist() for name in FACTS), column.is_valid().to_pylist(), strict=True)
    tables: list[Logprobs | None] = []
    stop = 0
    for size, (vocab_size, rounding, matches_text, is_there) in zip(sizes.tolist(), facts, strict=True):
        start, stop = stop, stop + size
        if not is_there:
            tables.append(None)
            continue
        first, last = ends[start], ends[stop]
        tables.append(
            Logprobs(
                vocabulary,
                chosen[start:stop],
                logprob[start:stop],
                alternative[first:last],
                other_logprob[first:last],
                ends[start : stop + 1] - first,
                vocab_size=vocab_size,
                rounding=rounding,
                matches_text=matches_text,
            )
        )
    return tables


def tokens_of(answers: pa.Table) -> bytes | None:
    """Return the metadata that belongs to the log-probabilities of a part."""
    return (answers.schema.metadata or {}).get(TOKENS)


def as_public(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column without ``variant``, which means nothing without the metadata of its part."""
    import pyarrow as pa

    return pa.chunked_array([_without_variant(chunk) for chunk in column.chunks], _public_type(column.type))


def _public_type(kind: pa.DataType) -> pa.DataType:
    return logprobs_type("float32" if kind.value_type.field("logprob").type.bit_width == 32 else "float64")


def _without_variant(column: pa.ListArray) -> pa.ListArray:
    import pyarrow as pa

    kind = _public_type(column.type)
    rows = column.flatten()
    tops = rows.field("top_logprobs")
    others = tops.flatten()
    outer = kind.value_type
    inner = outer.field("top_logprobs").type.value_type
    other = pa.StructArray.from_arrays([others.field("token"), others.field("logprob")], fields=list(inner))
    ends = _ends(tops.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))
    top = pa.ListArray.from_arrays(pa.array(ends), other)
    row = pa.StructArray.from_arrays([rows.field("token"), rows.field("logprob"), top], fields=list(outer))
    sizes = _ends(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64))
    is_missing = ~column.is_valid().to_numpy(zero_copy_only=False)
    offsets = pa.array(sizes, mask=np.append(is_missing, False)) if is_missing.any() else pa.array(sizes)
    return pa.ListArray.from_arrays(offsets, row)


def _facts(tables: Sequence[Logprobs | None], fact: Callable[[Logprobs], Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if table is None else fact(table) for table in tables], kind)


def _concatenate(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.zeros(0, dtype)


def _ends(sizes: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)


def _stored_rounding(rounding: float | None, precision: str) -> float | None:
    # None stands for numbers in single precision, which exact ones become.
    return None if precision == "float32" and rounding == 0 else rounding


def _entries(vocabularies: list[Vocabulary], used: NDArray[np.int64]) -> list[Entry]:
    """Return the used tokens of vocabularies that are laid end to end."""
    entries: list[Entry] = []
    start = 0
    for vocabulary in vocabularies:
        end = start + len(vocabulary)
        entries += [vocabulary.entry(index) for index in (used[(used >= start) & (used < end)] - start).tolist()]
        start = end
    return entries


class _Spelling:
    """Distinct texts of tokens, and which variant of its text each token is."""

    def __init__(self, entries: list[Entry]) -> None:
        import pyarrow as pa

        # The same token of another vocabulary is no other variant.
        self._variants: dict[str, dict[Entry, int]] = {}
        positions: dict[str, int] = {}
        text, variant = np.zeros((2, len(entries)), np.int32)
        for index, entry in enumerate(entries):
            variants = self._variants.setdefault(entry[0], {})
            text[index] = positions.setdefault(entry[0], len(positions))
            variant[index] = variants.setdefault(entry, len(variants))
        self.text, self.variant = text, variant
        self.texts = pa.array(list(positions), pa.string())

    def pack(self) -> bytes:
        """Return the tokens that are more than their texts say, as compressed JSON."""
        entries = [
            [text, [[_raw_to_plain(raw, text), token_id] for _, raw, token_id in variants]]
            for text, variants in self._variants.items()
            if list(variants) != [(text, text.encode(), None)]
        ]
        return zlib.compress(json.dumps(entries, separators=(",", ":")).encode()) if entries else b""


def _unpack(packed: bytes | None) -> dict[str, list[Entry]]:
    entries = json.loads(zlib.decompress(packed)) if packed else []
    return {
        text: [(text, _raw_from_plain(raw, text), token_id) for raw, token_id in variants] for text, variants in entries
    }


def _raw_to_plain(raw: RawBytes, text: str) -> str | int | None:
    """Return a token's bytes as JSON: 1 for those of its text, 0 where the server has no such field, null for null."""
    if raw is None:
        return None
    if not isinstance(raw, bytes):
        return 0
    return 1 if raw == text.encode() else b64encode(raw).decode()


def _raw_from_plain(plain: str | int | None, text: str) -> RawBytes:
    if plain is None:
        return None
    if isinstance(plain, str):
        return b64decode(plain)
    return text.encode() if plain else ...
