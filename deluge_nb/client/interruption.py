"""Keep the responses of a call that an exception ends, and say where they are."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextvars import ContextVar
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DelugeError
from ..printable import printable

if TYPE_CHECKING:
    from ..prompts import PromptLike
    from ..response import APIResponse

R = TypeVar("R")
M = TypeVar("M")

_PREFIX = "client.interrupted has"
_LONGEST_REASON = 200


class PartialResponses(list["APIResponse | None"]):
    """Responses of a call that ended early: a list with one place for each request, None where nothing arrived.

    Made by a client, as :attr:`LLMClient.interrupted`.

    Parameters
    ----------
    responses
        The responses, in the order of the requests.
    models
        Names of the models that were asked, one for each place. By default, those of the responses.
    prompts
        Prompts, one for each place. By default, those of the responses.

    Examples
    --------
    >>> from deluge_nb import APIResponse, PartialResponses
    >>> kept = PartialResponses([APIResponse("a", completion="Hi"), None], ["a", "b"], ["Hello?", "Hello?"])
    >>> kept.models
    ('a', 'b')
    >>> kept.by_model()["b"]
    [None]
    """

    def __init__(
        self,
        responses: Iterable[APIResponse | None] = (),
        models: Iterable[str | None] | None = None,
        prompts: Iterable[PromptLike | None] | None = None,
    ) -> None:
        super().__init__(responses)
        own = (None if response is None else response.model for response in self)
        self.models: tuple[str | None, ...] = tuple(own if models is None else models)
        """Name of the model that was asked, for each place; a second model of the same name is ``"name (2)"``."""
        asked = (None if response is None else response.prompt for response in self)
        self.prompts: tuple[PromptLike | None, ...] = tuple(asked if prompts is None else prompts)
        """Prompt of each place."""
        self._stop: Callable[[], object] | None = None

    @property
    def is_growing(self) -> bool:
        """True while a call may still add responses to this list."""
        return self._stop is not None

    def follow(self, stop: Callable[[], object] | None) -> None:
        """Note how to end the call that adds responses to this list.

        Parameters
        ----------
        stop
            Ends the call; None once it has ended.
        """
        self._stop = stop

    def settle(self) -> None:
        """End the call that still adds responses to this list, if there is one."""
        stop = self._stop
        if stop is not None:
            stop()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stop": None}

    def by_model(self) -> dict[str | None, list[APIResponse | None]]:
        """Return the responses of each model, as :meth:`LLMClient.ask_all` returns them, with None for missing ones.

        Returns
        -------
        dict of list of APIResponse or None
            By the names in :attr:`models`, each in the order of the prompts.

        Examples
        --------
        >>> from deluge_nb import PartialResponses
        >>> PartialResponses([None, None, None], models=["a", "b", "a"]).by_model()
        {'a': [None, None], 'b': [None]}
        """
        return group_by_model(self, self.models)


class KeptResponses:
    """Responses of a client's calls that run, or that ended early.

    Each step is one operation on a dictionary. So no interrupt between two steps loses a list, and there is no lock
    that an interrupt could leave held, or that the garbage collector could wait for.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._first = PartialResponses()
        self._lists: dict[int, PartialResponses] = {}

    @property
    def newest(self) -> PartialResponses:
        """Responses of the call that began or ended early last."""
        lists = list(self._lists.values())
        return lists[-1] if lists else self._first

    def show(self, responses: PartialResponses) -> None:
        """Add the list of a call that begins."""
        self._lists[next(self._numbers)] = responses

    def keep(self, responses: PartialResponses) -> None:
        """Make the list of a call that ended early the newest, in place of those of earlier calls that have ended."""
        own = next(self._numbers)
        self._lists[own] = responses
        for number, other in list(self._lists.items()):
            if number < own and (other is responses or not other.is_growing):
                self._lists.pop(number, None)

    def hide(self, responses: PartialResponses) -> None:
        """Remove the list of a call that has returned all its responses."""
        for number, other in list(self._lists.items()):
            if other is responses:
                self._lists.pop(number, None)


def group_by_model(responses: Iterable[R], models: Iterable[M]) -> dict[M, list[R]]:
    """Return the responses of each model; the name of a response's model is at the same place in ``models``."""
    groups: dict[M, list[R]] = {}
    for response, model in zip(responses, models, strict=True):
        groups.setdefault(model, []).append(response)
    return groups


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return the names of models; a second model of the same name is called ``"name (2)"``."""
    seen, distinct = Counter[str](), list[str]()
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def keep(client: Any, responses: Iterable[APIResponse | None], error: BaseException | None, hint: str = "") -> None:
    """Put the responses that arrived into ``client.interrupted``, and add a note about it to the exception.

    Parameters
    ----------
    client
        The client of the call.
    responses
        One entry for each prompt; None for a prompt without a response. Best with their models and prompts.
    error
        The exception that ends the call; None if a stream was left without one.
    hint
        How to go on, as the end of the note.
    """
    kept = responses if isinstance(responses, PartialResponses) else PartialResponses(responses)
    client.interrupted = kept
    arrived = sum(response is not None for response in kept)
    if error is not None and (arrived or kept.is_growing):
        so_far = " so far" if kept.is_growing else ""
        replace_note(error, f"{_PREFIX} the {arrived} of {len(kept)} responses that arrived{so_far}{hint}.")


def replace_note(error: BaseException, text: str) -> None:
    """Add the note of where the responses are, in place of that of a call inside this one."""
    with contextlib.suppress(Exception):  # an exception may forbid notes
        notes = [note for note in getattr(error, "__notes__", ()) if not str(note).startswith(_PREFIX)]
        error.__notes__ = [*notes, text]


_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextlib.contextmanager
def stopping(event: threading.Event) -> Iterator[None]:
    """Let an event end the calls of this thread, as an interrupt ends those of the main thread.

    Parameters
    ----------
    event
        Once it is set, a call raises :class:`CancelledError`, after it has kept the responses that arrived.
    """
    token = _stop.set(event)
    try:
        yield
    finally:
        _stop.reset(token)


def check_stop() -> None:
    """Raise an error if the event of :func:`stopping` is set.

    Raises
    ------
    concurrent.futures.CancelledError
        If it is set.
    """
    event = _stop.get()
    if event is not None and event.is_set():
        raise CancelledError


def describe(error: BaseException) -> str:
    """Return the name and the message of any exception as one short line."""
    try:
        message = printable(" ".join(str(error).split()))[:_LONGEST_REASON]
    except BaseException as failure:  # a message that cannot be made must not cost the answer it is about
        if is_from_signal(failure):
            raise
        message = ""
    name = type.__dict__["__name__"].__get__(type(error))  # its metaclass may have another
    return f"{name}: {message}" if message else name


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


__all__ = [
    "KeptResponses",
    "PartialResponses",
    "as_reason",
    "check_stop",
    "describe",
    "distinct_names",
    "group_by_model",
    "is_from_signal",
    "keep",
    "replace_note",
    "stopping",
]
