"""Streamed replies of llama.cpp's server.

The server never reports a token that ends inside a character: it sends neither its id nor its row, and the event that
completes the character has all its bytes. But each event has the number of tokens so far. Together with the vocabulary
this nearly always determines the unreported tokens; if several sequences fit, the likeliest one is used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from ...errors import MalformedResponseError
from ..base import Ask, Completion, Delta, Request, StreamReader
from ..reading.answer import failure
from ..reading.decode import decode
from ..reading.failures import is_failure
from .replies import NAME, Entry, Reply, Row
from .rows import RowRequests, build_table, vocabulary


class _Chunk(msgspec.Struct):
    content: str = ""
    tokens: list[int] = []
    completion_probabilities: list[Entry] = []
    tokens_predicted: int = 0
    stop: bool = False
    stop_type: str = ""
    error: Any = None


class Piece(msgspec.Struct):
    """Tokens of one event: their ids, their entries, and the number of unreported tokens before them."""

    ids: list[int]
    entries: list[Entry]
    unreported: int


class CompletionReader(StreamReader):
    """Parser of the events of one completion."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._texts: list[str] = []
        self._last: dict[str, Any] = {}
        self._count = 0
        self.pieces: list[Piece] = []

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of the answer."""
        return bool(self._last.get("stop"))

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed, without unreported tokens."""
        entries = [entry for piece in self.pieces for entry in piece.entries]
        reply = {"tokens_predicted": self._count, **self._last}
        reply |= {
            "content": "".join(self._texts),
            "tokens": [token for piece in self.pieces for token in piece.ids],
            "completion_probabilities": entries,
        }
        return msgspec.json.encode(reply)

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return the additions of one event to the answer."""
        chunk = decode(event, _Chunk, NAME, faults=self.faults)
        if chunk.error or is_failure(chunk.stop_type):
            error = chunk.error or False
            raise failure(self.ask.model, event, error, Completion(None, finish_reason=chunk.stop_type or None))
        if chunk.stop or chunk.stop_type:
            self._last = {**decode(event, dict[str, Any], NAME), "stop": True}
        self._texts.append(chunk.content)
        unreported = chunk.tokens_predicted - self._count - len(chunk.tokens)
        if chunk.tokens:
            self._count = chunk.tokens_predicted
            self.pieces.append(Piece(chunk.tokens, chunk.completion_probabilities, unreported))
        if not chunk.content:
            return
        entries = chunk.completion_probabilities
        if not self.ask.params.logprobs or unreported or len(entries) != len(chunk.tokens):
            # The entry covers only the last of several tokens, so there is no row for this text yet.
            yield Delta(chunk.content)
            return
        rows = [Row(entry.id, bytes(entry.bytes), entry.logprob, entry.top_logprobs) for entry in entries]
        yield Delta(chunk.content, build_table(self.ask, rows))


def add_unreported_tokens(
    reply: Reply, pieces: list[Piece], prompt: str | list[int]
) -> Generator[Request, bytes, Reply]:
    """Return the reply with the tokens that the server did not report.

    Raises
    ------
    MalformedResponseError
        When no tokens of the vocabulary fit the missing bytes.
    """
    if not any(piece.unreported for piece in pieces):
        return reply
    octets_by_id = yield from vocabulary()
    ids_by_octets: dict[bytes, int] = {octets: token for token, octets in octets_by_id.items()}
    ids: list[int] = []
    for piece in pieces:
        if piece.unreported:
            character, last = bytes(piece.entries[0].bytes), octets_by_id[piece.ids[0]]
            sequences = list(_token_sequences(character.removesuffix(last), piece.unreported, ids_by_octets))
            ids += yield from _likeliest(sequences, prompt, ids)
        ids += piece.ids
    return msgspec.structs.replace(reply, tokens=ids)


def _token_sequences(octets: bytes, count: int, ids_by_octets: dict[bytes, int]) -> Iterator[list[int]]:
    """Yield all sequences of ``count`` tokens whose bytes are ``octets``."""
    if count == 0:
        if not octets:
            yield []
        return
    for length in range(1, len(octets) - count + 2):
        token = ids_by_octets.get(octets[:length])
        if token is not None:
            for rest in _token_sequences(octets[length:], count - 1, ids_by_octets):
                yield [token, *rest]


def _likeliest(
    sequences: list[list[int]], prompt: str | list[int], before: list[int]
) -> Generator[Request, bytes, list[int]]:
    """Return the sequence of tokens with the highest probability after the tokens before it."""
    if not sequences:
        raise MalformedResponseError(
            f"The server's answer does not fit the {NAME} dialect: it drew tokens that its vocabulary does not have.",
            dialect=NAME,
            field="tokens_predicted",
        )
    if len(sequences) == 1:
        return sequences[0]
    best, highest = sequences[0], float("-inf")
    for sequence in sequences:
        requests = RowRequests(prompt, [*before, *sequence])
        loglik = 0.0
        for position in range(len(sequence)):
            row = yield from requests.row(len(before) + position)
            loglik += row.logprob if row.logprob is not None else float("-inf")
        if loglik > highest:
            best, highest = sequence, loglik
    return best
