"""Check and interrupt the processes that a test started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil


def alive(pid: int) -> bool:
    """Return True if a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends(pid: int) -> bool:
    """Wait up to ten seconds for a process to end; return True if it does."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def interrupt() -> None:
    """Interrupt this process, as Ctrl+C does."""
    if sys.platform == "win32":  # `os.kill` ends a process there
        signal.raise_signal(signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)


class InterruptedStart(subprocess.Popen[Any]):
    """A process whose parent is interrupted after the start, before the caller of ``Popen`` has the object."""

    pids: list[int]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pids.append(self.pid)
        interrupt()
