"""Check the documents: their code runs and prints the results shown, and their links have targets."""

from __future__ import annotations

import csv
import itertools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import deluge_nb
from tests.openai_server import ChatServer, Reply, Seen, chat, error

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COPIES = [DOCS / "notebooks", DOCS / "project"]
"""Folders that a build of the site copies below docs/."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if not any(folder in page.parents for folder in COPIES)),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples(page: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the code blocks of a page, each with the result that follows it."""
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    for block, after in itertools.zip_longest(blocks, blocks[1:]):
        if block[1] not in ("python", "ipython"):
            continue
        shown = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
        yield block[2], after[2] if shown and after is not None else None


def pages_with_code() -> Iterator[object]:
    for page in PAGES:
        code = "".join(code for code, _ in examples(page))
        if code:
            needs_model = '"local"' in code or "--model local" in code
            yield pytest.param(page, id=name_of(page), marks=[pytest.mark.model] if needs_model else [])


def answer(seen: Seen, number: int) -> Reply:
    """Return the answers that the pages show."""
    prompt = seen.question
    if "fail" in prompt:
        return error("This prompt is refused.", status=400)
    if "cheese" in prompt or "Spain" in prompt:
        return Reply(chat(seen, [("No", {"No": 0.93, "Yes": 0.04})]))
    if "invoice" in prompt:
        paid = {" true": 0.82, " false": 0.16}
        return Reply(chat(seen, [('{"paid":', {'{"paid":': 1.0}), (" true", paid), ("}", {"}": 1.0})]))
    if "weather" in prompt:
        function = {"name": "weather", "arguments": json.dumps({"city": "Paris"})}
        return Reply(chat(seen, [], tool_calls=[{"id": "1", "type": "function", "function": function}]))
    return Reply(chat(seen, [("Yes", {"Yes": 0.7, "No": 0.2, " yes": 0.05})]))


def assert_same(shown: str, printed: str) -> None:
    """Compare a page's result with the real one: words exactly, numbers nearly, because processors differ slightly."""
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split(), printed
    expected, actual = ([float(number) for number in NUMBER.findall(text)] for text in (shown, printed))
    assert actual == pytest.approx(expected, rel=0.05, abs=0.02), printed


@pytest.mark.slow
@pytest.mark.parametrize("page", list(pages_with_code()))
def test_every_code_block_runs_and_prints_what_the_page_shows(page: Path, server: ChatServer) -> None:
    server.answer = answer
    shell = InteractiveShell()
    for code, shown in examples(page):
        with capture_output(display=False) as captured:
            result = shell.run_cell(code)
        result.raise_error()
        if shown is not None:
            assert_same(shown, captured.stdout)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if re.match(r"\w+:", target):
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_every_path_in_the_text_exists(page: str) -> None:
    paths = re.findall(
        r"`((?:deluge_nb|js|tests|docs|examples|benchmarks)/[\w./-]+)`", (ROOT / page).read_text("utf-8")
    )
    assert paths
    missing = [path for path in paths if not (ROOT / path).exists() and "acme" not in path]
    assert not missing


def test_the_models_of_the_readme_are_rows_of_the_support_table() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (\w+) \| ([^|]+) \|$", readme(), re.MULTILINE)
    assert len(rows) == 5
    assert set(rows) <= {row[:4] for row in deluge_nb.support_table().rows}


@pytest.mark.parametrize("page", ["README.md", "docs/guide/install.md"])
def test_every_extra_is_listed(page: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    listed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
    assert listed >= (set(extras) if "install" in page else set(extras) - {"docs", "dev"})


def test_the_readme_is_short() -> None:
    assert len(readme().splitlines()) <= 90


@pytest.mark.parametrize("widget", ["view", "compare"])
def test_the_guide_names_only_traits_that_exist(widget: str) -> None:
    kind = {"view": deluge_nb.LogprobView, "compare": deluge_nb.LogprobCompare}[widget]
    text = (DOCS / "guide" / f"{widget}.md").read_text(encoding="utf-8")
    table = re.search(r"^\| Trait \|.*?\n\n", text, re.DOTALL | re.MULTILINE)
    for name in re.findall(r"^\| `(\w+)` \|", table[0], re.MULTILINE) if table else ():
        assert name in kind.class_traits(sync=True), name


def test_the_guide_names_only_options_of_the_magic_that_exist() -> None:
    from deluge_nb.magic import DelugeMagics

    text = (DOCS / "guide" / "magic.md").read_text(encoding="utf-8")
    options = DelugeMagics.deluge.parser._option_string_actions  # type: ignore[missing-attribute]
    for name in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text):
        assert name in options, name


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_notebook_is_a_page_of_the_site() -> None:
    pages = (DOCS / "_extensions" / "repository_pages.py").read_text(encoding="utf-8")
    listed = (DOCS / "index.md").read_text(encoding="utf-8")
    for notebook in sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")):
        assert f'"examples/notebooks/{notebook.name}"' in pages
        assert f"\nnotebooks/{notebook.stem}\n" in listed


def test_the_tickets_of_the_notebook_are_four_hundred_different_ones_half_of_them_complaints() -> None:
    with (ROOT / "examples" / "notebooks" / "tickets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["ticket"] for row in rows}) == len({row["text"] for row in rows}) == len(rows) == 400
    assert Counter(row["truth"] for row in rows) == {"praise": 200, "complaint": 200}
