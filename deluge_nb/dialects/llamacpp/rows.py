"""One row for each drawn token, from a reply of llama.cpp's server.

The server sends no entry for a token that ends inside a character. The entry of the token that completes the character
has the bytes of the whole character, but the log-probability of its last piece alone. With stop strings, an entry may
include the bytes of delayed tokens before it, and the last entries are missing. The ids and the bytes of alternatives
are always right. So bytes are taken from the alternatives, and rows without an entry are requested one by one.

A token that reaches into the stop string has no row, although its first characters stay in the text: the server cuts
the text between characters, and a part of a token has no probability.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial

import msgspec

from ...errors import MalformedResponseError
from ...logprobs.columns import Builder
from ...logprobs.table import Logprobs
from ...logprobs.values import log_sum
from ...sampling import SamplingParams
from ..base import Ask, Request
from ..reading.decode import decode
from ..reading.faults import Faults
from .replies import NAME, Alternative, Octets, Reply, Row
from .whole import bytes_by_id, find, normalize, read_reply, whole_table

# Alternatives; more than any vocabulary has, so the server returns all tokens.
WHOLE_VOCABULARY = 10_000_000
# Alternatives; nearly every drawn token is among these, and the whole vocabulary takes twenty times as long.
_FIRST_WIDTH = 300
# Alternatives; with this many, nearly every drawn token is among them, and their bytes are reliable.
_MIN_TOP_WITH_STOP = 20
# Bias on a token's logit that makes greedy decoding draw this token.
FORCING_BIAS = 100


class Piece(msgspec.Struct):
    """Token of a text; its piece is a list of bytes if it is not valid text."""

    id: int
    piece: str | Octets

    @property
    def octets(self) -> bytes:
        """Bytes of the token."""
        return self.piece.encode() if isinstance(self.piece, str) else bytes(self.piece)


class _Pieces(msgspec.Struct):
    tokens: list[Piece]


def tokenize(text: str, *, special: bool = True) -> Generator[Request, bytes, list[Piece]]:
    """Return the tokens of a text; with ``special`` it may have special tokens of the chat format."""
    body = {"content": text, "add_special": special, "parse_special": special, "with_pieces": True}
    reply = yield Request("/tokenize", body)
    return decode(reply, _Pieces, NAME).tokens


def vocabulary() -> Generator[Request, bytes, dict[int, bytes]]:
    """Return the bytes of every token that the model can draw, by id."""
    alternatives = yield from RowRequests(" ", [], whole_vocabulary=True).next()
    return {alternative.id: bytes(alternative.bytes) for alternative in alternatives}


def reply_reader(ask: Ask, faults: Faults | None = None) -> Callable[[bytes], Reply]:
    """Return the function that reads the replies to an ask; with ``faults``, without the fields that do not fit."""
    return partial(read_reply, ask, faults=faults) if ask.params.full_vocab else partial(_read_reply, faults=faults)


def _read_reply(body: bytes, faults: Faults | None = None) -> Reply:
    return decode(body, Reply, NAME, faults=faults)


def rows(ask: Ask, prompt: str | list[int], reply: Reply) -> Generator[Request, bytes, list[Row]]:
    """Return one row for each token of the completion, with as many further requests as necessary.

    Raises
    ------
    MalformedResponseError
        When the entries of the reply do not match its tokens.
    """
    ids, entries = reply.tokens, reply.completion_probabilities
    if reply.stop_type == "eos":
        # The token that ends the text is not part of it.
        ids, end = ids[:-1], ids[-1:]
        entries = entries[:-1] if [entry.id for entry in entries[-1:]] == end else entries
    stopped = reply.stop_type == "word"
    known = bytes_by_id([entry.top_logprobs for entry in entries])
    requests = RowRequests(prompt, ids, read=reply_reader(ask), whole_vocabulary=ask.params.full_vocab)
    complete: list[Row] = []
    # The rows and bytes of a character that is not complete yet.
    pending: list[Row] = []
    pending_octets = b""
    rest = reply.content
    used = 0
    for position, token in enumerate(ids):
        if stopped and not rest:  # the remaining tokens are the stop string
            break
        candidate = entries[used] if used < len(entries) else None
        entry = candidate if candidate is not None and candidate.id == token else None
        row = None
        octets = known.get(token)
        if octets is None and entry is not None and not pending and not ask.params.stop:
            octets = bytes(entry.bytes)
        if octets is None:
            row = yield from requests.row(position)
            octets = row.octets
        pending_octets += octets
        ends = ends_with_whole_character(pending_octets)
        if ends and entry is not None:
            row = Row(token, octets, entry.logprob, entry.top_logprobs)
        if ends and entry is None and candidate is not None:
            raise _mismatch()
        used += ends
        pending.append(row or (yield from requests.row(position)))
        if ends:
            text = pending_octets.decode("utf-8", "replace")
            if stopped and not rest.startswith(text):  # the token reaches into the stop string
                break
            rest = rest[len(text) :]
            complete += pending
            pending.clear()
            pending_octets = b""
    if not stopped:
        complete += pending
        if used < len(entries) or (reply.content and not ids):
            raise _mismatch()
    return complete


def width_of(params: SamplingParams) -> int:
    """Return the number of alternatives to request; with 0 the server returns no log-probabilities at all."""
    if params.full_vocab:
        return WHOLE_VOCABULARY
    return max(1, params.top_logprobs or 0, _MIN_TOP_WITH_STOP if params.stop else 0)


def _mismatch() -> MalformedResponseError:
    return MalformedResponseError(
        f"The server's answer does not fit the {NAME} dialect: its log-probabilities do not match its tokens.",
        dialect=NAME,
        field="completion_probabilities",
    )


def ends_with_whole_character(octets: bytes) -> bool:
    """Return True if the last character is complete, by the server's own rule."""
    for distance, byte in enumerate(reversed(octets[-3:]), start=1):
        length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 0
        if distance < length:
            return False
    return True


class RowRequests:
    """Further requests for rows that a reply lacks: for the distribution before one token.

    Parameters
    ----------
    prompt
        The text before the tokens, or its token ids.
    ids
        Ids of the tokens.
    read
        Function that reads a reply.
    whole_vocabulary
        True for rows with all alternatives.
    """

    def __init__(
        self,
        prompt: str | list[int],
        ids: Sequence[int],
        *,
        read: Callable[[bytes], Reply] = _read_reply,
        whole_vocabulary: bool = False,
    ) -> None:
        self._prompt = prompt
        self._ids = ids
        self._read = read
        self._widths = (WHOLE_VOCABULARY,) if whole_vocabulary else (_FIRST_WIDTH, WHOLE_VOCABULARY)
        self._forced_token: int | None = None

    def row(self, position: int) -> Generator[Request, bytes, Row]:
        """Return the row of the token at a position."""
        token = self._ids[position]
        for width in self._widths:
            top = yield from self._alternatives(position, width)
            match = find(top, token)
            if match is not None:
                return Row(token, bytes(match.bytes), match.logprob, top)
        raise MalformedResponseError(
            f"The server drew token {token} and does not list it in its vocabulary.",
            dialect=NAME,
            field="completion_probabilities",
        )

    def next(self) -> Generator[Request, bytes, Sequence[Alternative]]:
        """Return the distribution after the last token, over the whole vocabulary."""
        return (yield from self._alternatives(len(self._ids), WHOLE_VOCABULARY))

    def _alternatives(self, position: int, width: int) -> Generator[Request, bytes, Sequence[Alternative]]:
        if isinstance(self._prompt, str):
            pieces = yield from tokenize(self._prompt)
            self._prompt = [piece.id for piece in pieces]
        if self._forced_token is None:
            pieces = yield from tokenize(" the", special=False)
            self._forced_token = pieces[0].id
        reply = yield Request(
            "/completion",
            {
                "prompt": [*self._prompt, *self._ids[:position]],
                "n_predict": 1,
                "n_probs": width,
                "samplers": ["temperature"],
                "temperature": 0,
                # Any token of whole characters will do: for others the server sends no entry.
                "logit_bias": [[self._forced_token, FORCING_BIAS]],
                "cache_prompt": True,
            },
        )
        entries = self._read(reply).completion_probabilities
        return entries[0].top_logprobs if entries else []


SUM_ERROR = 3e-4
"""By how much a log-probability of the server may be off (nats): it adds up its softmax in single precision.

Its numbers were 1e-4 to 3e-4 too high at 40 texts. Those of a whole vocabulary are divided by their sum instead.
"""


def build_table(ask: Ask, rows: Sequence[Row]) -> Logprobs:
    """Return the table of some rows, with the requested number of alternatives."""
    full = ask.params.full_vocab
    table = whole_table(rows, ask.vocab_size) if full else None
    if table is not None:
        return table
    builder = Builder(ask.vocabulary)
    width = None if full else ask.params.top_logprobs or 0
    for row in rows:
        # In single precision the probabilities of a whole vocabulary do not quite add up to 1.
        excess = log_sum(other.logprob for other in row.top if other.logprob is not None) if full and row.top else 0.0
        builder.add_token(row.octets.decode("utf-8", "replace"), normalize(row.logprob, excess), row.octets, row.id)
        for other in row.top[:width]:
            octets = bytes(other.bytes)
            builder.add_alternative(
                octets.decode("utf-8", "replace"), normalize(other.logprob, excess), octets, other.id
            )
    return Logprobs(
        builder.vocabulary, *builder.columns(), vocab_size=ask.vocab_size, rounding=None if full else SUM_ERROR
    )
