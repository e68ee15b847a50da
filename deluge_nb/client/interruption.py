"""Keep the responses of a call that an exception ends, and say where they are."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any

from ..errors import DelugeError
from ..printable import printable

if TYPE_CHECKING:
    from ..response import APIResponse

_PREFIX = "client.interrupted has"
_LONGEST_REASON = 200


def keep(client: Any, responses: Iterable[APIResponse | None], error: BaseException | None, hint: str = "") -> None:
    """Put the responses that arrived into ``client.interrupted``, and add a note about it to the exception.

    Parameters
    ----------
    client
        The client of the call.
    responses
        One entry for each prompt; None for a prompt without a response.
    error
        The exception that ends the call; None if a stream was left without one.
    hint
        How to go on, as the end of the note.
    """
    kept = client.interrupted = list(responses)
    arrived = sum(response is not None for response in kept)
    if error is None or not arrived:
        return
    with contextlib.suppress(Exception):  # an exception may forbid notes
        # A call inside another call has left its own note.
        notes = [note for note in getattr(error, "__notes__", ()) if not str(note).startswith(_PREFIX)]
        error.__notes__ = [*notes, f"{_PREFIX} the {arrived} of {len(kept)} responses that arrived{hint}."]


def describe(error: BaseException) -> str:
    """Return the name and the message of any exception as one short line."""
    try:
        message = printable(" ".join(str(error).split()))[:_LONGEST_REASON]
    except BaseException as failure:  # a message that cannot be made must not cost the answer it is about
        if is_from_signal(failure):
            raise
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def as_reason(error: Exception) -> str:
    """Return an exception as the reason why one answer has no result; raise it if it concerns the whole call."""
    if is_from_signal(error):
        raise error
    return str(error) if isinstance(error, DelugeError) else f"internal error: {describe(error)}"


def is_from_signal(error: BaseException) -> bool:
    """Return whether a signal's handler raised an exception: it then concerns the call, not the step of the call."""
    handlers = {code for code in map(_code_of, signal.valid_signals()) if code is not None}
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code in handlers:
            return True
        step = step.tb_next
    return False


def _code_of(number: int) -> CodeType | None:
    handler = signal.getsignal(number)
    return getattr(getattr(handler, "__func__", handler), "__code__", None)


__all__ = ["as_reason", "describe", "is_from_signal", "keep"]
