"""Encode answers as bytes for the cache: columns as raw memory, the rest as MessagePack, all of it compressed."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...dialects.base import Ask, Completion
from ...logprobs.columns import RawBytes, Vocabulary
from ...logprobs.splice import truncate_alternatives
from ...logprobs.table import Logprobs
from ...tools import ToolCall

_TYPES = ("<i4", "<f8", "<i4", "<f8", "<i4")
# Log-probabilities hardly compress and the rest does at any level, so the fastest level is used.
_LEVEL = 1
# Bytes of one unpacked answer, which are held in memory. The largest are those of whole vocabularies.
_MAX_SIZE = 128 << 20


class _Table(msgspec.Struct, array_like=True):
    texts: list[str]
    # False where the provider has no such field; None is a value it may send.
    raw: list[bytes | bool | None]
    ids: list[int | None]
    columns: list[bytes]
    vocab_size: int | None
    rounding: float | None = None
    matches_text: bool = True


class _Fields(msgspec.Struct):
    text: str | None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    refusal: str | None = None
    thinking: str | None = None
    notes: tuple[str, ...] = ()


class _Answer(msgspec.Struct, array_like=True):
    fields: _Fields
    calls: list[tuple[str, dict[str, Any] | None, str | None, str]]
    raw: Any
    table: _Table | None
    thinking_table: _Table | None = None
    others: list[_Answer] = []


def encode_completion(completion: Completion) -> bytes:
    """Return an answer as bytes.

    Raises
    ------
    ValueError
        If the answer is too large to be read again.
    """
    packed = msgspec.msgpack.encode(_pack(completion))
    if len(packed) > _MAX_SIZE:
        raise ValueError(f"the answer takes {len(packed)} bytes, and at most {_MAX_SIZE} are cached")
    return zlib.compress(packed, _LEVEL)


def decode_completion(packed: bytes, ask: Ask) -> Completion:
    """Return the answer from its bytes, with at most as many alternatives as are requested.

    Raises
    ------
    ValueError, zlib.error
        If the bytes are not an answer.
    """
    reader = zlib.decompressobj()
    content = reader.decompress(packed, _MAX_SIZE)
    if not reader.eof:
        raise ValueError("the bytes are cut off, or unpack to more than an answer has")
    return _unpack(msgspec.msgpack.decode(content, type=_Answer), ask)


def _pack(completion: Completion) -> _Answer:
    values: dict[str, Any] = {name: getattr(completion, name) for name in _Fields.__struct_fields__}
    fields = _Fields(**values)
    calls = [(call.name, call.arguments, call.id, call.raw_arguments) for call in completion.tool_calls]
    tables = [
        None if table is None else _pack_table(table.compact())
        for table in (completion.logprobs, completion.thinking_logprobs)
    ]
    return _Answer(fields, calls, completion.raw, *tables, others=[_pack(other) for other in completion.others])


def _unpack(answer: _Answer, ask: Ask) -> Completion:
    fields = msgspec.structs.asdict(answer.fields)
    return Completion(
        **fields,
        logprobs=_unpack_asked(answer.table, ask),
        thinking_logprobs=_unpack_asked(answer.thinking_table, ask),
        tool_calls=tuple(ToolCall(*call) for call in answer.calls),
        raw=answer.raw,
        others=tuple(_unpack(other, ask) for other in answer.others),
    )


def _unpack_asked(packed: _Table | None, ask: Ask) -> Logprobs | None:
    """Return a table as far as it was asked for."""
    if packed is None or not ask.params.logprobs:
        return None
    table = _unpack_table(packed)
    return table if ask.params.full_vocab else truncate_alternatives(table, ask.params.top_logprobs or 0)


def _pack_table(table: Logprobs) -> _Table:
    vocabulary = table.vocabulary
    columns = [column.astype(kind).tobytes() for column, kind in zip(table.columns, _TYPES, strict=True)]
    raw = [False if octets is ... else octets for octets in vocabulary.raw]
    return _Table(vocabulary.texts, raw, vocabulary.ids, columns, table.vocab_size, table.rounding, table.matches_text)


def _unpack_table(packed: _Table) -> Logprobs:
    def octets(raw: bytes | bool | None) -> RawBytes:
        return ... if isinstance(raw, bool) else raw

    vocabulary = Vocabulary.of(zip(packed.texts, map(octets, packed.raw), packed.ids, strict=True))
    columns: list[NDArray[Any]] = [
        np.frombuffer(column, kind).astype(kind[1:]) for column, kind in zip(packed.columns, _TYPES, strict=True)
    ]
    _check_columns(*columns, size=len(packed.texts))
    return Logprobs(
        vocabulary,
        *columns,
        vocab_size=packed.vocab_size,
        rounding=packed.rounding,
        matches_text=packed.matches_text,
    )


def _check_columns(
    chosen: NDArray[Any],
    logprob: NDArray[Any],
    alternative: NDArray[Any],
    alternative_logprob: NDArray[Any],
    offsets: NDArray[Any],
    *,
    size: int,
) -> None:
    """Check that the columns of a table fit each other and its vocabulary: else they would fail when they are used."""
    if len(chosen) != len(logprob) or len(alternative) != len(alternative_logprob) or len(offsets) != len(chosen) + 1:
        raise ValueError("the columns of a table have different lengths")
    if offsets[0] != 0 or offsets[-1] != len(alternative) or (np.diff(offsets) < 0).any():
        raise ValueError("the offsets of a table are not those of its rows")
    for ids in (chosen, alternative):
        if len(ids) and not 0 <= ids.min() <= ids.max() < size:
            raise ValueError("a table has tokens that its vocabulary does not have")


__all__ = ["decode_completion", "encode_completion"]
