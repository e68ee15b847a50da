"""Wait for values that a later frame or another process changes, instead of reading them once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

# Seconds after which a value is taken not to come, even on a busy machine.
LIMIT = 60


def becomes(read: Callable[[], Any], expected: Any, page: Page) -> None:
    """Wait until a value equals the expected one."""
    end = time.monotonic() + LIMIT
    while read() != expected and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert read() == expected


def settled(read: Callable[[], Any], page: Page) -> Any:
    """Return a value once it has been the same for half a second."""
    end = time.monotonic() + LIMIT
    last, same = read(), 0
    while same < 5 and time.monotonic() < end:
        page.wait_for_timeout(100)
        now = read()
        same = same + 1 if now == last else 0
        last = now
    assert same == 5, f"still changing: {last!r}"
    return last
