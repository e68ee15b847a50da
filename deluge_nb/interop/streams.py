"""Read the chunks of a stream in a list, and the text of a reply, as other libraries and servers give them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import LogprobsMissingError
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
