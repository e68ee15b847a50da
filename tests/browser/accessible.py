"""Check by axe that a page is accessible."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Rules about the page around the widget, which belongs to the host.
_OF_THE_HOST = ("region", "page-has-heading-one")
# A list of the thousands of elements that pass takes ten times as long as finding those that fail.
_OPTIONS = {"rules": {rule: {"enabled": False} for rule in _OF_THE_HOST}, "resultTypes": ["violations"]}


def is_accessible(page: Page, context: dict[str, Any] | None = None) -> None:
    """Check a page, or the parts of it that axe's `context` includes."""
    found = Axe().run(page, context=context, options=_OPTIONS)
    assert found.violations_count == 0, found.generate_report()
