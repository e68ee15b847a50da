"""How servers are spoken to: one dialect per file, pure functions without I/O.

A dialect turns an :class:`Ask` into requests and replies into a :class:`Completion`. Most need one request, and are two
functions: ``build_request`` and ``parse_response``. Some servers must be asked in several steps, each depending on the
last reply; so what the transport drives is a generator, :data:`Exchange`, that yields requests and is sent the bytes of
the replies. For one request it is those two functions, one after the other. A request may bring a
:class:`StreamReader`, for a reply that is streamed: it shows what has come, and in the end gives the same bytes that
would have come at once.
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
    """Everything a request can depend on.

    ``params`` has the model's defaults and requirements filled in. ``continuation`` asks for the log-probabilities of
    this text after the prompt, in place of new text; only endpoints with ``continuations`` are asked that.
    """

    model: str
    endpoint: Endpoint
    prompt: Prompt
    params: SamplingParams
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    output_schema: OutputSchema | None = None
    continuation: str | None = None
    vocab_size: int | None = None
    vocabulary: Vocabulary | None = field(default=None, compare=False)
    """Where tokens are entered; the answers of one call share it."""
    stream: bool = False
    """Whether the answer is wanted piece by piece, where the server can."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event of a stream adds to the answer.

    ``logprobs`` has the rows of the tokens in it, or is None where the server told none.
    """

    text: str
    logprobs: Logprobs | None = None


class StreamReader(ABC):
    """Reads a reply that comes in pieces, and puts it together as the one body that it would have been.

    A dialect says what one event adds (:meth:`read`), when the answer is complete and what its body is.

    Parameters
    ----------
    ask
        What was asked.
    framing
        Splits the bytes into events: server-sent events, or lines of JSON.
    """

    def __init__(self, ask: Ask, framing: Framing) -> None:
        self.ask = ask
        self._framing = framing

    def feed(self, data: bytes) -> list[Delta]:
        """Return what these bytes add to the answer.

        Raises
        ------
        MalformedResponseError
            When they do not fit the dialect.
        RequestError
            When the server reports a failure in the middle of its answer.
        """
        return [delta for event in self._framing.feed(data) for delta in self.read(event)]

    def end(self) -> list[Delta]:
        """Return what is left when the connection has ended."""
        return [delta for event in self._framing.rest() for delta in self.read(event)]

    @abstractmethod
    def read(self, event: bytes) -> Iterable[Delta]:
        """Return what one event adds to the answer."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the server has said that the answer is complete."""

    @abstractmethod
    def body(self) -> bytes:
        """Return what has come as the body of a reply that was not streamed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: a path under the endpoint's base URL and a JSON body (none with GET).

    Where there is a ``reader``, the reply is a stream, and the exchange is sent what the reader made of it.
    """

    path: str
    body: Mapping[str, Any] | None = None
    method: Literal["GET", "POST"] = "POST"
    reader: StreamReader | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a reply meant.

    ``logprobs`` is None where the server sent none. ``raw`` is the reply's body, read or as bytes; where it held
    ``logprobs`` as plain entries these are left out and put back on demand (see
    :attr:`deluge_nb.APIResponse.raw_response`), for they weigh a hundred times the rest.
    """

    text: str | None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    raw: Any = b"{}"


Exchange = Generator[Request, bytes, Completion]
"""Yields requests, is sent the bytes of each successful reply, returns what they meant."""


def unchanged(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """Return the body of a reply as it is, for dialects that keep it whole."""
    return raw


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one provider is asked and understood: the functions of a module of this package.

    ``exchange`` carries out an :class:`Ask`. ``parse_error`` reads the body of a failed reply, and ``with_entries``
    puts the log-probabilities back into a body that was kept without them; both have a default.
    """

    exchange: Callable[[Ask], Exchange]
    parse_error: Callable[[int, bytes], ServerError] = parse_error
    with_entries: Callable[[dict[str, Any], list[Any]], dict[str, Any]] = unchanged


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
