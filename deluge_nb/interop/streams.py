"""Read the chunks of a stream in a list, and the text of a reply, as other libraries and servers give them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import LogprobsMissingError, SettingError
from ..logprobs.table import Logprobs
from .entries import as_sequence, get_field, has_field

_Read = Callable[[Any], Logprobs]
_DONE = "[DONE]"
# The fields of an event stream that say nothing of the answer, and comments.
_NO_DATA = ("event:", "id:", "retry:", ":")


def parse_reply(text: str | bytes | bytearray) -> dict[str, Any] | list[Any] | None:
    """Return the value of a JSON text; that of an event stream, or of one value a line, is the list of its values.

    None for a text that is neither an object nor a list of values.
    """
    try:
        value = _parse(text if isinstance(text, str) else text.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        lines = [line.strip() for line in text.splitlines()]
        data = [line.removeprefix("data:").strip() for line in lines if line and not line.startswith(_NO_DATA)]
        values = [json.loads(line) for line in data if line and line != _DONE]
        if not values:
            raise
        return values


def read_stream(chunks: Sequence[Any], read: _Read) -> Logprobs | None:
    """Return the table of a stream's chunks in a list; None if the list is no stream.

    Parameters
    ----------
    chunks
        Events of OpenAI's Responses API, or chunks that each have the form of a whole response: of which only the last
        ones say that the answer has ended.
    read
        Function that reads a whole response.

    Raises
    ------
    LogprobsMissingError
        When no chunk has log-probabilities.
    """
    if any(str(get_field(chunk, "type") or "").startswith("response.") for chunk in chunks):
        return _read_events(chunks, read)
    ends = [_is_ended(chunk) for chunk in chunks]
    if ends[0] or ends.count(True) != 1:
        return None
    tables: list[Logprobs] = []
    missing: LogprobsMissingError | None = None
    for chunk in chunks:
        try:
            tables.append(read(chunk))
        except LogprobsMissingError as error:
            missing = missing or error
    if not tables and missing is not None:
        raise missing
    return Logprobs.from_entries(entry for table in tables for entry in table)


def number_choices(chunks: Sequence[Any]) -> list[tuple[int, Any]]:
    """Return the choices of OpenAI's chunks, each with the index of its answer.

    Choices without an index are numbered by their position in the chunk, among the answers that have not ended.

    Raises
    ------
    SettingError
        When the tokens of several answers cannot be separated.
    """
    numbered: list[tuple[int, Any]] = []
    ended: set[int] = set()
    going_on: list[int] = []
    is_mixed = False
    for chunk in chunks:
        choices = [choice for choice in as_sequence(get_field(chunk, "choices")) if _says_something(choice)]
        indices = [get_field(choice, "index") for choice in choices]
        if len(set(indices)) < len(indices):
            indices = [None] * len(indices)
        count = indices.count(None)
        going_on = going_on or list(range(count))
        places = going_on if len(going_on) == count else [place for place in going_on if place not in ended]
        is_mixed |= 0 < count != len(places)
        free = iter(places)
        for index, choice in zip(indices, choices, strict=True):
            number = next(free, 0) if index is None else index
            # Some servers repeat the end of an answer with the number of its tokens.
            is_mixed |= number in ended and not (get_field(chunk, "usage") and not get_field(choice, "logprobs"))
            ended |= {number} if get_field(choice, "finish_reason") else set()
            numbered.append((number, choice))
    if is_mixed and len({number for number, _ in numbered}) <= max(1, len(going_on)):
        raise SettingError(
            "The chunks are of several answers, and do not say which of them each belongs to (index is missing); ask "
            "with n=1, several times.",
            setting="response",
            value=chunks,
        )
    return numbered


def _says_something(choice: Any) -> bool:
    """Return whether the choice of a chunk has text or tokens, or is the end of an answer."""
    content = get_field(get_field(choice, "delta"), "content")
    return bool(content or get_field(choice, "logprobs") or get_field(choice, "finish_reason"))


def _read_events(events: Sequence[Any], read: _Read) -> Logprobs:
    """Read the whole response of the last event, whose tokens have bytes, or else the tokens of the events."""
    whole = get_field(events[-1], "response")
    if as_sequence(get_field(whole, "output")):
        return read(whole)
    deltas = [event for event in events if get_field(event, "type") == "response.output_text.delta"]
    entries = [entry for event in deltas for entry in as_sequence(get_field(event, "logprobs"))]
    return read({"object": "response", "output": [{"content": [{"logprobs": entries}]}]})


def _is_ended(chunk: Any) -> bool:
    """Return whether a chunk says that the answer has ended."""
    answers = [*as_sequence(get_field(chunk, "choices")), *as_sequence(get_field(chunk, "candidates"))]
    answers += [part for name in ("response_metadata", "generation_info") if (part := get_field(chunk, name))]
    if any(get_field(answer, "finish_reason", "finishReason", "done_reason") for answer in answers):
        return True
    # Ollama's chunks, and those of llama.cpp's own API.
    is_llamacpp = has_field(chunk, "completion_probabilities") or has_field(chunk, "stop_type")
    return get_field(chunk, "done") is True or (is_llamacpp and get_field(chunk, "stop") is True)
