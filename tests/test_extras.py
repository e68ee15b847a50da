"""Optional packages: the features that work without each, and the one error for the others."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deluge_nb
from deluge_nb import (
    CalibrationReport,
    Logprobs,
    LogprobView,
    MissingDependencyError,
    entropy_chart,
    to_html,
    to_png,
    to_svg,
)
from deluge_nb.answers.results import Classifications
from deluge_nb.extras import _EXTRAS, has_extra, import_extra
from deluge_nb.jobs.engines.choice import choose_engine
from deluge_nb.logprobs.alignment import align
from deluge_nb.logprobs.json_fields import field_probs
from deluge_nb.render.picture import raster
from deluge_nb.stats import clopper_pearson
from tests.browser.tables import FRANCE
from tests.sources import nodes

PACKAGE = Path(deluge_nb.__file__).parent
TABLE = Logprobs.from_entries(FRANCE)
NUMBER = Logprobs.from_entries([{"token": "7", "logprob": -0.1, "bytes": None, "top_logprobs": []}])


def front_door(name: str, package: str) -> Any:
    """Fetch a public name as if for the first time."""
    for module in [module for module in sys.modules if module.startswith(package)]:
        del sys.modules[module]
    vars(deluge_nb).pop(name, None)
    return getattr(deluge_nb, name)


FEATURES: list[tuple[str, Callable[[], Any]]] = [
    ("distributed", lambda: choose_engine("dask")),
    ("pandas", TABLE.to_pandas),
    ("pandas", lambda: TABLE.to_pandas(alternatives=True)),
    ("pandas", align(TABLE, TABLE).to_pandas),
    ("pandas", field_probs("7", NUMBER).to_pandas),
    ("pandas", Classifications([], [], ["a"], "exact").to_pandas),
    ("pandas", CalibrationReport([0.7, 0.2], [1, 0]).to_pandas),
    ("pyarrow", TABLE.to_arrow),
    ("scipy", lambda: clopper_pearson(7, 10)),
    ("sklearn", lambda: front_door("LogprobClassifier", "deluge_nb.estimators")),
    ("vl_convert", lambda: to_png(TABLE)),
    ("vl_convert", lambda: LogprobView(TABLE).to_png()),
    ("vl_convert", lambda: to_html(TABLE, picture=True)),
]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package impossible to import, as where it is not installed."""

    # Letters that another test has drawn need no package.
    monkeypatch.setattr(raster, "_masks", {})

    def leave_out(package: str) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return leave_out


@pytest.mark.parametrize(("package", "use"), FEATURES)
def test_a_feature_that_needs_a_package_names_the_extra_to_install(
    without: Callable[[str], None], package: str, use: Callable[[], Any]
) -> None:
    without(package)
    with pytest.raises(MissingDependencyError) as caught:
        use()
    extra, name = _EXTRAS[package]
    assert (caught.value.package, caught.value.extra) == (package, extra)
    sentence = f" needs {name}, which is not installed; install it with pip install 'deluge-nb[{extra}]'."
    assert str(caught.value).endswith(sentence)


def test_an_engine_that_is_not_installed_names_its_extra(without: Callable[[str], None]) -> None:
    without("ray")
    with pytest.raises(
        MissingDependencyError, match=r"needs Ray, which is not .*; .*pip install 'deluge-nb\[ray\]'"
    ) as caught:
        choose_engine("ray")
    assert caught.value.extra == "ray"


@pytest.mark.parametrize(("package", "use"), FEATURES)
def test_it_works_where_the_package_is_installed(package: str, use: Callable[[], Any]) -> None:
    assert has_extra(package)
    assert use() is not None


@pytest.mark.parametrize("missing", [True, False])
def test_a_star_import_brings_only_names_that_can_be_used(missing: bool) -> None:
    block = "import sys; sys.modules['sklearn'] = None\n" if missing else ""
    code = f"{block}from deluge_nb import *\nprint('LogprobClassifier' in globals(), 'classify' in globals())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(not missing), "True"]


def test_a_broken_package_is_reported_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("import a_module_that_is_not_there")
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"cannot be imported .*a_module_that_is_not_there"):
        import_extra("pandas", "to_pandas()")


def test_a_view_and_a_chart_are_shown_without_their_picture(without: Callable[[str], None]) -> None:
    pictured = LogprobView(TABLE)._static_forms()["text/html"]
    without("vl_convert")
    html = LogprobView(TABLE)._static_forms()["text/html"]
    assert "data:image/png" in pictured
    assert "<img" not in html
    assert 'class="deluge-pictured"' not in html
    assert html.count("deluge-token") == pictured.count("deluge-token")
    bundle: Any = entropy_chart(TABLE)._repr_mimebundle_()
    data, metadata = bundle
    assert set(data) == {"application/vnd.vegalite.v5+json", "text/plain"}
    assert metadata == {}
    assert to_svg(TABLE).startswith("<svg")


def test_numbers_are_had_without_any_extra(without: Callable[[str], None]) -> None:
    for package in _EXTRAS:
        without(package)
    assert np.isfinite(TABLE.entropy()).all()
    assert "France" in TABLE.text
    assert to_html(TABLE)


def test_every_extra_that_is_named_brings_its_package() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {
        extra: {requirement.split(">")[0] for requirement in requirements}
        for extra, requirements in project["optional-dependencies"].items()
    }
    for module, (extra, package) in _EXTRAS.items():
        assert package.lower() in brought[extra], module
        assert not any(requirement.startswith(module.replace("_", "-")) for requirement in project["dependencies"])
    everything = next(iter(project["optional-dependencies"]["all"]))
    # Ray takes as much space as all others together.
    assert set(everything.split("[")[1].rstrip("]").split(",")) == set(brought) - {"all", "dev", "docs", "ray"}


def test_only_one_module_says_how_to_install_an_extra() -> None:
    saying = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "pip install" in node.value
    }
    assert saying == {"extras.py"}
