"""The architecture as data: allowed imports, sizes of packages and modules, and the cost of an import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import deluge_nb
from tests.sources import nodes

PACKAGE = Path(deluge_nb.__file__).parent
FRONT_END = PACKAGE.parent / "js" / "src"
# Top to bottom, as in docs/design.md: a package imports only from rows below its own.
ROWS = (
    ("__init__",),
    ("magic", "util", "llm_tools", "__main__"),
    ("lab",),
    ("jobs", "estimators", "comparisons"),
    ("answers", "widget", "reading", "attribution"),
    ("client", "calibration"),
    ("transport", "charts", "response"),
    ("dialects", "render"),
    ("stats", "interop", "local"),
    ("logprobs", "models"),
    ("text", "prompts", "sampling", "tools", "extras", "paths"),
    ("errors", "cache_dir"),
    ("printable", "warning", "memo", "notebook", "elsewhere"),
)
FRONT_END_ROWS = (("entry",), ("comparisons",), ("view", "compare", "lab"), ("text",), ("ui",), ("host", "data"))
MOST_MODULES = 12
MOST_LINES = 420
NOTEBOOK = ["IPython", "ipywidgets", "anywidget", "traitlets", "altair", "pandas", "scipy", "sklearn"]
DEFERRED = [
    *NOTEBOOK,
    "numpy",
    "httpx",
    "msgspec",
    "tqdm",
    "pyarrow",
    "vl_convert",
    "xllamacpp",
    "dotenv",
    "keyring",
    "wcwidth",
    "distributed",
]

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(FRONT_END.rglob("*.ts"))


class Import(NamedTuple):
    """A name that a module imports from another module of the package, also if only for type checkers."""

    module: tuple[str, ...]
    name: str
    bound_to: str


def parts_of(path: Path) -> tuple[str, ...]:
    """Return the parts of a module's name, without the name of the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


MODULE_NAMES = {parts_of(path) for path in MODULES}


def imports(path: Path) -> Iterator[Import]:
    """Yield the imports of a file from the package, also those inside functions; a submodule has an empty name."""
    folders = path.relative_to(PACKAGE).parts[:-1]
    for node in nodes(path):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = (*folders[: len(folders) - node.level + 1], *(node.module or "").split("."))
        module = tuple(part for part in base if part)
        for alias in node.names:
            bound = alias.asname or alias.name
            if (*module, alias.name) in MODULE_NAMES:
                yield Import((*module, alias.name), "", bound)
            else:
                yield Import(module or ("__init__",), alias.name, bound)


def row_of(name: str, rows: tuple[tuple[str, ...], ...]) -> int:
    """Return the row of a package, 0 for the top; fail for a package in no row."""
    return next(number for number, row in enumerate(rows) if name in row)


def ids(path: Path) -> str:
    return str(path.relative_to(path.parents[1] if path.parent in (PACKAGE, FRONT_END) else path.parents[2]))


def test_every_package_is_in_a_row() -> None:
    packages = {parts[0] for parts in MODULE_NAMES}
    assert packages == {name for row in ROWS for name in row}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_packages_below_its_own(path: Path) -> None:
    own = parts_of(path)[0]
    wrong = {
        ".".join(entry.module)
        for entry in imports(path)
        if entry.module[0] != own and row_of(entry.module[0], ROWS) <= row_of(own, ROWS)
    }
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_stay_in_their_package(path: Path) -> None:
    own = parts_of(path)[0]
    foreign = [entry for entry in imports(path) if entry.module[0] != own]
    private = [entry for entry in foreign if any(part.startswith("_") for part in (*entry.module[1:], entry.name))]
    assert not [entry for entry in private if entry.name != "__version__"]
    # Private names can also be reached as attributes of an imported module.
    modules = {entry.bound_to for entry in foreign if not entry.name}
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert not node.attr.startswith("_"), f"{node.value.id}.{node.attr}"


def test_there_is_no_import_cycle_between_modules() -> None:
    graph = {parts_of(path): {entry.module for entry in imports(path)} - {parts_of(path)} for path in MODULES}
    # The package's own __init__ imports its names only for type checkers, and fetches them lazily.
    graph[("__init__",)] = set()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(".".join(parts) for parts in error.args[1]))


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES} - {PACKAGE}), ids=lambda path: path.name)
def test_no_package_has_too_many_modules(folder: Path) -> None:
    inside = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    packages = [path for path in folder.iterdir() if (path / "__init__.py").is_file()]
    assert len(inside) + len(packages) <= MOST_MODULES


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES} - {PACKAGE}), ids=lambda path: path.name)
def test_a_package_says_what_it_is_for(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [*MODULES, *SOURCES], ids=lambda path: "/".join(path.parts[-3:]))
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def folders_imported(path: Path) -> set[str]:
    """Return the folders of the front end that a file imports from."""
    targets = re.findall(r'from "(\.[^"]+)"', path.read_text(encoding="utf-8"))
    return {(path.parent / target).resolve().relative_to(FRONT_END).parts[0] for target in targets}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FRONT_END)))
def test_a_file_of_the_front_end_imports_only_from_folders_below_its_own(path: Path) -> None:
    own = path.relative_to(FRONT_END).parts[0]
    below = {name for row in FRONT_END_ROWS[row_of(own, FRONT_END_ROWS) + 1 :] for name in row}
    assert folders_imported(path) <= {own, *below}


def test_there_is_no_import_cycle_in_the_front_end() -> None:
    graph = {
        path: {
            (path.parent / target).resolve()
            for target in re.findall(r'from "(\.[^"]+\.ts)"', path.read_text(encoding="utf-8"))
        }
        for path in SOURCES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(str(path.relative_to(FRONT_END)) for path in error.args[1]))


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


@pytest.mark.parametrize(
    "name", sorted({"cache_dir", *(parts[0] for parts in MODULE_NAMES if len(parts) > 1)} - {"stats"})
)
def test_importing_a_package_loads_nothing_heavy(name: str) -> None:
    assert loaded_after(f"import deluge_nb.{name}", DEFERRED) == "[]"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("deluge_nb.logprobs", ["Logprobs", "TokenLogprob", "TopLogprob"]),
        ("deluge_nb.local", ["LocalModel"]),
        ("deluge_nb.models", ["Endpoint", "find_models", "register_model", "support_table", "validate"]),
        ("deluge_nb.errors", ["DelugeError", "SettingError"]),
        ("deluge_nb.util.logprobs", ["extract_prob", "is_match"]),
        ("deluge_nb.llm_tools.score", ["score_llm"]),
    ],
)
def test_documented_paths_have_their_names(path: str, names: list[str]) -> None:
    code = f"from {path} import {', '.join(names)}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_exists_and_is_documented() -> None:
    for name in deluge_nb.__all__:
        assert getattr(deluge_nb, name).__doc__, name
    assert set(deluge_nb.__all__) <= set(dir(deluge_nb))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        deluge_nb.nothing  # type: ignore[attr-defined]  # noqa: B018
