"""The types that all dialects share: the request of a user, HTTP requests, replies and their streams.

A dialect turns an :class:`Ask` into requests, and replies into a :class:`Completion`. Most dialects need one request
and consist of two functions, ``build_request`` and ``parse_response``. Some servers need several requests, each of
which depends on the previous reply. The transport therefore drives a generator, :data:`Exchange`, that yields requests
and receives the bytes of the replies. A request for a streamed reply has a :class:`StreamReader`, which returns the
additions of each event, and finally the body that the server would have sent without streaming.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import RequestError
from ..models.spec import Endpoint
from ..prompts import Prompt
from ..sampling import SamplingParams
from .decode import ServerError, parse_error
from .reading.alternatives import wants_none, without_alternatives
from .reading.events import DONE, DetectedFraming
from .reading.thinking.delta import Delta
from .reading.thinking.deltas import DeltaSorter

if TYPE_CHECKING:
    from ..logprobs.columns import Vocabulary
    from ..logprobs.table import Logprobs
    from ..tools import OutputSchema, Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Ask:
    """Everything that a request can depend on.

    ``params`` includes the model's defaults and requirements. With ``continuation``, the request is for the
    log-probabilities of this text after the prompt, in place of new text, and with ``ends`` also that of the token that
    ends the turn after it; only endpoints with ``continuations`` get such requests.
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
        self._lines = lines
        self._framing = DetectedFraming(lines=lines)
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
        self._framing = DetectedFraming(lines=self._lines)
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
        deltas: list[Delta] = []
        for event in events:
            if event.strip() == DONE:
                self._stopped = True
            if self.ended:
                break
            # An event whose data is empty says nothing: it keeps the connection open.
            if event and not event.isspace():
                self.begun = True
                deltas += self._sorter.sort(self.read(event))
        deltas += self._sorter.finish() if self.ended else []
        if not wants_none(self.ask.params, self.ask.endpoint):
            return deltas
        return [replace(delta, logprobs=without_alternatives(delta.logprobs)) for delta in deltas]

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
    """

    path: str
    body: Mapping[str, Any] | None = None
    method: Literal["GET", "POST"] = "POST"
    reader: StreamReader | None = field(default=None, compare=False)
    make_reader: Callable[[], StreamReader] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Completion:
    """Content of a reply.

    ``logprobs`` is None if the server sent none. ``raw`` is the reply's body, parsed or as bytes. Plain entries of
    log-probabilities, a hundred times larger than the rest, are removed from it and restored on demand (see
    :attr:`deluge_nb.APIResponse.raw_response`).

    ``thinking`` and ``thinking_logprobs`` are the model's reasoning, which is no part of ``text`` and ``logprobs``.
    ``notes`` say what could not be read. ``others`` are the further choices of a request for several.
    """

    text: str | None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    raw: Any = b"{}"
    thinking: str | None = None
    thinking_logprobs: Logprobs | None = None
    notes: tuple[str, ...] = ()
    others: tuple[Completion, ...] = ()


Exchange = Generator[Request, bytes, Completion]
"""Generator that yields requests, receives the bytes of each successful reply, and returns their content."""


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


def failure(ask: Ask, body: bytes) -> RequestError:
    """Return the error for a failure that a server reports in the body of a successful reply."""
    reason = parse_error(200, body)
    return RequestError(f"{ask.model!r}: {reason.message}", model=ask.model, body=reason.body)


@cache
def load(name: str) -> Dialect:
    """Return a dialect; its module is imported on first use."""
    module = import_module(f"{__package__}.{name}")
    own = {field: getattr(module, field) for field in ("parse_error", "with_entries") if hasattr(module, field)}
    return Dialect(module.exchange, **own)
