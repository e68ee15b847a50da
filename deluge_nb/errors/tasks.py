"""Exceptions that end a task, as opposed to those that users' code raises in it."""

from __future__ import annotations

import asyncio


def ends_task(error: BaseException) -> bool:
    """Return whether an exception ends the running task, rather than being one that the user's code raised in it."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task is None or task.cancelling() > 0


__all__ = ["ends_task"]
