"""Requests for several answers: each choice of a reply is read alone by the dialect, so that none costs another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ...dialects.base import Ask, Completion, Delta, Exchange, Request, StreamReader
from ...errors import DelugeError, RequestError

if TYPE_CHECKING:
    from ...dialects.base import Dialect

# Names of the list of answers in a reply.
_LISTS = ("choices", "candidates")
_Fields = dict[str, msgspec.Raw]
_NULL = msgspec.Raw(b"null")


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
    if request.reader is not None and request.make_reader is None:  # its tokens cannot be told from those of others
        ask = replace(ask, stream=False)
        exchange = dialect.exchange(ask)
        request = next(exchange)
    while True:
        bodies = split_choices((yield _for_several(request, ask, count)))
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


def split_choices(body: bytes) -> list[bytes]:
    """Return a reply as one reply for each of its choices, in order of their index.

    A body that is no list of choices is returned unchanged, for the dialect to say what is wrong with it.
    """
    try:
        fields = msgspec.json.decode(body, type=_Fields)
        name = next(name for name in _LISTS if name in fields)
        choices = msgspec.json.decode(fields[name], type=list[msgspec.Raw])
    except (msgspec.DecodeError, StopIteration, UnicodeDecodeError, RecursionError):
        return [body]
    if len(choices) < 2:
        return [body]
    ranked = sorted(enumerate(choices), key=lambda pair: (_index_of(pair[1], pair[0]), pair[0]))
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
        self._failed: set[int] = set()

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of each answer."""
        readers = self._readers.items()
        done = all(index in self._failed or reader.complete for index, reader in readers)
        return done and len(readers) >= self._count

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed, with all choices."""
        whole: dict[str, Any] = {}
        choices: list[dict[str, Any]] = []
        for index, reader in sorted(self._readers.items()):
            fields = msgspec.json.decode(reader.body(), type=_Fields)
            whole = whole or dict(fields)
            (choice,) = msgspec.json.decode(fields["choices"], type=list[dict[str, msgspec.Raw]])
            failure = {"finish_reason": "error"} if index in self._failed else {}
            choices.append({**choice, "index": index, **failure})
        return msgspec.json.encode({**whole, "choices": choices})

    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one event to the first answer."""
        fields: _Fields = {}
        choices: list[_Fields] = []
        try:
            fields = msgspec.json.decode(event, type=_Fields)
            choices = msgspec.json.decode(fields.get("choices", _NULL), type=list[_Fields])
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        if not choices:  # the usage, a failure, or what the dialect does not know either
            return [
                delta
                for index, reader in list(self._readers.items())
                for delta in list(reader.read(event))
                if index == 0
            ]
        deltas: list[Delta] = []
        for choice in choices:
            index = _index_of(choice, 0)
            part = {**choice, "index": msgspec.Raw(b"0")}
            added = self._read_choice(index, msgspec.json.encode({**fields, "choices": [part]}))
            deltas += added if index == 0 else []
        return deltas

    def _read_choice(self, index: int, event: bytes) -> list[Delta]:
        if index in self._failed:
            return []
        if index not in self._readers:
            self._readers[index] = self._make_reader()
        try:
            return list(self._readers[index].read(event))
        except DelugeError:
            self._failed.add(index)
            return []


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
        return exchange.send(body)
    except StopIteration as end:
        return end.value
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


def _index_of(choice: msgspec.Raw | _Fields, position: int) -> int:
    """Return the index that a choice names, else its position."""
    try:
        fields = msgspec.json.decode(choice, type=_Fields) if isinstance(choice, msgspec.Raw) else choice
        index = msgspec.json.decode(fields["index"], type=int)
    except (msgspec.DecodeError, KeyError):
        return position
    return index
