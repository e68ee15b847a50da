"""The architecture as data: who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deluge_nb

PACKAGE = Path(deluge_nb.__file__).parent
LAYERS = {
    "errors": 0,
    "cache_dir": 1,
    "text": 1,
    "logprobs": 1,
    "sampling": 1,
    "prompts": 1,
    "tools": 1,
    "models": 1,
    "dialects": 2,
    "stats": 2,
    "response": 2,
    "interop": 2,
    "render": 2,
    "util": 2,
    "transport": 3,
    "client": 3,
    "charts": 3,
    "calibration": 3,
    "llm_tools": 4,
    "local": 4,
    "answers": 4,
    "widget": 4,
    "magic": 5,
    "__init__": 6,
}
NOTEBOOK = ["IPython", "ipywidgets", "anywidget", "traitlets", "altair", "pandas", "scipy"]
DEFERRED = [*NOTEBOOK, "numpy", "httpx", "msgspec", "tqdm", "pyarrow", "vl_convert", "xllamacpp", "dotenv", "keyring"]


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The package's own top-level modules that a file imports when it runs, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for typed in [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]:
        typed.body = []
    found: set[str] = set()
    folders = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = list(folders[: len(folders) - (node.level - 1)])
        named = [*base, *(node.module.split(".") if node.module else [])]
        found |= {named[0]} if named else {alias.name for alias in node.names}
    return found - {module_of(path)}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_from_its_own_layer_and_those_below(path: Path) -> None:
    own = LAYERS[module_of(path)]
    above = {name for name in imports(path) if LAYERS[name] > own}
    assert not above


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 480


def loaded_after(code: str, names: list[str]) -> str:
    script = f"{code}\nimport sys\nprint(sorted(set({names!r}) & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_loads_no_notebook_library() -> None:
    assert loaded_after("import deluge_nb", NOTEBOOK) == "[]"


def test_importing_the_core_loads_neither_numpy_nor_an_http_client() -> None:
    code = "from deluge_nb import LLMClient, SamplingParams, extract_prob, score_llm; LLMClient('gpt-4o-mini')"
    assert loaded_after(code, DEFERRED) == "[]"


def test_asking_a_model_loads_no_notebook_library() -> None:
    code = (
        "from deluge_nb import LLMClient\n"
        "LLMClient('m', base_url='http://127.0.0.1:9', max_attempts=1).process_prompts_sync(['x'], show_progress=False)"
    )
    assert loaded_after(code, NOTEBOOK) == "[]"


def test_every_public_name_can_be_had_and_is_documented() -> None:
    for name in deluge_nb.__all__:
        assert getattr(deluge_nb, name).__doc__, name
    assert set(deluge_nb.__all__) <= set(dir(deluge_nb))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        deluge_nb.nothing  # type: ignore[attr-defined]  # noqa: B018
