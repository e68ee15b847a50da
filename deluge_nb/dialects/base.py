"""How servers are spoken to: one dialect per file, pure functions without I/O.

A dialect turns an :class:`Ask` into requests and replies into a :class:`Completion`. Most need one request, and are two
functions: ``build_request`` and ``parse_response``. Some servers must be asked in several steps, each depending on the
last reply; so what the transport drives is a generator, :data:`Exchange`, that yields requests and is sent the bytes of
the replies. For one request it is those two functions, one after the other. A request may bring a :class:`Reader`, for
a reply that is streamed: it shows what has come, and in the end gives the same bytes that would have come at once.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from ..models.spec import Endpoint
from ..prompts import Prompt
from ..sampling import SamplingParams

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


class Reader(Protocol):
    """Reads a reply that comes piece by piece, and puts it together as the one body that it would have been."""

    def feed(self, data: bytes) -> list[Delta]:
        """What these bytes add.

        Raises
        ------
        MalformedResponseError
            When they do not fit the dialect.
        RequestError
            When the server tells of a failure in the middle of its answer.
        """
        ...

    def end(self) -> list[Delta]:
        """What is left when the connection has ended."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the server has said that this is all."""
        ...

    def body(self) -> bytes:
        """What has come, as the body of a reply that was not streamed."""
        ...


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request: a path under the endpoint's base URL and a JSON body (none with GET).

    Where there is a ``reader``, the reply is a stream, and the exchange is sent what the reader made of it.
    """

    path: str
    body: Mapping[str, Any] | None = None
    method: Literal["GET", "POST"] = "POST"
    reader: Reader | None = field(default=None, compare=False)


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


Exchange = Generator[WireRequest, bytes, Completion]
"""Yields requests, is sent the bytes of each successful reply, returns what they meant."""


class Dialect(Protocol):
    """A module of this package."""

    def exchange(self, ask: Ask) -> Exchange:
        """Carry out one ask.

        Raises
        ------
        MalformedResponseError
            When a reply does not fit; it names the field.
        """
        ...

    def parse_error(self, status: int, body: bytes) -> ServerError:
        """Read the body of a reply that is no success; never raises."""
        ...

    def with_entries(self, raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
        """The body of a reply with its log-probabilities put back."""
        ...


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server gave as its reason: one line of text, its own code for it, and the body as it could be read.

    ``wait`` is how many seconds the body says to wait before another try.
    """

    message: str
    code: str | None = None
    body: Any = None
    wait: float | None = None


def load(dialect: str) -> Dialect:
    """The module of a dialect, imported on first use."""
    return cast(Dialect, import_module(f"{__package__}.{dialect}"))
