"""Waiting for what comes with a later frame or from another process: nothing is read once that may still change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

# In seconds: what takes longer than this on a busy machine does not come at all.
LIMIT = 60


def becomes(read: Callable[[], Any], wanted: Any, page: Page) -> None:
    """Wait until something is as wanted."""
    end = time.monotonic() + LIMIT
    while read() != wanted and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert read() == wanted


def settled(read: Callable[[], Any], page: Page) -> Any:
    """What something is once it has been the same for half a second."""
    end = time.monotonic() + LIMIT
    last, same = read(), 0
    while same < 5 and time.monotonic() < end:
        page.wait_for_timeout(100)
        now = read()
        same = same + 1 if now == last else 0
        last = now
    assert same == 5, f"still changing: {last!r}"
    return last
