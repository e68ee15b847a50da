"""Content of a reply, and the failure that a server reports in place of it, or behind a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import DelugeError, MalformedResponseError, RequestError
from ...printable import printable
from .decode import parse_error, parse_loosely
from .failures import is_failure, reports_failure, status_of

if TYPE_CHECKING:
    from ...logprobs.table import Logprobs
    from ...tools import ToolCall

# Bytes; a report may repeat a long prompt, and beyond that millions of fields would hold the loop for seconds.
_LONGEST_REPORT = 1 << 22


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


class PartialAnswer(DelugeError):
    """Failure of an answer of which a part may have come."""

    completion: Completion | None
    """Readable part of the answer before its failure, or None; a pickled error has no such attribute."""
    part: bytes
    """Body of that part, where a reader assembled it from a stream; else there is no such attribute."""

    def take_part(self) -> bytes | None:
        """Return the body of the part that was received, and forget it: errors are kept, and a body may be long."""
        part = getattr(self, "part", None)
        if part is not None:
            del self.part
        return part

    def read_part(self, parse: Callable[[bytes], Completion]) -> None:
        """Read the part of a streamed answer before its failure, if that has not been done.

        Parameters
        ----------
        parse
            Function that parses the body of an answer.
        """
        part = self.take_part()
        if part is None or (self.completion is not None and self.completion.text is not None):
            return
        try:
            completion = parse(part)
        except PartialAnswer as again:  # the part ends in the word for the failure
            completion = again.completion
        except DelugeError:
            return
        if completion is not None and (completion.text or completion.thinking or completion.tool_calls):
            self.completion = completion


class FailedAnswer(PartialAnswer, RequestError):
    """Failure that a server reports inside a successful reply."""

    # Not in the error's dict, which is searched for the key and pickled.
    __slots__ = ("completion", "part")


class BrokenAnswer(PartialAnswer, MalformedResponseError):
    """Event of a stream that cannot be read."""

    __slots__ = ("completion", "part")

    @classmethod
    def of(cls, error: MalformedResponseError) -> BrokenAnswer:
        """Return the error of an event as that of the answer, of which the part before is added later."""
        broken = cls(str(error), dialect=error.dialect, field=error.field, excerpt=error.excerpt, body=error.body)
        broken.completion = None
        return broken


def failure(model: str, body: bytes, error: Any = None, completion: Completion | None = None) -> FailedAnswer:
    """Return the error for a failure that a server reports in the body of a successful reply.

    Parameters
    ----------
    model
        The model, for the message.
    body
        The reply, or the event of a stream.
    error
        Parsed JSON of the error, where it is not at the top of the body.
    completion
        Readable part of the answer.
    """
    try:
        whole = parse_loosely(body)
    except (ValueError, RecursionError):
        whole = None
    reason = parse_error(200, body if error is None else msgspec.json.encode({"error": error}))
    word = completion.finish_reason if completion is not None else None
    message = reason.message if error or word is None else f"the server ended its answer with {printable(word)!r}"
    failed = FailedAnswer(
        f"{model!r}: {message}",
        model=model,
        status_code=status_of(whole if error is None else error, word),
        body=whole if whole is not None else reason.body,
        retry_after=reason.wait,
    )
    failed.completion = completion
    return failed


def checked(model: str, body: bytes, completion: Completion, *errors: Any) -> Completion:
    """Return the completion of a reply, unless the reply reports a failure.

    Parameters
    ----------
    model, body
        The model, for the message, and the reply.
    completion
        What was read of the reply.
    errors
        Values of the fields that hold an error; null, false and empty ones report none.

    Raises
    ------
    FailedAnswer
        When one of the errors is set, or the finish reason is a word for a failure.
    """
    error = next(filter(None, errors), None)
    if error is None and not is_failure(completion.finish_reason):
        return completion
    raise failure(model, body, error if error is not None else False, completion)


def reported_failure(model: str, body: bytes) -> FailedAnswer | None:
    """Return the failure that a reply, or an event of a stream, reports in place of an answer; None if it does not.

    Parameters
    ----------
    model
        The model, for the message.
    body
        JSON without any part of an answer that the dialect knows.
    """
    if len(body) > _LONGEST_REPORT:
        return None
    try:
        value = parse_loosely(body)
    except (ValueError, RecursionError):
        return None
    return failure(model, body) if reports_failure(value) else None
