"""The boundary between a prompt and the text that is scored after it, found by what the tokens spell.

Positions are never counted: a server may put a BOS token in front, and generates a token of its own at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ...errors import MalformedResponseError
from ...logprobs.columns import RawBytes
from ...text.counts import pluralize

# Tokens; a tokenizer puts one in front of a text, and a chat template that has one already makes it two.
_MOST_LEADING = 2
# Tokens after one that cannot be read, which must fit the text, too.
_MOST_AFTER = 12
# U+FFFD stands for the bytes of an unfinished character.
UNKNOWN = "\ufffd"


@dataclass(slots=True)
class Token:
    """Token of a given text; ``begin`` and ``end`` are its bytes in the text, once it is aligned."""

    text: str
    logprob: float | None
    id: int | None = None
    raw: RawBytes = None
    top: list[Token] = field(default_factory=list)
    begin: int = 0
    end: int = 0

    @property
    def known(self) -> bytes | None:
        """Bytes of the token; None where its text does not tell."""
        if isinstance(self.raw, bytes):
            return self.raw
        return None if UNKNOWN in self.text else self.text.encode("utf-8", "surrogatepass")


def align(tokens: Sequence[Token], text: str) -> tuple[list[Token], list[Token]] | None:
    """Return the tokens that spell a text, and those after them; None if they do not spell it from its beginning.

    Tokens in front that are no part of the text are left out.

    Parameters
    ----------
    tokens
        Tokens as a server returns them; their places are filled in.
    text
        The text.
    """
    octets = text.encode("utf-8", "surrogatepass")
    best: tuple[list[Token], list[Token]] | None = None
    for leading in range(min(_MOST_LEADING, len(tokens)) + 1):
        rest = [replace(token) for token in tokens[leading:]]
        count = _walk(rest, octets, 0)
        # A token in front whose text is not known could be the text's first one, and would leave its last one over.
        if count and (best is None or len(rest) - count < len(best[1])):
            best = rest[:count], rest[count:]
    while best is not None and best[0] and best[0][0].end == 0:  # some servers write BOS as an empty token
        del best[0][0]
    return best


def align_end(tokens: Sequence[Token], text: str) -> list[Token] | None:
    """Return tokens that spell the end of a text, with their places; None if they do not, or it is not known."""
    octets = text.encode("utf-8", "surrogatepass")
    pieces = [token.known for token in tokens]
    known = [piece for piece in pieces if piece is not None]
    begin = len(octets) - sum(map(len, known))
    if begin < 0 or len(known) < len(pieces) or _walk(tokens, octets, begin) < len(tokens):
        return None
    return list(tokens)


def _walk(tokens: Sequence[Token], octets: bytes, begin: int) -> int:
    """Fill in the places of tokens from a place on, and return how many there are to the end; 0 if they do not fit."""
    position, count = begin, 0
    while position < len(octets):
        run = count
        while run < len(tokens) and tokens[run].known is None:
            run += 1
        if run > count:
            # A character of several tokens: together they have the bytes up to the next token that can be read.
            stop = _end_of_run(tokens[count:], run - count, octets, position)
            if stop < 0:
                return 0
            for token in tokens[count:run]:
                token.begin, token.end, token.raw = position, stop, b""
            tokens[run - 1].raw = octets[position:stop]
            position, count = stop, run
            continue
        piece = tokens[count].known if count < len(tokens) else None
        if piece is None or not octets.startswith(piece, position):
            return 0
        tokens[count].begin, tokens[count].end = position, position + len(piece)
        position += len(piece)
        count += 1
    return count


def _end_of_run(tokens: Sequence[Token], run: int, octets: bytes, position: int) -> int:
    """Return where a run of tokens that cannot be read ends, such that the tokens after it fit; -1 if they never do."""
    pattern = b""
    for token in reversed(tokens[run : run + _MOST_AFTER]):
        pattern = _pattern(token) + (rb"(?:\Z|%b)" % pattern if pattern else b"")
    joined = b"".join(map(_pattern, tokens[:run]))
    after = rb"(?:\Z|%b)" % pattern if pattern else rb"\Z"
    match = re.compile(rb"(%b)%b" % (joined, after), re.DOTALL).match(octets, position)
    return -1 if match is None else match.end(1)


def _pattern(token: Token) -> bytes:
    """Return a pattern for the bytes of a token; each U+FFFD stands for one to three."""
    if token.known is not None:
        return re.escape(token.known)
    if token.text == UNKNOWN and token.logprob is None:  # a first token, whose text no server lists
        return rb".+?"
    parts = token.text.encode("utf-8", "surrogatepass").split(UNKNOWN.encode())
    return rb"[\x80-\xff]{1,3}?".join(map(re.escape, parts))


def take(tokens: Iterable[Token], boundary: int) -> list[Token]:
    """Return the tokens that have bytes behind a boundary."""
    return [token for token in tokens if token.end > boundary]


def move_trailing_spaces(prompt: str, text: str) -> tuple[str, str]:
    """Return a raw prompt and a text, with the prompt's trailing spaces at the beginning of the text.

    Most tokens begin with their space. A prompt of spaces alone stays as it is.
    """
    stripped = prompt.rstrip(" ")
    return (stripped, prompt[len(stripped) :] + text) if stripped else (prompt, text)


def straddling_note(characters: int) -> str | None:
    """Return the note on a first row that also holds the end of the prompt; None where it does not."""
    if characters <= 0:
        return None
    return f"the first row also holds {pluralize(characters, 'character')} before the text"


def misspelt(model: str, dialect: str) -> MalformedResponseError:
    """Return the error for log-probabilities that are not those of the given text."""
    return MalformedResponseError(
        f"{model!r}: the server returned log-probabilities of other tokens than those of the given text: of a part of "
        "it, or of generated tokens only.",
        dialect=dialect,
        field="logprobs",
    )
