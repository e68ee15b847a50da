"""The built front end: one loader for both widgets, and one sentence where a file is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deluge_nb import DelugeError, LogprobCompare, LogprobView, to_html
from deluge_nb.render import assets
from tests.browser.tables import FRANCE


@pytest.fixture
def no_front_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A package whose front end was not built; widgets are made before."""
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    assets.read_asset.cache_clear()
    yield
    assets.read_asset.cache_clear()


VIEW, COMPARISON = LogprobView(FRANCE), LogprobCompare(FRANCE, FRANCE)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("view.css", lambda: to_html(FRANCE)),
        ("compare.css", COMPARISON.to_html),
        ("page.js", lambda: VIEW.save_html("never.html")),
        ("compare_page.js", lambda: COMPARISON.save_html("never.html")),
    ],
)
def test_a_missing_file_is_named_in_the_same_sentence(name: str, use: Callable[[], object], no_front_end: None) -> None:
    with pytest.raises(DelugeError, match=rf"^The front end's {name} is missing: .*; install the package again\.$"):
        use()
    assert not Path("never.html").exists()
