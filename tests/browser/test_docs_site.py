"""The documentation site: it builds without a warning, loads nothing from the network, and its views are live."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import deluge_nb
from tests.browser.waits import becomes

# The first test waits for the whole build.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
LOADING = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
}
ELSEWHERE = re.compile(r"(?:https?:)?//")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of a fresh build, and the warnings of Sphinx."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "-d", str(folder / "doctrees"), "docs", str(folder / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "html", done.stderr


@pytest.fixture
def site(built: tuple[Path, str]) -> Path:
    return built[0]


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes, and the text of its styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.styles = ""
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found.append((tag, given))
        self.styles += given.get("style", "")
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self._style:
            self.styles += data
        self._style = False


def pages(site: Path) -> dict[str, Tags]:
    return {
        path.relative_to(site).as_posix(): Tags(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


def imported(css: str) -> Iterator[str]:
    """Return the addresses that a stylesheet loads."""
    yield from re.findall(r"url\(\s*['\"]?([^'\")]+)", css)
    yield from re.findall(r"@import\s+['\"]([^'\"]+)", css)


def titles(site: Path) -> list[str]:
    """Return all headings in the search index."""
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    return list(json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))["alltitles"])


def names(site: Path) -> set[str]:
    """Return all names with an entry in the reference."""
    content = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split()[0] for line in zlib.decompress(content).decode().splitlines()}


def test_the_site_builds_without_a_warning(built: tuple[Path, str]) -> None:
    assert built[1] == ""


def test_pages_load_nothing_from_the_network(site: Path) -> None:
    loaded = [
        (name, tag, given[attribute])
        for name, page in pages(site).items()
        for tag, given in page.found
        for attribute in LOADING.get(tag, ())
        if ELSEWHERE.match(given.get(attribute, "").strip())
    ]
    styled = [(name, url) for name, page in pages(site).items() for url in imported(page.styles)]
    sheets = [(path.name, url) for path in site.rglob("*.css") for url in imported(path.read_text(encoding="utf-8"))]
    assert not loaded
    assert not [(name, url) for name, url in [*styled, *sheets] if ELSEWHERE.match(url)]


def test_every_public_name_has_an_entry_in_the_reference(site: Path) -> None:
    public = [f"deluge_nb.{name}" for name in deluge_nb.__all__]
    public += [f"deluge_nb.stats.{name}" for name in deluge_nb.stats.__all__]
    assert not set(public) - names(site)


def test_every_page_is_reachable_from_the_index(site: Path) -> None:
    all_pages = pages(site)
    reached, waiting = {"index.html"}, ["index.html"]
    while waiting:
        name = waiting.pop()
        for tag, given in all_pages[name].found:
            href = given.get("href", "").split("#")[0]
            if tag != "a" or not href or re.match(r"\w+:", href):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), href))
            assert target in all_pages or (site / target).exists(), f"{name} links to {href}"
            if target in all_pages and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert reached >= set(all_pages) - {"search.html"}


@pytest.mark.parametrize(
    "words", ["retries", "rate limits", "cache", "dataframe", "stream", "save", "api keys", "classify", "calibration"]
)
def test_tasks_are_headings_under_the_words_that_people_search_for(site: Path, words: str) -> None:
    assert any(words in title.lower() for title in titles(site))


def test_models_options_and_errors_come_from_the_code(site: Path) -> None:
    def text(name: str) -> str:
        return re.sub(r"<[^>]+>", "", (site / "reference" / f"{name}.html").read_text(encoding="utf-8"))

    assert text("supported-models").count("up to ") >= len(
        [row for row in deluge_nb.support_table().rows if row[3].startswith("up to")]
    )
    assert "--top-logprobs" in text("magic")
    assert "└── MalformedResponseError" in text("errors")
    assert "GROQ_API_KEY" in text("environment")
    assert "color_by" in text("views")


def test_the_index_shows_a_live_view(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    view = page.locator(".deluge-live")
    expect(view.locator(".deluge-token").first).to_be_visible()
    expect(page.locator(".deluge-live-fallback")).to_be_hidden()
    view.locator(".deluge-line .deluge-token").nth(3).click()
    expect(view.locator(".deluge-card-list")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(view.locator(".deluge-selected")).to_have_attribute("data-token", "4")


def test_formulas_are_drawn(site: Path, page: Page) -> None:
    page.goto((site / "probability.html").as_uri())
    formula = page.locator("math[display=block]").first
    expect(formula).to_be_visible()
    box = formula.bounding_box()
    assert box is not None
    assert box["height"] > 20
    assert page.locator("math").count() > 20


@pytest.mark.parametrize("notebook", ["01_first_look", "02_reading_an_answer"])
def test_every_widget_of_a_notebook_is_live_instead_of_static(site: Path, page: Page, notebook: str) -> None:
    page.goto((site / "notebooks" / f"{notebook}.html").as_uri())
    states = json.loads((ROOT / "docs" / "live" / f"{notebook}.json").read_text(encoding="utf-8"))
    ready = page.locator(".deluge-live[data-ready]")
    becomes(ready.count, len(states), page)
    assert page.locator(".deluge-still:visible").count() == 0
    for widget in ready.all():
        expect(widget.locator(".deluge-token").first).to_be_attached()


def test_views_follow_the_theme_switch(site: Path, page: Page) -> None:
    page.goto((site / "guide" / "view.html").as_uri())
    root = page.locator(".deluge-live .deluge").first
    expect(root).to_be_visible()
    for theme in ("dark", "light"):
        page.evaluate("theme => { document.body.dataset.theme = theme }", theme)
        expect(root).to_have_css("color-scheme", theme)


def test_the_search_works_from_a_file(site: Path, page: Page) -> None:
    page.goto((site / "search.html").as_uri() + "?q=retry")
    expect(page.locator("#search-results")).to_contain_text("Retries and errors")


@pytest.mark.context(viewport={"width": 400, "height": 800})
def test_no_page_is_wider_than_a_phone(site: Path, page: Page) -> None:
    wide = []
    for name in pages(site):
        page.goto((site / name).as_uri(), wait_until="load")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
    assert not wide


def test_a_page_for_teachers_has_no_menus_on_paper(site: Path, page: Page) -> None:
    page.goto((site / "guide" / "teaching" / "index.html").as_uri())
    expect(page.locator("footer")).to_be_visible()
    page.emulate_media(media="print")
    for part in (".sidebar-drawer", ".toc-drawer", ".mobile-header", "footer"):
        expect(page.locator(part)).to_be_hidden()
    expect(page.locator("article table").first).to_be_visible()
