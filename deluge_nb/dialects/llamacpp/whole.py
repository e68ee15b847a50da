"""Whole vocabularies in replies of llama.cpp's server, read as columns of ids and numbers.

The texts of a model's tokens do not change. They are read from the first reply and kept once per model; from later
replies only the ids and the log-probabilities are read. The bytes of the likeliest tokens are compared each time, so
that another model of the same name is noticed.
"""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...logprobs.columns import Vocabulary, pack_numbers
from ...logprobs.table import Logprobs
from ...logprobs.values import LOWEST
from ..base import Ask
from ..reading.decode import decode
from ..reading.faults import Faults
from ..reading.values import pieces
from .replies import NAME, Alternative, Entry, Octets, Reply, Row

# Models whose texts are kept: a vocabulary takes about 10 MB.
_MAX_MODELS = 4
# Tokens whose bytes are compared in every reply, and the bytes of JSON that they fit in.
_COMPARED, _COMPARED_SIZE = 20, 8192
_DECODER = json.JSONDecoder()
_ALTERNATIVES_KEY = b'"top_logprobs"'
_BETWEEN = re.compile(rb"\}\s*(,)\s*\{")

_known: OrderedDict[tuple[str, str, str, int | None], Texts] = OrderedDict()


class _Number(msgspec.Struct, gc=False):
    id: int
    logprob: float | None = None


_decode_numbers = msgspec.json.Decoder(list[_Number]).decode


class _Entry(msgspec.Struct, gc=False):
    id: int
    logprob: float | None = None
    token: str = ""
    bytes: Octets = []
    top_logprobs: msgspec.Raw = msgspec.Raw(b"")


class _Reply(msgspec.Struct):
    content: str
    tokens: list[int] = []
    completion_probabilities: list[_Entry] = []
    stop_type: str = ""
    tokens_evaluated: int = 0
    tokens_predicted: int = 0
    model: str | None = None


class Texts:
    """Texts and bytes of all tokens of a model.

    Parameters
    ----------
    octets
        Bytes of each token by its id.
    """

    def __init__(self, octets: Mapping[int, bytes]) -> None:
        self.octets = dict(octets)
        self.ids = np.array(sorted(self.octets), np.int64)
        self._index = np.full(int(self.ids[-1]) + 1, -1, np.int32)
        self._index[self.ids] = np.arange(len(self.ids))
        self.vocabulary = Vocabulary.of(
            (self.octets[token].decode("utf-8", "replace"), self.octets[token], token) for token in self.ids.tolist()
        )

    def index(self, token: int, octets: bytes) -> int:
        """Return the index of a token in the vocabulary, by its id and bytes."""
        if self.octets.get(token) == octets:
            return int(self._index[token])
        return self.vocabulary.add(octets.decode("utf-8", "replace"), octets, token)

    def indices(self, ids: NDArray[np.int64]) -> NDArray[np.int32] | None:
        """Return the indices of tokens in the vocabulary; None unless they are all tokens, each once."""
        if len(ids) != len(self.ids) or ids.min() < 0 or ids.max() >= len(self._index):
            return None
        indices = self._index[ids]
        is_listed = np.zeros(len(self.ids), np.bool_)
        is_listed[indices[indices >= 0]] = True
        return indices if is_listed.all() else None


class Whole(Sequence[Alternative]):
    """Alternatives of one token: the whole vocabulary, as columns.

    Parameters
    ----------
    texts
        Texts of the model's tokens.
    ids, indices, logprobs
        Columns in the server's order: ids, indices in the vocabulary of the texts, and log-probabilities; NaN for null.
    """

    def __init__(
        self, texts: Texts, ids: NDArray[np.int64], indices: NDArray[np.int32], logprobs: NDArray[np.float64]
    ) -> None:
        self.texts, self.ids, self.indices, self.logprobs = texts, ids, indices, logprobs

    def excess(self) -> float:
        """Return the logarithm of the sum: in single precision the probabilities do not quite add up to 1."""
        known = self.logprobs[~np.isnan(self.logprobs)]
        largest = int(known.argmax())
        masses = np.exp(known - known[largest])
        masses[largest] = 0.0
        return float(known[largest]) + math.log1p(math.fsum(masses.tolist()))

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Alternative: ...
    @overload
    def __getitem__(self, index: slice) -> list[Alternative]: ...
    def __getitem__(self, index: int | slice) -> Alternative | list[Alternative]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        token, logprob = int(self.ids[index]), float(self.logprobs[index])
        octets = list(self.texts.octets[token])
        return Alternative(token, None if math.isnan(logprob) else logprob, bytes=octets)


def forget() -> None:
    """Forget the texts of all models."""
    _known.clear()


def read_reply(ask: Ask, body: bytes, faults: Faults | None = None) -> Reply:
    """Return a reply whose alternatives are a model's whole vocabulary."""
    model = (ask.endpoint.name, ask.endpoint.base_url, ask.model, ask.vocab_size)
    texts = _known.get(model)
    if texts is not None:
        _known.move_to_end(model)
        reply = _read_numbers(body, texts)
        if reply is not None:
            return reply
    reply = decode(body, Reply, NAME, faults=faults)
    tops = [entry.top_logprobs for entry in reply.completion_probabilities]
    if not tops or any(len({other.id for other in top}) < len(top) for top in tops):
        return reply
    octets = {other.id: bytes(other.bytes) for other in tops[0]}
    # Fewer than all tokens are no vocabulary, and bytes that differ from row to row are not the tokens'.
    if len(octets) == (ask.vocab_size or len(octets)) and all(_has_bytes(top, octets) for top in tops):
        _known[model] = Texts(octets)
        while len(_known) > _MAX_MODELS:
            _known.popitem(last=False)
    return reply


def _has_bytes(top: Sequence[Alternative], octets: Mapping[int, bytes]) -> bool:
    return len(top) == len(octets) and all(octets.get(other.id) == bytes(other.bytes) for other in top)


def _read_numbers(body: bytes, texts: Texts) -> Reply | None:
    """Return a reply of which only ids and numbers are read; None if it is not of the model with these texts."""
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not _compare(body, texts, len(reply.completion_probabilities)):
        return None
    entries: list[Entry] = []
    for entry in reply.completion_probabilities:
        columns = _columns(memoryview(entry.top_logprobs))
        indices = None if columns is None else texts.indices(columns[0])
        if columns is None or indices is None or np.isnan(columns[1]).all():
            return None
        whole = Whole(texts, columns[0], indices, columns[1])
        entries.append(Entry(entry.id, entry.logprob, entry.token, entry.bytes, whole))
    return Reply(
        reply.content,
        reply.tokens,
        entries,
        reply.stop_type,
        reply.tokens_evaluated,
        reply.tokens_predicted,
        reply.model,
    )


def _columns(alternatives: memoryview) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return the ids and the log-probabilities of a list of alternatives; None if it cannot be read."""
    ids: list[NDArray[np.int64]] = []
    numbers: list[bytes] = []
    try:
        for piece in pieces(alternatives, 1, len(alternatives) - 1, _BETWEEN):
            found = _decode_numbers(piece)
            ids.append(np.array([other.id for other in found], np.int64))
            numbers.append(pack_numbers([other.logprob for other in found]))
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        return None
    return (np.concatenate(ids), np.frombuffer(b"".join(numbers))) if ids else None


def _compare(body: bytes, texts: Texts, count: int) -> bool:
    """Return whether the likeliest tokens of every entry have the bytes that are known."""
    at = 0
    for _ in range(count):
        at = body.find(_ALTERNATIVES_KEY, at) + len(_ALTERNATIVES_KEY)
        start = body.find(b"[", at)
        part = body[start + 1 : start + 1 + _COMPARED_SIZE].decode("utf-8", "replace")
        end = 0
        for _ in range(min(_COMPARED, len(texts.ids))):
            try:
                other, end = _DECODER.raw_decode(part, part.index("{", end))
                if texts.octets.get(other["id"]) != bytes(other["bytes"]):
                    return False
            except (ValueError, LookupError, TypeError):
                return False
    return True


def bytes_by_id(tops: Sequence[Sequence[Alternative]]) -> Mapping[int, bytes]:
    """Return the bytes of all alternatives of some tokens, by id."""
    if tops and isinstance(tops[0], Whole):
        return tops[0].texts.octets
    return {other.id: bytes(other.bytes) for top in tops for other in top}


def find(top: Sequence[Alternative], token: int) -> Alternative | None:
    """Return the alternative with an id, if it is listed."""
    if isinstance(top, Whole):
        matches = np.flatnonzero(top.ids == token)
        return top[int(matches[0])] if len(matches) else None
    return next((other for other in top if other.id == token), None)


def whole_table(rows: Sequence[Row], vocab_size: int | None) -> Logprobs | None:
    """Return the table of rows that all have the whole vocabulary of one model; None for other rows."""
    tops = [row.top for row in rows if isinstance(row.top, Whole)]
    if not tops or len(tops) < len(rows) or any(top.texts is not tops[0].texts for top in tops):
        return None
    texts = tops[0].texts
    chosen: list[int] = []
    chosen_logprob: list[float | None] = []
    columns: list[NDArray[np.float64]] = []
    for row, top in zip(rows, tops, strict=True):
        excess = top.excess()
        chosen.append(texts.index(row.id, row.octets))
        chosen_logprob.append(normalize(row.logprob, excess))
        columns.append(np.where(top.logprobs <= LOWEST, top.logprobs, top.logprobs - excess))
    return Logprobs(
        texts.vocabulary,
        np.array(chosen, np.int32),
        np.array(chosen_logprob, np.float64),
        np.concatenate([top.indices for top in tops]),
        np.concatenate(columns),
        np.arange(len(rows) + 1, dtype=np.int32) * len(texts.ids),
        vocab_size=vocab_size,
    )


def normalize(logprob: float | None, excess: float) -> float | None:
    """Return a log-probability without the excess of a sum of probabilities; sentinels stay."""
    return logprob if logprob is None or logprob <= LOWEST else logprob - excess
