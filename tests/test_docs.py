"""README and guide: their code runs, and their tables are the registry's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import support_table
from tests.openai_server import ChatServer, Reply, chat

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/guide.md"]
EXAMPLES = [pytest.param("README.md", marks=pytest.mark.model), "docs/guide.md", "docs/probability.md"]
TABLE = re.compile(r"<!-- support table -->\n(.*?)\n?<!-- end of support table -->", re.DOTALL)
BLOCK = re.compile(r"^```(python|ipython)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_support_table_is_the_registry_s(page: str) -> None:
    found = TABLE.search((ROOT / page).read_text(encoding="utf-8"))
    assert found is not None
    assert found[1] == support_table().to_markdown()


@pytest.mark.parametrize("page", EXAMPLES)
def test_every_code_block_runs(page: str, server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, [("Yes", {"Yes": 0.7, "No": 0.2, " yes": 0.05})]))
    shell = InteractiveShell()
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks
    for _, code in blocks:
        shell.run_cell(code).raise_error()


@pytest.mark.parametrize(
    "page", [*PAGES, "docs/probability.md", "docs/design.md", "docs/hosts.md", "CONTRIBUTING.md", "CHANGELOG.md"]
)
def test_every_link_leads_to_a_file(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
