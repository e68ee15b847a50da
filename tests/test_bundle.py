"""The built front end: up to date, self-contained, and part of wheel and sdist."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import hatch_build

ROOT = hatch_build.ROOT
OUTPUTS = tuple(path.name for path in hatch_build.OUTPUTS)
STATIC = [f"deluge_nb/static/{name}" for name in ("sources.sha256", *OUTPUTS)]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project of one source file and its bundle, and let the hook build there."""
    for name in ("js/src/entry/view.ts", "js/build.mjs", "js/package-lock.json", *STATIC):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one\n")
    static = tmp_path / "deluge_nb" / "static"
    monkeypatch.setattr(hatch_build, "JS", tmp_path / "js")
    monkeypatch.setattr(hatch_build, "STATIC", static)
    monkeypatch.setattr(hatch_build, "STAMP", static / "sources.sha256")
    monkeypatch.setattr(hatch_build, "OUTPUTS", tuple(static / name for name in OUTPUTS))
    hatch_build.STAMP.write_text(hatch_build.source_hash() + "\n")
    return tmp_path


def hook(root: Path) -> hatch_build.BundleHook:
    return hatch_build.BundleHook(str(root), {}, None, None, str(root), "wheel")  # type: ignore[arg-type]


def program(folder: Path, name: str, line: str) -> Path:
    """Write a program that prints one line."""
    if sys.platform == "win32":
        path, text = folder / f"{name}.bat", f"@echo {line}\n"
    else:
        path, text = folder / name, f"#!/bin/sh\necho {line}\n"
    path.write_text(text)
    path.chmod(0o755)
    return path


def build_target(target: str, source: Path, out: Path, **env: str) -> Path:
    """Build a source tree with hatchling."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=source, env={**os.environ, **env}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.iterdir())


def test_the_bundle_is_up_to_date() -> None:
    assert hatch_build.bundle_is_fresh(), "run: uv pip install --no-deps --no-build-isolation --editable ."


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_bundle_loads_nothing_from_the_network(name: str) -> None:
    # The address of SVG is the name of a namespace.
    text = (hatch_build.STATIC / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not [part for part in ("http://", "https://", "@import", "url(", "innerHTML", "eval(") if part in text]


@pytest.mark.parametrize("name", ["view.css", "compare.css", "comparisons.css"])
def test_text_decorations_use_only_keywords_that_safari_supports(name: str) -> None:
    text = (hatch_build.STATIC / name).read_text(encoding="utf-8")
    # WebKit ignores the whole declaration if it has a style, a thickness or a colour.
    values = re.findall(r"text-decoration:([^;}]*)", text)
    assert len(values) >= 2
    assert {word for value in values for word in value.split()} <= {"underline", "overline", "none"}


@pytest.mark.parametrize("path", hatch_build.OUTPUTS, ids=lambda path: path.name)
def test_every_bundle_is_at_most_32_kilobytes(path: Path) -> None:
    assert len(gzip.compress(path.read_bytes())) <= 32_000


def test_a_script_within_a_page_contains_no_closing_tag() -> None:
    for name in OUTPUTS:
        assert "</" not in (hatch_build.STATIC / name).read_text(encoding="utf-8")


def test_the_lock_names_no_addresses() -> None:
    lock = json.loads((ROOT / "js" / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all(package.get("integrity") for name, package in lock["packages"].items() if name)


def test_the_bundle_is_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "deluge_nb/static/" in ignored


@pytest.mark.parametrize("name", ["js/src/entry/view.ts", "js/build.mjs", "js/package-lock.json"])
def test_a_changed_source_makes_the_bundle_stale(checkout: Path, name: str) -> None:
    assert hatch_build.bundle_is_fresh()
    (checkout / name).write_text("two\n")
    assert not hatch_build.bundle_is_fresh()


def test_line_ends_and_file_times_leave_the_bundle_fresh(checkout: Path) -> None:
    source = checkout / "js" / "src" / "entry" / "view.ts"
    source.write_bytes(b"one\r\n")
    os.utime(source, (0, 0))
    assert hatch_build.bundle_is_fresh()


def test_a_missing_file_makes_the_bundle_stale(checkout: Path) -> None:
    (checkout / "deluge_nb" / "static" / "view.css").unlink()
    assert not hatch_build.bundle_is_fresh()


def test_the_build_requires_node_only_if_it_is_missing_and_the_bundle_is_stale(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert hook(checkout).dependencies() == []
    (checkout / "js" / "build.mjs").write_text("two\n")
    assert hook(checkout).dependencies() == [hatch_build.NODE_WHEEL]


def test_an_old_node_does_not_count(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    program(checkout, "npm", "")
    program(checkout, "node", "v18.20.1")
    assert hatch_build.node_on_path() is None
    node = program(checkout, "node", "v22.12.0")
    assert Path(hatch_build.node_on_path() or "") == node


def test_a_variable_makes_the_build_skip_the_bundle(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "js" / "build.mjs").write_text("two\n")
    monkeypatch.setenv("PATH", str(checkout))  # an empty folder: no program starts
    monkeypatch.setenv("DELUGE_NB_SKIP_BUNDLE", "1")
    hook(checkout).initialize("standard", {})
    assert not hatch_build.bundle_is_fresh()


@pytest.mark.slow
def test_the_wheel_has_the_bundle_and_no_sources_of_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_target("wheel", ROOT, tmp_path)) as wheel:
        names = set(wheel.namelist())
    assert set(STATIC) <= names
    assert not [name for name in names if name.startswith("js/")]


@pytest.mark.slow
def test_the_sdist_has_sources_and_bundle_and_is_built_without_node(tmp_path: Path) -> None:
    with tarfile.open(build_target("sdist", ROOT, tmp_path / "sdist")) as sdist:
        sdist.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert (source / "js" / "src" / "entry" / "view.ts").is_file()
    assert not (source / "js" / "node_modules").exists()
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert shutil.which("node", path=str(nowhere)) is None
    with zipfile.ZipFile(build_target("wheel", source, tmp_path / "wheel", PATH=str(nowhere))) as wheel:
        assert set(STATIC) <= set(wheel.namelist())
