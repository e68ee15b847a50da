"""From a reply of llama.cpp's server to one row for each token that was drawn.

The server reports no entry for a token that ends inside a character; the entry of the token that completes it has the
bytes of the whole character and the log-probability of its last piece alone. Under stop strings an entry may have the
bytes of tokens that were held back before it, and the last entries are left out. What is always right are the ids, and
the bytes of the alternatives. So bytes are taken from there, and what has no entry is asked for again, one by one.

A token that reaches into the stop string has no row, though the text keeps what it has before it: the server cuts text
between characters, and half a token has no probability.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Annotated

import msgspec

from ...errors import MalformedResponseError
from ...logprobs.columns import Builder
from ...logprobs.table import Logprobs
from ...logprobs.values import LOWEST, log_sum
from ..base import Ask, Request
from ..decode import decode

NAME = "llamacpp"

# More than the server's vocabulary: it gives what it has.
WHOLE = 10_000_000
# Enough alternatives to find nearly any token that was drawn; the whole vocabulary takes twenty times as long.
_WIDE = 300
# With a bias this strong, and greedy, the server draws the token it is told to.
_FORCED = 100


Octets = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class Weighed(msgspec.Struct, gc=False):
    """An alternative."""

    id: int
    logprob: float | None = None
    token: str = ""
    bytes: Octets = []


class Entry(msgspec.Struct, gc=False):
    """A token that was drawn, as far as the server tells."""

    id: int
    logprob: float | None = None
    token: str = ""
    bytes: Octets = []
    top_logprobs: list[Weighed] = []


class Reply(msgspec.Struct):
    """A completion."""

    content: str
    tokens: list[int] = []
    completion_probabilities: list[Entry] = []
    stop_type: str = ""
    tokens_evaluated: int = 0
    tokens_predicted: int = 0
    model: str | None = None


class Piece(msgspec.Struct):
    """A token of a text; its piece is a list of bytes where it is no text."""

    id: int
    piece: str | Octets

    @property
    def octets(self) -> bytes:
        """The bytes of the token."""
        return self.piece.encode() if isinstance(self.piece, str) else bytes(self.piece)


class _Pieces(msgspec.Struct):
    tokens: list[Piece]


class Row(msgspec.Struct):
    """A token as it goes into the table."""

    id: int
    octets: bytes
    logprob: float | None
    top: list[Weighed]


def tokens(text: str, *, special: bool = True) -> Generator[Request, bytes, list[Piece]]:
    """The tokens of a text; ``special`` reads those of the chat format in it."""
    asked = {"content": text, "add_special": special, "parse_special": special, "with_pieces": True}
    reply = yield Request("/tokenize", asked)
    return decode(reply, _Pieces, NAME).tokens


def vocabulary() -> Generator[Request, bytes, dict[int, bytes]]:
    """The bytes of every token that the model can draw."""
    row = yield from Repair(" ", [], whole_vocabulary=True).next()
    return {one.id: bytes(one.bytes) for one in row}


def rows(ask: Ask, prompt: str | list[int], reply: Reply) -> Generator[Request, bytes, list[Row]]:
    """One row for each token of the completion, in as many further requests as it takes.

    Raises
    ------
    MalformedResponseError
        When entries and tokens of the reply do not belong together.
    """
    ids, entries = reply.tokens, reply.completion_probabilities
    if reply.stop_type == "eos":
        # The end of the text is not a token of it.
        ids, end = ids[:-1], ids[-1:]
        entries = entries[:-1] if [entry.id for entry in entries[-1:]] == end else entries
    stopped = reply.stop_type == "word"
    known = {one.id: bytes(one.bytes) for entry in entries for one in entry.top_logprobs}
    repair = Repair(prompt, ids, whole_vocabulary=ask.params.full_vocab)
    found: list[Row] = []
    begun: list[Row] = []
    octets_begun = b""
    left = reply.content
    used = 0
    for position, token in enumerate(ids):
        if stopped and not left:  # what follows is the stop string
            break
        due = entries[used] if used < len(entries) else None
        entry = due if due is not None and due.id == token else None
        row = None
        octets = known.get(token)
        if octets is None and entry is not None and not begun and not ask.params.stop:
            octets = bytes(entry.bytes)
        if octets is None:
            row = yield from repair.row(position)
            octets = row.octets
        octets_begun += octets
        ends = ends_whole(octets_begun)
        if ends and entry is not None:
            row = Row(token, octets, entry.logprob, entry.top_logprobs)
        if ends and entry is None and due is not None:
            raise _foreign()
        used += ends
        begun.append(row or (yield from repair.row(position)))
        if ends:
            text = octets_begun.decode("utf-8", "replace")
            if stopped and not left.startswith(text):  # it reaches into the stop string
                break
            left = left[len(text) :]
            found += begun
            begun.clear()
            octets_begun = b""
    if not stopped:
        found += begun
        if used < len(entries) or (reply.content and not ids):
            raise _foreign()
    return found


def _foreign() -> MalformedResponseError:
    return MalformedResponseError(
        f"The server's answer does not fit the {NAME} dialect: its log-probabilities are not those of its tokens.",
        dialect=NAME,
        field="completion_probabilities",
    )


def ends_whole(octets: bytes) -> bool:
    """Whether the server takes a text to end with a whole character; this is how it tells."""
    for place, byte in enumerate(reversed(octets[-3:]), start=1):
        length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 0
        if place < length:
            return False
    return True


class Repair:
    """Asks again for what a reply left out: the distribution before one token.

    Parameters
    ----------
    prompt
        The text before the tokens, or its own tokens.
    ids
        The tokens.
    whole_vocabulary
        Whether a row has every alternative.
    """

    def __init__(self, prompt: str | list[int], ids: Sequence[int], *, whole_vocabulary: bool = False) -> None:
        self._prompt = prompt
        self._ids = ids
        self._widths = (WHOLE,) if whole_vocabulary else (_WIDE, WHOLE)
        self._clean: int | None = None

    def row(self, position: int) -> Generator[Request, bytes, Row]:
        """The row of the token at a position."""
        token = self._ids[position]
        for width in self._widths:
            top = yield from self._weighed(position, width)
            found = next((one for one in top if one.id == token), None)
            if found is not None:
                return Row(token, bytes(found.bytes), found.logprob, top)
        raise MalformedResponseError(
            f"The server drew token {token} and does not list it in its vocabulary.",
            dialect=NAME,
            field="completion_probabilities",
        )

    def next(self) -> Generator[Request, bytes, list[Weighed]]:
        """What may follow the last token: the whole vocabulary."""
        return (yield from self._weighed(len(self._ids), WHOLE))

    def _weighed(self, position: int, width: int) -> Generator[Request, bytes, list[Weighed]]:
        if isinstance(self._prompt, str):
            pieces = yield from tokens(self._prompt)
            self._prompt = [piece.id for piece in pieces]
        if self._clean is None:
            pieces = yield from tokens(" the", special=False)
            self._clean = pieces[0].id
        reply = yield Request(
            "/completion",
            {
                "prompt": [*self._prompt, *self._ids[:position]],
                "n_predict": 1,
                "n_probs": width,
                "samplers": ["temperature"],
                "temperature": 0,
                # What is drawn does not matter, as long as it is a whole character: else there is no entry.
                "logit_bias": [[self._clean, _FORCED]],
                "cache_prompt": True,
            },
        )
        entries = decode(reply, Reply, NAME).completion_probabilities
        return entries[0].top_logprobs if entries else []


def table(ask: Ask, found: Sequence[Row]) -> Logprobs:
    """The rows as a table, with as many alternatives as were asked for."""
    builder = Builder(ask.vocabulary)
    full = ask.params.full_vocab
    kept = None if full else ask.params.top_logprobs or 0
    for row in found:
        # Single precision leaves a whole vocabulary's sum a little off 1.
        excess = log_sum(one.logprob for one in row.top if one.logprob is not None) if full and row.top else 0.0
        builder.token(row.octets.decode("utf-8", "replace"), _less(row.logprob, excess), row.octets, row.id)
        for one in row.top[:kept]:
            octets = bytes(one.bytes)
            builder.alternative(octets.decode("utf-8", "replace"), _less(one.logprob, excess), octets, one.id)
    return Logprobs(builder.vocabulary, *builder.columns(), vocab_size=ask.vocab_size)


def _less(logprob: float | None, excess: float) -> float | None:
    return logprob if logprob is None or logprob <= LOWEST else logprob - excess
