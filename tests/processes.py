"""The state of processes that a test started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def interrupt() -> None:
    """Interrupt this process, as Ctrl+C does."""
    if sys.platform == "win32":  # where `os.kill` ends a process
        signal.raise_signal(signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)


class InterruptedStart(subprocess.Popen[Any]):
    """A process whose parent is interrupted when it runs already and nobody has been given it yet."""

    pids: list[int]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pids.append(self.pid)
        interrupt()
