"""A reply of llama.cpp's server that comes piece by piece.

The server is silent about a token that ends inside a character: neither its id nor its row is ever sent, and the piece
that completes the character has the whole of its bytes. What it does send is how many tokens there are so far. With the
vocabulary that is enough to tell which they were, nearly always; where it is not, the likelier reading is taken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from ...errors import MalformedResponseError
from ..base import Ask, Delta, Request, StreamReader, failure
from ..decode import decode
from ..events import ServerSentEvents
from .rows import NAME, Entry, Repair, Reply, Row, table, vocabulary


class _Chunk(msgspec.Struct):
    content: str = ""
    tokens: list[int] = []
    completion_probabilities: list[Entry] = []
    tokens_predicted: int = 0
    stop: bool = False
    error: Any = None


class Piece(msgspec.Struct):
    """One event: the ids of its tokens, their entries, and how many were drawn unseen before them."""

    ids: list[int]
    entries: list[Entry]
    unseen: int


class CompletionReader(StreamReader):
    """Reads the events of one completion."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask, ServerSentEvents())
        self._texts: list[str] = []
        self._last: dict[str, Any] = {}
        self._count = 0
        self.pieces: list[Piece] = []

    @property
    def complete(self) -> bool:
        """Whether the server has said that this is all."""
        return bool(self._last.get("stop"))

    def body(self) -> bytes:
        """What has come, as the body of a reply that was not streamed, save the tokens that were not told."""
        entries = [entry for piece in self.pieces for entry in piece.entries]
        reply = {"tokens_predicted": self._count, **self._last}
        reply |= {
            "content": "".join(self._texts),
            "tokens": [token for piece in self.pieces for token in piece.ids],
            "completion_probabilities": entries,
        }
        return msgspec.json.encode(reply)

    def read(self, event: bytes) -> Iterator[Delta]:
        """Return what one event adds to the answer."""
        chunk = decode(event, _Chunk, NAME)
        if chunk.error is not None:
            raise failure(self.ask, event)
        if chunk.stop:
            self._last = decode(event, dict[str, Any], NAME)
        self._texts.append(chunk.content)
        unseen = chunk.tokens_predicted - self._count - len(chunk.tokens)
        if chunk.tokens:
            self._count = chunk.tokens_predicted
            self.pieces.append(Piece(chunk.tokens, chunk.completion_probabilities, unseen))
        if not chunk.content:
            return
        entries = chunk.completion_probabilities
        if not self.ask.params.logprobs or unseen or len(entries) != len(chunk.tokens):
            # Its row is that of its last token only: better none than one that is wrong.
            yield Delta(chunk.content)
            return
        rows = [Row(one.id, bytes(one.bytes), one.logprob, one.top_logprobs) for one in entries]
        yield Delta(chunk.content, table(self.ask, rows))


def completed(reply: Reply, pieces: list[Piece], prompt: str | list[int]) -> Generator[Request, bytes, Reply]:
    """The reply with the tokens that the server was silent about.

    Raises
    ------
    MalformedResponseError
        When no tokens of the vocabulary are what is missing.
    """
    if not any(piece.unseen for piece in pieces):
        return reply
    words = yield from vocabulary()
    spelt: dict[bytes, int] = {octets: token for token, octets in words.items()}
    ids: list[int] = []
    for piece in pieces:
        if piece.unseen:
            whole, own = bytes(piece.entries[0].bytes), words[piece.ids[0]]
            readings = list(_readings(whole.removesuffix(own), piece.unseen, spelt))
            ids += yield from _likeliest(readings, prompt, ids)
        ids += piece.ids
    return msgspec.structs.replace(reply, tokens=ids)


def _readings(octets: bytes, count: int, spelt: dict[bytes, int]) -> Iterator[list[int]]:
    """All ways to write some bytes with so many tokens."""
    if count == 0:
        if not octets:
            yield []
        return
    for length in range(1, len(octets) - count + 2):
        token = spelt.get(octets[:length])
        if token is not None:
            for rest in _readings(octets[length:], count - 1, spelt):
                yield [token, *rest]


def _likeliest(
    readings: list[list[int]], prompt: str | list[int], before: list[int]
) -> Generator[Request, bytes, list[int]]:
    if not readings:
        raise MalformedResponseError(
            f"The server's answer does not fit the {NAME} dialect: it drew tokens that its vocabulary does not have.",
            dialect=NAME,
            field="tokens_predicted",
        )
    if len(readings) == 1:
        return readings[0]
    best, highest = readings[0], float("-inf")
    for reading in readings:
        repair = Repair(prompt, [*before, *reading])
        likelihood = 0.0
        for place in range(len(reading)):
            row = yield from repair.row(len(before) + place)
            likelihood += row.logprob if row.logprob is not None else float("-inf")
        if likelihood > highest:
            best, highest = reading, likelihood
    return best
