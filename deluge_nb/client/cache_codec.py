"""An answer as bytes, and back: columns as they are, everything else as MessagePack."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..dialects.base import Ask, Completion
from ..logprobs.columns import RawBytes, Vocabulary
from ..logprobs.table import Logprobs
from ..tools import ToolCall

_TYPES = ("<i4", "<f8", "<i4", "<f8", "<i4")
# Log-probabilities hardly shrink; what is around them does, and quickly is well enough.
_LEVEL = 1


class _Table(msgspec.Struct, array_like=True):
    texts: list[str]
    # False where the provider has no such field: None is what it may have sent.
    raw: list[bytes | bool | None]
    ids: list[int | None]
    columns: list[bytes]
    vocab_size: int | None


class _Answer(msgspec.Struct, array_like=True):
    fields: dict[str, Any]
    calls: list[list[Any]]
    raw: Any
    table: _Table | None


def encode_completion(answer: Completion) -> bytes:
    """An answer as bytes."""
    fields = {name: getattr(answer, name) for name in ("text", "finish_reason", "usage", "model", "refusal")}
    calls = [[call.name, call.arguments, call.id, call.raw_arguments] for call in answer.tool_calls]
    table = None if answer.logprobs is None else _packed(answer.logprobs.compact())
    return zlib.compress(msgspec.msgpack.encode(_Answer(fields, calls, answer.raw, table)), _LEVEL)


def decode_completion(packed: bytes, ask: Ask) -> Completion:
    """The answer, with no more alternatives than are asked for.

    Raises
    ------
    ValueError, zlib.error
        When these are no answer's bytes.
    """
    found = msgspec.msgpack.decode(zlib.decompress(packed), type=_Answer)
    table = None if found.table is None or not ask.params.logprobs else _unpacked(found.table)
    if table is not None and not ask.params.full_vocab:
        table = truncate_alternatives(table, ask.params.top_logprobs or 0)
    calls = tuple(ToolCall(*call) for call in found.calls)
    return Completion(**found.fields, logprobs=table, tool_calls=calls, raw=found.raw)


def truncate_alternatives(table: Logprobs, most: int) -> Logprobs:
    """The same table with at most so many alternatives at each token: the likeliest, in the order they had."""
    chosen, logprob, weighed, others, offsets = table.columns
    counts = np.diff(offsets)
    if counts.max(initial=0) <= most:
        return table
    row = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-others, row))  # stable, and with what is not known at the end
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(offsets[:-1], counts)
    kept = rank < most
    fewer = np.concatenate(([0], np.cumsum(np.minimum(counts, most)))).astype(np.int32)
    shorter = Logprobs(
        table.vocabulary, chosen, logprob, weighed[kept], others[kept], fewer, vocab_size=table.vocab_size
    )
    return shorter.compact()


def _packed(table: Logprobs) -> _Table:
    vocabulary = table.vocabulary
    columns = [column.astype(kind).tobytes() for column, kind in zip(table.columns, _TYPES, strict=True)]
    raw = [False if octets is ... else octets for octets in vocabulary.raw]
    return _Table(vocabulary.texts, raw, vocabulary.ids, columns, table.vocab_size)


def _unpacked(packed: _Table) -> Logprobs:
    def octets(raw: bytes | bool | None) -> RawBytes:
        return ... if isinstance(raw, bool) else raw

    vocabulary = Vocabulary.of(zip(packed.texts, map(octets, packed.raw), packed.ids, strict=True))
    columns: list[NDArray[Any]] = [
        np.frombuffer(column, kind).astype(kind[1:]) for column, kind in zip(packed.columns, _TYPES, strict=True)
    ]
    return Logprobs(vocabulary, *columns, vocab_size=packed.vocab_size)


__all__ = ["decode_completion", "encode_completion", "truncate_alternatives"]
