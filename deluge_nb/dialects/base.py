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
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ..errors import RequestError
from ..models.spec import Endpoint
from ..prompts import Prompt
from ..sampling import SamplingParams
from .decode import ServerError, parse_error
from .events import Framing

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


@dataclass(frozen=True, slots=True)
class Delta:
    """Addition of one event of a stream to the answer.

    ``logprobs`` has the rows of its tokens, or is None if the server sent none.
    """

    text: str
    logprobs: Logprobs | None = None
    thinking: bool = False
    """True for a part of the model's reasoning, which is no part of the answer."""


class StreamReader(ABC):
    """Parser of a streamed reply, which assembles the body that the server would have sent without streaming.

    A dialect implements :meth:`read`, :attr:`complete` and :meth:`body`.

    Parameters
    ----------
    ask
        The request.
    framing
        Splitter of the bytes into events: server-sent events, or lines of JSON.
    """

    def __init__(self, ask: Ask, framing: Framing) -> None:
        self.ask = ask
        self._framing = framing

    def feed(self, data: bytes) -> list[Delta]:
        """Return the additions of some bytes to the answer.

        Raises
        ------
        MalformedResponseError
            When the bytes do not fit the dialect.
        RequestError
            When the server reports a failure in the middle of its answer.
        """
        return [delta for event in self._framing.feed(data) for delta in self.read(event)]

    def end(self) -> list[Delta]:
        """Return the additions of an unfinished last event, after the connection has ended."""
        return [delta for event in self._framing.rest() for delta in self.read(event)]

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
    """

    path: str
    body: Mapping[str, Any] | None = None
    method: Literal["GET", "POST"] = "POST"
    reader: StreamReader | None = field(default=None, compare=False)


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
