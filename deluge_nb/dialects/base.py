"""The types that all dialects share: the request of a user, HTTP requests, replies and their streams.

A dialect turns an :class:`Ask` into requests, and replies into a :class:`Completion`. Most dialects need one request
and consist of two functions, ``build_request`` and ``parse_response``. Some servers need several requests, each of
which depends on the previous reply. The transport therefore drives a generator, :data:`Exchange`, that yields requests
and receives the bytes of the replies. A request for a streamed reply has a :class:`StreamReader`, which returns the
additions of each event, and finally the body that the server would have sent without streaming.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import DelugeError, MalformedResponseError, RequestError
from ..models.spec import Endpoint
from ..prompts import Prompt
from ..sampling import SamplingParams
from .reading.alternatives import wants_none, without_alternatives
from .reading.answer import BrokenAnswer, Completion, PartialAnswer, reported_failure
from .reading.decode import ServerError, parse_error
from .reading.faults import Faults
from .reading.framing.documents import DONE, elements
from .reading.framing.events import DetectedFraming, is_empty_value, split_lines
from .reading.framing.halves import Halves
from .reading.thinking.delta import Delta
from .reading.thinking.deltas import DeltaSorter

if TYPE_CHECKING:
    from ..logprobs.columns import Vocabulary
    from ..tools import OutputSchema, Tool


@dataclass(frozen=True, slots=True)
class Ask:
    """Everything that a request can depend on.

    ``params`` includes the model's defaults and requirements. With ``continuation``, the request is for the
    log-probabilities of this text after the prompt, in place of new text, and with ``ends`` also that of the token that
    ends the turn after it; only endpoints with a form of ``scoring`` get such requests.
    """

    model: str
    endpoint: Endpoint
    prompt: Prompt
    params: SamplingParams
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    output_schema: OutputSchema | None = None
    continuation: str | None = None
    ends: bool = False
    vocab_size: int | None = None
    vocabulary: Vocabulary | None = field(default=None, compare=False)
    """Vocabulary that new tokens are added to; the answers of one call share it."""
    stream: bool = False
    """True to stream the answer, if the server can."""
    left_out: frozenset[str] = frozenset()
    """Fields that the server has refused; they are left out of requests where the user did not set them."""
    renamed: frozenset[str] = frozenset()
    """Fields that the server knows by another name only."""
    report: Callable[[float], object] = field(default=lambda share: None, compare=False)
    """Receives the share of a given text that has been read, from 0 to 1."""


class StreamReader(ABC):
    """Parser of a streamed reply, which assembles the body that the server would have sent without streaming.

    A dialect implements :meth:`read`, :attr:`complete` and :meth:`body`.

    Parameters
    ----------
    ask
        The request.
    lines
        True if the dialect streams JSON lines, False for server-sent events. What arrives is read for what it is.
    """

    final: ClassVar[bool] = True
    """True if no event follows the one that makes the answer :attr:`complete`."""

    def __init__(self, ask: Ask, *, lines: bool = False) -> None:
        self.ask = ask
        self.faults = Faults()
        """Faults of the events so far."""
        self.failure: DelugeError | None = None
        """Failure of an event after the additions that :meth:`feed` or :meth:`end` returned last."""
        self._lines = lines
        self._framing, self._halves = DetectedFraming(lines=lines), Halves()
        self._stopped = False
        self.begun = False
        """True once an event has been read; until then, :meth:`restart` is possible."""
        self._sorter = DeltaSorter()

    def feed(self, data: bytes) -> list[Delta]:
        """Return the additions of some bytes to the answer; none for what follows its end.

        Raises
        ------
        MalformedResponseError
            When the bytes do not fit the dialect.
        RequestError
            When the server reports a failure in the middle of its answer.
        """
        return self._read(self._framing.feed(data)) if not self.ended else []

    def end(self) -> list[Delta]:
        """Return the additions of an unfinished last event, after the connection has ended."""
        rest = self._read(self._framing.rest()) if not self.ended else []
        return rest + self._sorter.finish()

    def unread_document(self) -> bytes | None:
        """Return what has arrived of a reply that is one document; None if it is a stream."""
        return None if self._framing.rest() else self._framing.document

    def restart(self) -> None:
        """Forget what has been received, before another attempt."""
        self._framing, self._halves = DetectedFraming(lines=self._lines), Halves()
        self._sorter = DeltaSorter()

    @property
    def ended(self) -> bool:
        """True if nothing of the answer can follow."""
        return self._stopped or (self.final and self.complete)

    @property
    def document(self) -> bytes | None:
        """The whole reply, if it turned out at its end to be one JSON document or no answer; else None."""
        return self._framing.document

    @property
    def is_neither(self) -> bool:
        """True if the reply turned out to be neither JSON nor an event stream."""
        return self._framing.is_neither

    def _read(self, events: list[bytes]) -> list[Delta]:
        self.check()
        deltas: list[Delta] = []
        for event in itertools.chain.from_iterable(map(split_lines, events)):
            if event.strip().upper() == DONE:
                self._stopped = True
            if self.ended or self.failure is not None:
                break
            # An event whose data is empty says nothing: it keeps the connection open.
            if event and not event.isspace():
                self.begun = True
                for element in elements(event):
                    deltas += self._sort(self._halves.join(element))
        if self.ended or self.failure is not None:
            deltas += self._sorter.finish()
        if not deltas:
            self.check()
        if not wants_none(self.ask.params, self.ask.endpoint):
            return deltas
        return [replace(delta, logprobs=without_alternatives(delta.logprobs)) for delta in deltas]

    def _sort(self, event: bytes) -> list[Delta]:
        """Return the additions of an event, also those before a failure that it reports."""
        additions: list[Delta] = []
        try:
            additions.extend(self.read(event))
            if not (additions or self.complete) and (reported := reported_failure(self.ask.model, event)) is not None:
                raise reported
        except MalformedResponseError as error:
            # Nothing can be missing behind the end of an answer, nor in a value that holds none.
            if self.complete or is_empty_value(event):
                self.faults.add("event")
            else:
                self.failure = BrokenAnswer.of(error)
        except DelugeError as error:  # after the tokens that came with it
            self.failure = error
        if isinstance(self.failure, PartialAnswer):
            self.failure.part = self.break_off(self.failure)
        return self._sorter.sort(additions)

    def break_off(self, error: DelugeError) -> bytes:
        """Record the error that ended the stream, and return the body of what was received before it."""
        return self.body()

    @property
    def is_cut_off(self) -> bool:
        """True if the error that ended the stream cost a part of the answer that is listened to."""
        return True

    def check(self) -> None:
        """Raise the failure of an event, if there was one.

        Raises
        ------
        DelugeError
            The failure.
        """
        if self.failure is not None:
            raise self.failure

    @abstractmethod
    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one event to the answer."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """True if the server has reported the end of the answer."""

    @abstractmethod
    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed."""


@dataclass(frozen=True, slots=True)
class Request:
    """HTTP request: a path under the endpoint's base URL, and a JSON body (None with GET).

    With a ``reader``, the reply is a stream, and the exchange receives the body that the reader assembles.
    ``make_reader`` returns a reader for a server that streams its reply unasked; None where the dialect has none.
    With a ``failure``, which the reply to the same request reported in its body, this is one more attempt. With
    ``from_root``, the path is that of the server's own API, beside ``/v1``. With ``may_fail``, a permanent failure is
    thrown into the exchange, which may ask differently; with ``is_optional`` in addition, a server that does not have
    the route is not asked for it again.
    """

    path: str
    body: Mapping[str, Any] | None = None
    method: Literal["GET", "POST"] = "POST"
    reader: StreamReader | None = field(default=None, compare=False)
    make_reader: Callable[[], StreamReader] | None = field(default=None, compare=False)
    failure: RequestError | None = field(default=None, compare=False)
    from_root: bool = False
    may_fail: bool = False
    is_optional: bool = False


Exchange = Generator[Request, bytes, Completion]
"""Generator that yields requests, receives the bytes of each successful reply, and returns their content."""


def advance(exchange: Exchange, reply: bytes | DelugeError) -> Request | Completion:
    """Return the next request of an exchange, or its completion, after a body or the failure of a request."""
    try:
        return exchange.throw(reply) if isinstance(reply, DelugeError) else exchange.send(reply)
    except StopIteration as end:
        return end.value


def keep_body(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """Return the body of a reply unchanged, for dialects that remove nothing from it."""
    return raw


@dataclass(frozen=True, slots=True)
class Dialect:
    """Protocol of one provider: the functions of a module of this package.

    ``exchange`` processes an :class:`Ask`. ``parse_error`` reads the body of a failed reply, and ``with_entries``
    restores the log-probabilities in a body that was stored without them; both have a default.
    """

    exchange: Callable[[Ask], Exchange]
    parse_error: Callable[[int, bytes], ServerError] = parse_error
    with_entries: Callable[[dict[str, Any], list[Any]], dict[str, Any]] = keep_body


def converse(
    ask: Ask,
    build: Callable[[Ask], Request],
    parse: Callable[[bytes, Ask], Completion],
    as_stream: Callable[[Request, Ask], Request] | None = None,
) -> Exchange:
    """Send one request and parse its reply; send it again after a failure inside a reply, as long as it is carried.

    Parameters
    ----------
    ask
        What is asked.
    build
        Function that returns the request.
    parse
        Function that parses the body.
    as_stream
        Function that returns the request for a streamed answer; None if the server cannot stream.
    """
    failed: RequestError | None = None
    while True:
        request = build(ask)
        if ask.stream and as_stream is not None and request.make_reader is not None:
            # A reader is used once.
            request = replace(as_stream(request, ask), reader=request.make_reader())
        try:
            reply = yield request if failed is None else replace(request, failure=failed)
            try:
                completion = parse(reply, ask)
            except MalformedResponseError:
                if (reported := reported_failure(ask.model, reply)) is None:
                    raise
                raise reported from None
        except (RequestError, BrokenAnswer) as error:
            if isinstance(error, PartialAnswer):
                error.read_part(lambda part: parse(part, ask))
            if not isinstance(error, RequestError):
                raise
            failed = error
            continue
        notes = request.reader.faults.notes if request.reader is not None else ()
        return replace(completion, notes=tuple(dict.fromkeys((*completion.notes, *notes)))) if notes else completion


def with_stream_field(request: Request, _: Ask) -> Request:
    """Return the request with the field that asks most servers for a stream."""
    return replace(request, body={**(request.body or {}), "stream": True})


@cache
def load(name: str) -> Dialect:
    """Return a dialect; its module is imported on first use."""
    module = import_module(f"{__package__}.{name}")
    own = {field: getattr(module, field) for field in ("parse_error", "with_entries") if hasattr(module, field)}
    return Dialect(module.exchange, **own)
