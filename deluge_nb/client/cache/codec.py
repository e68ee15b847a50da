"""Encode answers as bytes for the cache: columns as raw memory, the rest as MessagePack, all of it compressed."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...dialects.base import Ask, Completion
from ...logprobs.columns import RawBytes, Vocabulary
from ...logprobs.table import Logprobs
from ...tools import ToolCall

_TYPES = ("<i4", "<f8", "<i4", "<f8", "<i4")
# Log-probabilities hardly compress and the rest does at any level, so the fastest level is used.
_LEVEL = 1


class _Table(msgspec.Struct, array_like=True):
    texts: list[str]
    # False where the provider has no such field; None is a value it may send.
    raw: list[bytes | bool | None]
    ids: list[int | None]
    columns: list[bytes]
    vocab_size: int | None
    rounding: float | None = None


class _Answer(msgspec.Struct, array_like=True):
    fields: dict[str, Any]
    calls: list[list[Any]]
    raw: Any
    table: _Table | None


def encode_completion(completion: Completion) -> bytes:
    """Return an answer as bytes."""
    fields = {name: getattr(completion, name) for name in ("text", "finish_reason", "usage", "model", "refusal")}
    calls = [[call.name, call.arguments, call.id, call.raw_arguments] for call in completion.tool_calls]
    table = None if completion.logprobs is None else _pack_table(completion.logprobs.compact())
    return zlib.compress(msgspec.msgpack.encode(_Answer(fields, calls, completion.raw, table)), _LEVEL)


def decode_completion(packed: bytes, ask: Ask) -> Completion:
    """Return the answer from its bytes, with at most as many alternatives as are requested.

    Raises
    ------
    ValueError, zlib.error
        If the bytes are not an answer.
    """
    answer = msgspec.msgpack.decode(zlib.decompress(packed), type=_Answer)
    table = None if answer.table is None or not ask.params.logprobs else _unpack_table(answer.table)
    if table is not None and not ask.params.full_vocab:
        table = truncate_alternatives(table, ask.params.top_logprobs or 0)
    calls = tuple(ToolCall(*call) for call in answer.calls)
    return Completion(**answer.fields, logprobs=table, tool_calls=calls, raw=answer.raw)


def truncate_alternatives(table: Logprobs, most: int) -> Logprobs:
    """Return the table with at most ``most`` alternatives at each token: the likeliest, in their order."""
    chosen, logprob, alternative, alternative_logprob, offsets = table.columns
    counts = np.diff(offsets)
    if counts.max(initial=0) <= most:
        return table
    row = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-alternative_logprob, row))  # stable; NaN comes last
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(offsets[:-1], counts)
    kept = rank < most
    new_offsets = np.concatenate(([0], np.cumsum(np.minimum(counts, most)))).astype(np.int32)
    shorter = Logprobs(
        table.vocabulary,
        chosen,
        logprob,
        alternative[kept],
        alternative_logprob[kept],
        new_offsets,
        vocab_size=table.vocab_size,
        rounding=table.rounding,
    )
    return shorter.compact()


def _pack_table(table: Logprobs) -> _Table:
    vocabulary = table.vocabulary
    columns = [column.astype(kind).tobytes() for column, kind in zip(table.columns, _TYPES, strict=True)]
    raw = [False if octets is ... else octets for octets in vocabulary.raw]
    return _Table(vocabulary.texts, raw, vocabulary.ids, columns, table.vocab_size, table.rounding)


def _unpack_table(packed: _Table) -> Logprobs:
    def octets(raw: bytes | bool | None) -> RawBytes:
        return ... if isinstance(raw, bool) else raw

    vocabulary = Vocabulary.of(zip(packed.texts, map(octets, packed.raw), packed.ids, strict=True))
    columns: list[NDArray[Any]] = [
        np.frombuffer(column, kind).astype(kind[1:]) for column, kind in zip(packed.columns, _TYPES, strict=True)
    ]
    return Logprobs(vocabulary, *columns, vocab_size=packed.vocab_size, rounding=packed.rounding)


__all__ = ["decode_completion", "encode_completion", "truncate_alternatives"]
