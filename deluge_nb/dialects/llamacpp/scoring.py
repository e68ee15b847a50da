"""Log-probabilities of a given text from llama.cpp's server: a grammar of token ids forces the server to generate it.

The server's own numbers do not depend on what the grammar allows. A text that does not fit the context is read in
overlapping windows.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import msgspec

from ..base import Ask, Completion, Exchange, Request
from ..given_text.boundary import move_trailing_spaces, straddling_note
from ..given_text.windows import token_windows, window_note
from ..reading.decode import decode
from .replies import NAME, Entry, Row
from .rows import FORCING_BIAS, Piece, RowRequests, build_table, reply_reader, tokenize, width_of

# First characters of the special tokens of all chat formats.
_SPECIAL_FIRST_CHARACTERS = frozenset("<[")
# Tokens that models saw between two texts in training; the likelihood of a whole text is that after such a token.
_SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>")
_EMPTY = '""'
# Tokens; a context has at least so many, so that shorter texts need not ask for its length.
_LEAST_CONTEXT = 64
# Tokens of one grammar: the server parses it anew for each request, and a reply has all alternatives of all tokens.
_MOST_FORCED = 512


class _Settings(msgspec.Struct):
    n_ctx: int = 0


class _Properties(msgspec.Struct):
    bos_token: str = ""
    eos_token: str = ""
    default_generation_settings: _Settings = msgspec.field(default_factory=_Settings)


def score(ask: Ask, prompt: str, continuation: str) -> Exchange:
    """Return the log-probabilities of a text after a prompt.

    Parameters
    ----------
    ask
        The request.
    prompt
        The prompt with its chat template.
    continuation
        The text.
    """
    given = continuation
    if ask.prompt.raw is not None and continuation:
        prompt, continuation = move_trailing_spaces(prompt, continuation)
    before = yield from tokenize(prompt)
    start = [piece.id for piece in before]
    both = yield from tokenize(prompt + continuation)
    if [piece.id for piece in both[: len(before)]] == start:
        pieces = both[len(before) :]
    else:  # the boundary falls inside a token of the joined text
        pieces = yield from tokenize(continuation, special=False)
    start = start or (yield from _start_of_text())
    special = yield from _special_tokens(continuation)
    size = len(start) + len(pieces) + ask.ends
    context = size
    if size > _LEAST_CONTEXT:
        properties = decode((yield Request("/props", method="GET")), _Properties, NAME)
        context = properties.default_generation_settings.n_ctx or size
    lead = [piece.id for piece in (yield from tokenize(""))] if size > context else []
    scored: list[Row] = []
    windows = list(token_windows(lead, start, [piece.id for piece in pieces], context - ask.ends))
    for known, ids in windows:
        part = pieces[len(scored) : len(scored) + len(ids)]
        scored += yield from _score_window(ask, known, part, special, (len(scored), len(pieces)))
    if ask.ends:
        last, ids = windows[-1]
        scored += yield from _score_end(ask, [*last, *ids])
    count = {"prompt_tokens": len(start), "completion_tokens": len(pieces)}
    notes = (straddling_note(len(continuation) - len(given)), window_note(windows, len(start), context))
    return Completion(
        continuation,
        logprobs=build_table(ask, scored),
        finish_reason="stop" if ask.ends else "length",
        usage={**count, "total_tokens": sum(count.values())},
        raw={"tokens": [row.id for row in scored]},
        notes=tuple(note for note in notes if note is not None),
    )


def _score_window(
    ask: Ask, start: Sequence[int], pieces: Sequence[Piece], special: frozenset[int], progress: tuple[int, int]
) -> Generator[Request, bytes, list[Row]]:
    """Return the rows of tokens after others; a grammar cannot force parts of characters or special tokens."""
    scored: list[Row] = []
    done, total = progress
    ids = [piece.id for piece in pieces]
    requests = RowRequests(list(start), ids, read=reply_reader(ask), whole_vocabulary=ask.params.full_vocab)
    for part, forced in _runs(pieces, special):
        before = [*start, *ids[: len(scored)]]
        wanted = [piece.id for piece in part]
        entries = (yield from _force(ask, before, wanted)) if forced else []
        if [entry.id for entry in entries] == wanted:
            scored += [
                Row(entry.id, piece.octets, entry.logprob, entry.top_logprobs)
                for entry, piece in zip(entries, part, strict=True)
            ]
            ask.report((done + len(scored)) / total)
            continue
        for piece in part:
            row = yield from requests.row(len(scored))
            # Not the row's bytes: the alternatives have none for the token that ends a turn.
            scored.append(Row(row.id, piece.octets, row.logprob, row.top))
            ask.report((done + len(scored)) / total)
    return scored


def _runs(pieces: Sequence[Piece], special: frozenset[int]) -> Iterator[tuple[list[Piece], bool]]:
    """Yield tokens end to end, with True for those that one grammar can force."""

    def fits(piece: Piece) -> bool:
        # The server's grammars end at a character U+0000.
        return isinstance(piece.piece, str) and piece.id not in special and "\0" not in piece.piece

    for forced, run in itertools.groupby(pieces, fits):
        tokens = list(run)
        for begin in range(0, len(tokens), _MOST_FORCED):
            yield tokens[begin : begin + _MOST_FORCED], forced


def _force(ask: Ask, start: list[int], ids: list[int]) -> Generator[Request, bytes, list[Entry]]:
    """Return the entries of tokens that a grammar forces."""
    return (yield from _generate(ask, start, " ".join(f"<[{token}]>" for token in ids), len(ids)))


def _score_end(ask: Ask, start: list[int]) -> Generator[Request, bytes, list[Row]]:
    """Return the row of the token that ends a turn, or of raw text of the likeliest token that ends any text.

    The server draws such a token where a grammar is complete. A whole vocabulary has that token in the row of any
    other: there the server need not compare the grammar with each token, which takes longer than short prompts do.
    """
    if ask.params.full_vocab:
        top = yield from RowRequests(start, [], read=reply_reader(ask)).next()
        return [Row(other.id, bytes(other.bytes), other.logprob, top) for other in top[:1]]
    end = yield from _end_of_turn(ask)
    bias = {"logit_bias": [[token, FORCING_BIAS] for token in end]} if end else {}
    entries = yield from _generate(ask, start, _EMPTY, 1, **bias)
    return [Row(entry.id, b"", entry.logprob, entry.top_logprobs) for entry in entries[:1]]


def _generate(
    ask: Ask, start: list[int], grammar: str, count: int, **fields: Any
) -> Generator[Request, bytes, list[Entry]]:
    body: dict[str, Any] = {
        "prompt": start,
        "grammar": f"root ::= {grammar}",
        "n_predict": count,
        "n_probs": width_of(ask.params),
        "samplers": ["temperature"],
        "temperature": 0,
        "return_tokens": True,
        "cache_prompt": True,
        **fields,
    }
    return reply_reader(ask)((yield Request("/completion", body))).completion_probabilities


def _end_of_turn(ask: Ask) -> Generator[Request, bytes, list[int]]:
    """Return the token that ends a turn of a chat; none for raw text, which any token that ends a text may end."""
    if ask.prompt.raw is not None:
        return []
    properties = decode((yield Request("/props", method="GET")), _Properties, NAME)
    return [piece.id for piece in (yield from tokenize(properties.eos_token))][-1:]


def _start_of_text() -> Generator[Request, bytes, list[int]]:
    """Return the token that stands before the first one of a text, for tokenizers that put none there."""
    for name in _SEPARATORS:
        pieces = yield from tokenize(name)
        if len(pieces) == 1:
            return [piece.id for piece in pieces]
    properties = decode((yield Request("/props", method="GET")), _Properties, NAME)
    return [piece.id for piece in (yield from tokenize(properties.bos_token or properties.eos_token))][-1:]


def _special_tokens(text: str) -> Generator[Request, bytes, frozenset[int]]:
    """Return the special tokens of a text."""
    if not _SPECIAL_FIRST_CHARACTERS & set(text):
        return frozenset()
    special = {piece.id for piece in (yield from tokenize(text))}
    return frozenset(special - {piece.id for piece in (yield from tokenize(text, special=False))})
