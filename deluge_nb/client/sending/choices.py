"""Requests for several answers: each choice of a reply is read alone by the dialect, so that none costs another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ...dialects.base import Ask, Completion, Delta, Exchange, Request, StreamReader, advance
from ...dialects.reading.answer import BrokenAnswer, PartialAnswer
from ...dialects.reading.decode import decode
from ...dialects.reading.fitting import as_number
from ...errors import DelugeError, MalformedResponseError, RequestError

if TYPE_CHECKING:
    from ...dialects.base import Dialect

# Names of the list of answers in a reply.
_LISTS = ("choices", "candidates")
_COUNTS = ("usage", "usageMetadata")
_MOST_CHOICES = 10_000
_MIXED = (
    "the server did not say which of {count} answers each piece of its stream belongs to (index is missing), so this "
    "text may mix several; ask with n=1, several times"
)
# Fields of a choice that have its text, and what in them is none.
_TEXTS = ("delta", "message", "content", "text")
_ENDS = ("finish_reason", "finishReason")
_LABELS = frozenset({"role", "type", "index", "id"})
_Fields = dict[str, msgspec.Raw]
# One with a list of choices.
_Event = dict[str, Any]


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
        try:
            body = yield _for_several(request, ask, count)
        except (RequestError, PartialAnswer) as error:
            body = getattr(error, "part", b"")
            if not _has_whole_choice(body, ask.endpoint.dialect):
                following = advance(exchange, error)
                if isinstance(following, Completion):
                    return following
                request = following  # another attempt
                continue
        bodies = split_choices(body, ask.endpoint.dialect)
        first = _advance(exchange, bodies[0])
        others = [_read_alone(dialect, ask, body) for body in bodies[1:]]
        if isinstance(first, Completion):
            break
        if not any(isinstance(other, Completion) and not isinstance(other, FailedChoice) for other in others):
            others = [replace(other, usage=None) for other in others]
            if isinstance(first, DelugeError):
                raise _with_others(first, others)
            if first.failure is not None:
                _with_others(first.failure, others)
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

    A choice without an index belongs to an answer by its position in the chunk, among those that have not ended. Chunks
    with a single choice and no index do that only if there is one answer: their text is held back until that is
    certain, and fails if it never is. So is text of the choice 0 until another one has come, because some servers name
    every choice so. The tokens of two answers are never one answer.

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
        self._named: dict[int, _Answer] = {}
        self._unnamed: list[_Answer] = []
        self._held: list[Delta] = []
        self._held_first: list[Delta] = []
        self._broken: dict[str, Any] | None = None
        self._has_counts = False
        # Reads what comes before the first choice, and without any.
        self._empty = make_reader()

    @property
    def complete(self) -> bool:
        """True if the server has reported the end of each answer."""
        answers = self._answers()
        is_mixed = any(answer.is_mixed for answer in answers.values())
        done = all(answer.has_ended for answer in answers.values())
        return done and bool(answers) and (is_mixed or len(answers) >= self._count)

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed, with all choices."""
        return self._body(is_heard=True)

    def break_off(self, error: DelugeError) -> bytes:
        """Record the error that ended the stream, which is that of each answer without an end; return the body."""
        self._broken = _as_object(error, self.ask)
        return self._body(is_heard=False)

    @property
    def is_cut_off(self) -> bool:
        """True if the first answer has no end."""
        first = self._answers().get(0)
        return first is None or not first.has_ended

    def _body(self, *, is_heard: bool) -> bytes:
        """Return the body; the first answer has no error of the stream if a listener has got that."""
        answers = self._answers()
        # At its end, a stream without any index has one answer for each end.
        is_certain = self._is_certain() or (not self._named and all(answer.has_ended for answer in self._unnamed))
        whole: dict[str, Any] = {}
        name, choices = _LISTS[0], list[dict[str, Any]]()
        for index, answer in sorted(answers.items()) or [(0, _Answer(self._empty))]:
            fields, name, read = _read_list(answer.reader.body(), self.ask.endpoint.dialect)
            whole = whole or dict(fields)
            error, is_mixed = answer.error, answer.is_mixed or (answer in self._unnamed and not is_certain)
            if not answer.has_ended and not (is_heard and index == 0):
                error = self._broken
            for choice in read[:1]:
                kept = msgspec.json.decode(choice, type=_Fields)
                if is_mixed:  # rows of several answers are the table of none
                    kept = {field: value for field, value in kept.items() if not field.startswith("logprobs")}
                    error = error or {"message": _MIXED.format(count=self._count)}
                choices.append({**kept, "index": index, **({"error": error} if error else {})})
        return msgspec.json.encode({**whole, name: choices})

    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one event to the first answer."""
        dialect = self.ask.endpoint.dialect
        fields, name, choices = _read_list(event, dialect)
        if not choices:  # the usage, a failure, or what the dialect does not know either
            answers = self._answers() or {0: _Answer(self._empty)}
            added = [(index, list(answer.reader.read(event))) for index, answer in answers.items()]
            return [delta for index, deltas in added for delta in deltas if index == 0]
        indices = [_named_index(bytes(choice), dialect) for choice in choices]
        if len(set(indices)) < len(indices) - indices.count(None) + (None in indices):
            indices = [None] * len(indices)  # each has the same one, which names none
        deltas: list[Delta] = []
        unnamed: list[_Event] = []
        # Some servers repeat the end of an answer with the number of tokens, which comes once.
        counts = any(bytes(fields.get(field, b"null")) != b"null" for field in _COUNTS)
        may_end_again, self._has_counts = counts and not self._has_counts, self._has_counts or counts
        for index, choice in zip(indices, choices, strict=True):
            part = msgspec.json.decode(choice, type=_Fields) if bytes(choice)[:1] == b"{" else {}
            one: _Event = {**fields, name: [{**part, "index": 0}]} if part else {}
            if index is None:
                unnamed.append(one)
                continue
            answer = self._named.setdefault(index, _Answer(self._make_reader()))
            # Some servers name every answer 0.
            is_sure = len(self._answers()) >= self._count
            added = answer.read(one, may_go_on=is_sure, may_end_again=is_sure or may_end_again)
            self._held_first += added if index == 0 else []
        if any(map(_says_something, unnamed)):
            self._held += self._read_unnamed(unnamed)
        if any(self._named):
            deltas, self._held_first = self._held_first, list[Delta]()
        if self._held and self._is_certain() and 0 not in self._named:
            deltas, self._held = [*self._held, *deltas], list[Delta]()
        return deltas

    def _read_unnamed(self, choices: list[_Event]) -> list[Delta]:
        """Read the choices of a chunk that have no index; return the additions to the first of their answers."""
        if not self._unnamed:
            self._unnamed = [_Answer(self._make_reader()) for _ in choices]
        going_on = [answer for answer in self._unnamed if not answer.has_ended]
        answers = self._unnamed if len(choices) == len(self._unnamed) else going_on
        if len(choices) != len(answers):
            for answer in self._unnamed:
                answer.is_mixed = True
            answers = answers or self._unnamed
            answers = [*answers, *itertools.repeat(answers[-1], max(0, len(choices) - len(answers)))]
        deltas: list[Delta] = []
        for answer, choice in zip(answers, choices, strict=False):
            added = answer.read(choice)
            deltas += added if answer is self._unnamed[0] else []
        return deltas

    def _answers(self) -> dict[int, _Answer]:
        """Return the answers by their index; those without one get the lowest that are free."""
        if not self._unnamed:
            return self._named
        free = (index for index in itertools.count() if index not in self._named)
        return {**self._named, **dict(zip(free, self._unnamed, strict=False))}

    def _is_certain(self) -> bool:
        """Return True if it is known, before the end, which answers the choices without an index belong to."""
        if any(answer.is_mixed for answer in self._unnamed):
            return False
        if self._named:  # some servers leave out an index of 0
            return not self._unnamed or (len(self._unnamed) == 1 and 0 not in self._named)
        return len(self._unnamed) >= self._count


class _Answer:
    """One answer of a stream with several.

    Parameters
    ----------
    reader
        The dialect's reader.
    """

    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self.error: dict[str, Any] | None = None
        self.is_mixed = False
        """True if parts of another answer are among those that were read."""

    @property
    def has_ended(self) -> bool:
        """True if the answer has failed, or the server has reported its end."""
        return self.error is not None or self.reader.complete

    def read(self, event: _Event, *, may_go_on: bool = False, may_end_again: bool = False) -> list[Delta]:
        """Return the additions of an event with one choice.

        Text after the end, and a second end, belong to another answer, unless they may come.
        """
        if self.error is not None or not event:
            return []
        had_ended, deltas = self.reader.complete, list[Delta]()
        try:
            deltas.extend(self.reader.read(msgspec.json.encode(event)))
        except DelugeError as error:  # after the tokens that came with it
            self.error = _as_object(error, self.reader.ask)
        goes_on = not may_go_on and any(delta.text for delta in deltas)
        if had_ended and (goes_on or (not may_end_again and _has_end(event))):
            self.is_mixed = True
        return deltas


def _as_object(error: DelugeError, ask: Ask) -> dict[str, Any]:
    """Return an error as servers write it, without the name of the model, which is added when it is read."""
    message = str(error).removeprefix(f"{ask.model!r}").removeprefix(":").strip()
    message = message.removeprefix(f"at {ask.endpoint.label}").strip()
    return {"message": message, "code": getattr(error, "status_code", None)}


def _has_whole_choice(body: bytes, dialect: str) -> bool:
    choices = (msgspec.json.decode(choice) for choice in _read_list(body, dialect)[2])
    return any(_has_end({"choices": [choice]}) and not choice.get("error") for choice in choices)


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


def _with_others(error: DelugeError, others: Sequence[Completion]) -> DelugeError:
    """Return the failure of the first choice with what could be read of the others, which failed as well."""
    if not any(other.text or other.thinking or other.tool_calls for other in others):
        return error
    if isinstance(error, MalformedResponseError) and not isinstance(error, PartialAnswer):
        error = BrokenAnswer.of(error)
    if isinstance(error, PartialAnswer):
        error.completion = replace(error.completion or Completion(None), others=tuple(others))
    return error


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


def _says_something(event: _Event) -> bool:
    """Return True if the choice of an event has text, or is the end of an answer."""
    return _has_end(event) or any(_has_text(choice.get(name)) for choice in _choices(event) for name in _TEXTS)


def _has_end(event: _Event) -> bool:
    return any(choice.get(name) for choice in _choices(event) for name in _ENDS)


def _choices(event: _Event) -> list[dict[str, Any]]:
    return [msgspec.json.decode(msgspec.json.encode(choice)) for name in _LISTS for choice in event.get(name, ())]


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_text(item) for name, item in value.items() if name not in _LABELS)
    return any(map(_has_text, value)) if isinstance(value, list) else bool(value) and isinstance(value, str)


def _named_index(choice: bytes, dialect: str) -> int | None:
    try:
        value: Any = decode(choice, dict[str, Any], dialect).get("index")
    except MalformedResponseError:
        return None
    number = as_number(value)
    return int(number) if number is not None and 0 <= number < _MOST_CHOICES and number == int(number) else None
