"""The progress bar of a call. It is decoration: if it fails, it disappears, and the call goes on."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from ...notebook import kernel_shell
from ..interruption import is_from_signal

Listener = Callable[[int, int], object]
# Seconds before the bar of one text appears, and between two of its states: it may stand still for a while.
_DELAY = _PAUSE = 1.0
# Seconds between two states in a file, where each is a line.
_PAUSE_OF_LOGS = 10.0
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a function receive how many prompts of the calls of this thread are done, and of how many, shown or not.

    Parameters
    ----------
    listener
        Called in the thread of the call.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class ProgressBar:
    """Bar that counts the prompts of one call, or the rows of a job; only the thread of the call may use it.

    Parameters
    ----------
    total
        Number of prompts or rows.
    show
        False shows nothing.
    unit
        What is counted.
    is_one_text
        True to show the percentage of one text, where reading it takes more than a moment.
    """

    def __init__(self, total: int, *, show: bool, unit: str = "prompt", is_one_text: bool = False) -> None:
        self._bar: Any = None
        self._unit, self._total = unit, total
        self._scale, self._delay = (100, _DELAY) if is_one_text else (1, 0.0)
        self._listener = _listener.get()
        if show and total:
            self._attempt(lambda: self._open(total))

    def move(self, done: float) -> None:
        """Show how many prompts are done; of one text, which share."""
        if self._listener is not None:
            self._listener(int(done), self._total)
        if self._bar is not None:
            self._attempt(lambda: self._bar.update(int(done * self._scale) - self._bar.n))

    def close(self) -> None:
        """Take the bar off the screen, or leave it there in its last state."""
        if self._bar is not None:
            self._attempt(self._bar.close)

    def _open(self, total: int) -> None:
        with warnings.catch_warnings():
            # Without ipywidgets tqdm falls back to text with a warning that is of no use here.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

        class Bar(tqdm):  # type: ignore[misc]
            # Its monitor is a thread that would outlive the call.
            monitor_interval = 0
            # An interrupt can leave the shared lock held, and the next thread that needs it would wait for ever.
            _lock = threading.RLock()

            def __del__(self) -> None:
                """Leave the bar: the garbage collector may run on another thread than that of the call."""

        # Of one text, neither the number nor the rate means anything, and nothing once it is read.
        form = "{l_bar}{bar}| {elapsed}<{remaining}" if self._scale > 1 else None
        is_seen = kernel_shell() is not None or (sys.stderr is not None and sys.stderr.isatty())
        pause = _PAUSE if self._scale > 1 else 0.1 if is_seen else _PAUSE_OF_LOGS
        scaled = total * self._scale
        self._bar = Bar(
            total=scaled,
            unit=self._unit,
            delay=self._delay,
            bar_format=form,
            mininterval=pause,
            leave=self._scale == 1,
        )

    def _attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            self._bar = None
            if is_from_signal(error):
                raise
