"""Requests for several answers: each choice of a reply is read alone by the dialect, so that none costs another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ...dialects.base import Ask, Completion, Delta, Exchange, Request, StreamReader, advance
from ...dialects.reading.decode import decode
from ...dialects.reading.fitting import as_number
from ...errors import DelugeError, MalformedResponseError, RequestError

if TYPE_CHECKING:
    from ...dialects.base import Dialect

# Names of the list of answers in a reply.
_LISTS = ("choices", "candidates")
_MOST_CHOICES = 10_000
_Fields = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class FailedChoice(Completion):
    """Choice that failed beside others that did not, with what could be read of it."""

    error: DelugeError | None = None


def exchange_several(dialect: Dialect, ask: Ask, count: int) -> Exchange:
    """Process an ask for several answers; the further ones are in ``others`` of the first.

    Parameters
    ----------
    dialect
        The server's dialect, which reads one choice at a time.
    ask
        The request.
    count
        Number of answers that are requested.

    Raises
    ------
    DelugeError
        When no choice can be read.
    """
    exchange = dialect.exchange(ask)
    request = next(exchange)
    while True:
        bodies = split_choices((yield _for_several(request, ask, count)), ask.endpoint.dialect)
        first = _advance(exchange, bodies[0])
        others = [_read_alone(dialect, ask, body) for body in bodies[1:]]
        if isinstance(first, Completion):
            break
        if not any(isinstance(other, Completion) and not isinstance(other, FailedChoice) for other in others):
            if isinstance(first, DelugeError):
                raise first
            request = first  # another attempt
            continue
        failed = _failed(first if isinstance(first, DelugeError) else getattr(first, "failure", None), ask)
        first = replace(failed, usage=next((other.usage for other in others if other.usage), None))
        break
    notes = first.notes
    if len(bodies) != count:
        notes = (*notes, f"{count} answers were asked for, and {len(bodies)} came")
    # The counts are those of the whole request.
    return replace(first, notes=notes, others=tuple(replace(other, usage=None) for other in others))


def split_choices(body: bytes, dialect: str) -> list[bytes]:
    """Return a reply as one reply for each of its choices, in order of their index.

    A body that is no list of choices is returned unchanged, for the dialect to say what is wrong with it.
    """
    fields, name, choices = _read_list(body, dialect)
    if len(choices) < 2:
        return [body]
    ranked = sorted(zip(_indices(choices, dialect), choices, strict=True), key=lambda pair: pair[0])
    return [msgspec.json.encode({**fields, name: [choice]}) for _, choice in ranked]


class ChoicesReader(StreamReader):
    """Parser of a stream with several answers: those to listen to are of the first, and all are in the body.

    Parameters
    ----------
    ask
        The request.
    count
        Number of answers that are requested.
    make_reader
        Function that returns the dialect's reader of one answer.
    """

    # The number of tokens follows the finish reasons.
    final = False

    def __init__(self, ask: Ask, count: int, make_reader: Callable[[], StreamReader]) -> None:
        super().__init__(ask)
        self._count, self._make_reader = count, make_reader
        self._readers: dict[int, StreamReader] = {0: make_reader()}
        self._failed: dict[int, dict[str, Any]] = {}

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of each answer."""
        readers = self._readers.items()
        done = all(index in self._failed or reader.complete for index, reader in readers)
        return done and len(readers) >= self._count

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed, with all choices."""
        whole: dict[str, Any] = {}
        name, answers = _LISTS[0], list[dict[str, Any]]()
        for index, reader in sorted(self._readers.items()):
            fields, name, choices = _read_list(reader.body(), self.ask.endpoint.dialect)
            whole = whole or dict(fields)
            if choices:
                choice = msgspec.json.decode(choices[0], type=_Fields)
                failed = {"error": self._failed[index]} if index in self._failed else {}
                answers.append({**choice, "index": index, **failed})
        return msgspec.json.encode({**whole, name: answers})

    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one event to the first answer."""
        fields, name, choices = _read_list(event, self.ask.endpoint.dialect)
        if not choices:  # the usage, a failure, or what the dialect does not know either
            return [
                delta
                for index, reader in list(self._readers.items())
                for delta in list(reader.read(event))
                if index == 0
            ]
        deltas: list[Delta] = []
        for index, choice in zip(_indices(choices, self.ask.endpoint.dialect), choices, strict=True):
            if bytes(choice)[:1] == b"{":
                part = {**msgspec.json.decode(choice, type=_Fields), "index": 0}
                added = self._read_choice(index, {**fields, name: [part]})
                deltas += added if index == 0 else []
        return deltas

    def _read_choice(self, index: int, event: dict[str, Any]) -> list[Delta]:
        if index in self._failed:
            return []
        if index not in self._readers:
            self._readers[index] = self._make_reader()
        deltas: list[Delta] = []
        try:
            deltas.extend(self._readers[index].read(msgspec.json.encode(event)))
        except DelugeError as error:  # after the tokens that came with it
            message = str(error).removeprefix(f"{self.ask.model!r}: ")
            self._failed[index] = {"message": message, "code": getattr(error, "status_code", None)}
        return deltas


def _for_several(request: Request, ask: Ask, count: int) -> Request:
    make_reader = request.make_reader
    if make_reader is None:
        return request

    def make() -> StreamReader:
        return ChoicesReader(ask, count, make_reader)

    return replace(request, reader=None if request.reader is None else make(), make_reader=make)


def _advance(exchange: Exchange, body: bytes) -> Completion | DelugeError | Request:
    """Return what a dialect makes of a body: a completion, a failure, or another request."""
    try:
        return advance(exchange, body)
    except DelugeError as error:
        return error


def _read_alone(dialect: Dialect, ask: Ask, body: bytes) -> Completion:
    exchange = dialect.exchange(ask)
    next(exchange)
    result = _advance(exchange, body)
    if isinstance(result, Completion):
        return result
    exchange.close()
    return _failed(result if isinstance(result, DelugeError) else getattr(result, "failure", None), ask)


def _failed(error: DelugeError | None, ask: Ask) -> FailedChoice:
    error = error or RequestError(f"{ask.model!r} reported that this choice failed.", model=ask.model)
    read = getattr(error, "completion", None)
    fields: dict[str, Any] = {"text": None}
    if isinstance(read, Completion):
        fields = {name: getattr(read, name) for name in Completion.__dataclass_fields__}
    # A word for a failure, so that the answer is not cached.
    fields["finish_reason"] = fields.get("finish_reason") or "error"
    return FailedChoice(**fields, error=error)


def _read_list(body: bytes, dialect: str) -> tuple[_Fields, str, list[msgspec.Raw]]:
    """Return the fields of a reply or an event, and the name and the JSON of its choices, if it has any."""
    try:
        fields = decode(body, _Fields, dialect)
    except MalformedResponseError:
        return {}, _LISTS[0], []
    name = next((name for name in _LISTS if name in fields), _LISTS[0])
    try:
        choices = msgspec.json.decode(fields.get(name, b"[]"), type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return fields, name, []
    return fields, name, choices


def _indices(choices: Iterable[msgspec.Raw], dialect: str) -> list[int]:
    """Return the index of each choice; one that names none, or none that it can have, gets the lowest that is free."""
    named = [_named_index(bytes(choice), dialect) for choice in choices]
    free = (index for index in itertools.count() if index not in named)
    return [next(free) if index is None else index for index in named]


def _named_index(choice: bytes, dialect: str) -> int | None:
    try:
        value: Any = decode(choice, dict[str, Any], dialect).get("index")
    except MalformedResponseError:
        return None
    number = as_number(value)
    return int(number) if number is not None and 0 <= number < _MOST_CHOICES and number == int(number) else None
