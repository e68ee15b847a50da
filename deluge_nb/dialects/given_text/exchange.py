"""Score a given text on any server but llama.cpp's: the rules that hold for all forms.

The settings are neutral (temperature 1, no penalties), so that a server that reports processed numbers reports the
model's own. A token has its number from its own place, never from the list of alternatives. What was generated after
the text is dropped. No numbers is an error, and not a score of 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any

from ...errors import MalformedResponseError, RequestError
from ...text.counts import pluralize
from ..base import Ask, Completion, Exchange, Request
from . import echo, sglang, tgi, vllm
from .boundary import Token, misspelt, move_trailing_spaces, straddling_note, take
from .reading import Reading, add_counts, build_table, end_of
from .windows import cut_note, windows_note

Form = Callable[[Ask, str, str], Generator[Request, bytes, Reading]]

FORMS: dict[str, Form] = {"echo": echo.read, "prompt_logprobs": vllm.read, "sglang": sglang.read, "tgi": tgi.read}
_TOO_LONG = re.compile(r"context|too long|longer than|maximum|max_(?:input|total|model)|exceed", re.IGNORECASE)
_TOO_LONG_STATUS = frozenset({400, 413, 422})
# Characters; a context holds more.
_LEAST_WINDOW = 16
# Characters in which white space is looked for.
_REACH = 50
FIRST_TOKEN = "the first token has no log-probability, because no token stands before it"


def exchange(ask: Ask) -> Exchange:
    """Return the log-probabilities of the given text of an ask.

    Raises
    ------
    MalformedResponseError
        When the server returns none, or those of other tokens.
    """
    form = FORMS[ask.endpoint.scoring or ""]
    before, text = ask.prompt.raw or "", ask.continuation or ""
    try:
        reading = yield from form(ask, before, text)
        rows = take(reading.tokens, reading.begin)
    except RequestError as error:
        if ask.prompt.raw is None or not _is_too_long(error):
            raise
        reading, rows = yield from _read_windows(ask, form, before, text)
    else:
        if rows and rows[0].begin < reading.begin and ask.prompt.raw is not None and form is vllm.read:
            reading = yield from _read_from_boundary(ask, reading, rows[0].begin, before, text)
            rows = take(reading.tokens, reading.begin)
    _check(ask, rows, reading)
    begin = min(rows[0].begin, reading.begin)
    reaches = reading.text.encode()[begin : reading.begin].decode("utf-8", "replace")
    table = build_table(ask, rows)
    is_first = begin == 0 and bool(table.censored[0])
    notes = [*reading.notes, straddling_note(len(reaches)), FIRST_TOKEN if is_first else None]
    withheld = int(table.censored.sum()) - is_first
    if withheld:
        notes.append(f"the server withheld the log-probability of {pluralize(withheld, 'token')}")
    if ask.ends:
        rows = [*rows, end_of(reading.generated)]
        table = build_table(ask, rows)
    return Completion(
        text,
        logprobs=table,
        finish_reason="stop" if ask.ends else "length",
        usage=reading.usage if isinstance(reading.usage, dict) else None,
        model=reading.model,
        raw={"tokens": [row.id for row in rows]},
        notes=tuple(note for note in notes if note is not None),
    )


def _read_from_boundary(
    ask: Ask, straddling: Reading, first: int, before: str, text: str
) -> Generator[Request, bytes, Reading]:
    """Return a reading whose first row does not hold the end of the prompt, but at most its trailing spaces."""
    prompt, spaced = move_trailing_spaces(before, text)
    if first >= len(prompt.encode()):
        return straddling
    reading = yield from vllm.read_from_boundary(ask, prompt, spaced)
    if reading is None:
        return straddling
    reading.begin = len(spaced.encode()) - len(text.encode())
    reading.usage = add_counts(straddling.usage, reading.usage)
    return reading


def _check(ask: Ask, rows: list[Token], reading: Reading) -> None:
    octets = reading.text.encode()
    if (
        not rows
        or rows[0].begin > reading.begin
        or b"".join(row.known or b"" for row in rows) != octets[rows[0].begin :]
    ):
        raise misspelt(ask.model, str(ask.endpoint.scoring))
    if len(rows) > 1 and all(row.logprob is None for row in rows):
        raise MalformedResponseError(
            f"{ask.model!r}: the server returned the tokens of the given text without their log-probabilities.",
            dialect=str(ask.endpoint.scoring),
            field="logprobs",
        )


def _is_too_long(error: RequestError) -> bool:
    return error.status_code in _TOO_LONG_STATUS and _TOO_LONG.search(f"{error} {error.body}") is not None


def _read_windows(
    ask: Ask, form: Form, before: str, text: str
) -> Generator[Request, bytes, tuple[Reading, list[Token]]]:
    """Read a text in overlapping windows of characters, which are halved until the server takes them."""
    whole = before + text
    size = len(whole)
    position, rows, contexts, starts = len(before), list[Token](), list[int](), list[int]()
    usage: Mapping[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    is_cut = False
    while True:
        # Of a prompt that is too long, as much as fits beside a short text.
        room = size // 2 if rows else max(size // 2, size - len(text) - _REACH)
        begin = _start(whole, starts, position - room, size // 4)
        end = _snap(whole, min(begin + size, len(whole)), position + 1)
        try:
            reading = yield from form(ask, whole[begin:position], whole[position:end])
        except RequestError as error:
            size //= 2
            if size < _LEAST_WINDOW or not _is_too_long(error):
                raise
            continue
        offset = len(whole[:begin].encode())
        for token in reading.tokens:
            token.begin, token.end = token.begin + offset, token.end + offset
        boundary = len(whole[:position].encode())
        is_cut = is_cut if rows else begin > 0
        if rows:
            # A token at the end of a window may be cut: go on from the last boundary that both windows have.
            ends = {token.end for token in rows}
            boundary = max((t.begin for t in reading.tokens if t.begin in ends and t.begin <= boundary), default=-1)
            if boundary < 0 or end <= position:
                raise MalformedResponseError(
                    f"{ask.model!r}: the text does not fit the context, and its overlapping windows have no boundary "
                    "of tokens in common; pass shorter texts.",
                    dialect=str(ask.endpoint.scoring),
                    field="logprobs",
                )
            rows = [token for token in rows if token.end <= boundary]
        contexts.append(sum(token.end <= boundary for token in reading.tokens))
        rows += take(reading.tokens, boundary)
        usage = add_counts(usage, reading.usage)
        ask.report((end - len(before)) / len(text))
        if end >= len(whole):
            break
        # The last token may be cut; windows that begin where a token does are cut into the same tokens.
        kept = [token for token in rows if token.end < rows[-1].end]
        rows = kept if kept and kept[-1].end > boundary else rows
        position = len(whole.encode()[: rows[-1].end].decode("utf-8", "ignore"))
        starts = [token.begin for token in reading.tokens]
    least = min(contexts[1:], default=0)
    if len(contexts) > 1:
        lengths = (pluralize(size, "character"), pluralize(size - size // 2, "character"), pluralize(least, "token"))
        reading.notes.append(windows_note(len(contexts), *lengths))
    if is_cut:
        reading.notes.append(cut_note(contexts[0]))
    reading.text, reading.begin, reading.usage = whole, len(before.encode()), usage
    return reading, rows


def _start(text: str, starts: list[int], place: int, reach: int) -> int:
    """Return the last place up to another where a token of the window before begins, else one before white space."""
    if place <= 0:
        return 0
    octets, last = text.encode(), len(text[:place].encode())
    first = len(text[: max(place - reach, 0)].encode())
    # Not inside a character.
    whole = [start for start in starts if first < start <= last and octets[start] & 0xC0 != 0x80]
    return len(octets[: max(whole)].decode()) if whole else _snap(text, place, 0)


def _snap(text: str, place: int, least: int) -> int:
    """Return a place before white space, where nearly every token begins; the place itself if none is near."""
    if place >= len(text):
        return len(text)
    for nearer in range(place, max(least, place - _REACH), -1):
        if text[nearer].isspace() and not text[nearer - 1].isspace():
            return nearer
    return max(place, least)
