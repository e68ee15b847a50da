"""The boundary between a prompt and the text that is scored after it, found by what the tokens spell.

Positions are never counted: a server may put a BOS token in front, and generates a token of its own at the end.

Servers spell tokens in different ways. Many decode each token by itself: the space in front of a token of SentencePiece
is then lost, and a part of a character is U+FFFD or, in vLLM, empty, with the character at its last token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ...errors import MalformedResponseError
from ...logprobs.columns import RawBytes
from ...text.counts import pluralize
from ...text.spelling import spellings

# Tokens; a tokenizer puts one in front of a text, and a chat template that has one already makes it two.
_MOST_LEADING = 2
# Tokens after one that cannot be read, which must fit the text, too.
_MOST_AFTER = 12
_FIRST_BEYOND_ASCII = 0x80
# Tokens that a server generates after the text.
_MOST_GENERATED = 1
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


def align(
    tokens: Sequence[Token], text: str, *, most_leading: int = _MOST_LEADING
) -> tuple[list[Token], list[Token]] | None:
    """Return the tokens that spell a text, and those after them; None if they do not spell it from its beginning.

    Tokens in front that are no part of the text are left out.

    Parameters
    ----------
    tokens
        Tokens as a server returns them; their places are filled in.
    text
        The text.
    most_leading
        Most tokens in front of the text.
    """
    octets = text.encode("utf-8", "surrogatepass")
    best: tuple[list[Token], list[Token]] | None = None
    # Some servers write BOS as an empty token.
    least_leading = int(bool(tokens and most_leading) and not tokens[0].text and tokens[0].logprob is None)
    for is_stripped in (False, True):
        for leading in range(least_leading, min(most_leading, len(tokens)) + 1):
            rest = [replace(token) for token in tokens[leading:]]
            count = _walk(rest, octets, 0, is_stripped=is_stripped)
            # A token in front whose text is not known could be the text's first one, and would leave its last one over.
            if count and (best is None or len(rest) - count < len(best[1])):
                best = rest[:count], rest[count:]
        if best is not None and len(best[1]) <= _MOST_GENERATED:
            break
    while best is not None and best[0] and best[0][0].end == 0:
        del best[0][0]
    return best


def align_end(tokens: Sequence[Token], text: str) -> list[Token] | None:
    """Return tokens that spell the end of a text, with their places; None if they do not, or it is not known."""
    octets = text.encode("utf-8", "surrogatepass")
    pieces = [token.known for token in tokens]
    known = [piece for piece in pieces if piece is not None]
    if len(known) < len(pieces):
        return None
    for is_stripped in (False, True):
        # Of the spaces that were lost, it is not known how many; the text is read from the latest place that fits.
        begin = len(octets) - sum(map(len, known))
        least = begin - len(known) if is_stripped else begin
        for start in range(begin, max(least, 0) - 1, -1):
            rest = [replace(token) for token in tokens]
            if start >= 0 and _walk(rest, octets, start, is_stripped=is_stripped) == len(tokens):
                return rest
    return None


def _walk(tokens: Sequence[Token], octets: bytes, begin: int, *, is_stripped: bool) -> int:
    """Fill in the places of tokens from a place on, and return how many there are to the end; 0 if they do not fit.

    With ``is_stripped``, tokens have lost the space in front of them.
    """
    position, count = begin, 0
    while position < len(octets):
        run = count
        while run < len(tokens) and tokens[run].known is None:
            run += 1
        if run > count:
            # A character of several tokens: together they have the bytes up to the next token that can be read.
            stop = _end_of_run(tokens[count:], run - count, octets, position, is_stripped=is_stripped)
            if stop < 0:
                return 0
            for token in tokens[count:run]:
                token.begin, token.end, token.raw = position, stop, b""
            tokens[run - 1].raw = octets[position:stop]
            position, count = stop, run
            continue
        piece = _find_spelling(tokens[count], octets, position, is_stripped) if count < len(tokens) else None
        if piece is None:
            return 0
        _fill(tokens[count], piece, position)
        position += len(piece)
        count += 1
    _join_parts(tokens[:count], octets)
    return count


def _find_spelling(token: Token, octets: bytes, position: int, is_stripped: bool) -> bytes | None:
    """Return the bytes of a token at a place in a text; None if the text goes on otherwise there."""
    return next((piece for piece in _forms(token, is_stripped) if octets.startswith(piece, position)), None)


def _forms(token: Token, is_stripped: bool) -> list[bytes]:
    """Return the bytes that a token may stand for, the likeliest first."""
    exact = token.known or b""
    # Those of its vocabulary, which some servers write.
    forms = [exact] if isinstance(token.raw, bytes) or not exact else [exact, *spellings(token.text, None)]
    spaced = [b" " + exact] if is_stripped else []
    # A token of spaces begins with one, too.
    return forms + spaced if exact.strip(b" ") else spaced + forms


def _fill(token: Token, piece: bytes, begin: int) -> None:
    if piece != token.known:
        for other in token.top:  # the token itself among the alternatives
            if other.id == token.id and other.text == token.text:
                other.raw = piece
        token.raw = piece
    token.begin, token.end = begin, begin + len(piece)


def _join_parts(tokens: Sequence[Token], octets: bytes) -> None:
    """Let empty tokens end where the character does of which they are a part, which the next token has."""
    for token, following in reversed(list(pairwise(tokens))):
        rest = octets[following.begin : following.end].lstrip(b" ")
        if token.begin == token.end and rest and rest[0] >= _FIRST_BEYOND_ASCII:
            token.end = following.end


def _end_of_run(tokens: Sequence[Token], run: int, octets: bytes, position: int, *, is_stripped: bool) -> int:
    """Return where a run of tokens that cannot be read ends, such that the tokens after it fit; -1 if they never do."""
    pattern = b""
    for token in reversed(tokens[run : run + _MOST_AFTER]):
        pattern = _pattern(token, is_stripped) + (rb"(?:\Z|%b)" % pattern if pattern else b"")
    joined = b"".join(_pattern(token, is_stripped) for token in tokens[:run])
    after = rb"(?:\Z|%b)" % pattern if pattern else rb"\Z"
    match = re.compile(rb"(%b)%b" % (joined, after), re.DOTALL).match(octets, position)
    return -1 if match is None else match.end(1)


def _pattern(token: Token, is_stripped: bool) -> bytes:
    """Return a pattern for the bytes of a token; each U+FFFD stands for one to three."""
    if token.known is not None:
        return rb"(?:%b)" % b"|".join(map(re.escape, _forms(token, is_stripped)))
    if token.text == UNKNOWN and token.logprob is None:  # a first token, whose text no server lists
        return rb".+?"
    parts = token.text.encode("utf-8", "surrogatepass").split(UNKNOWN.encode())
    return (b" ?" if is_stripped else b"") + rb"[\x80-\xff]{1,3}?".join(map(re.escape, parts))


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
