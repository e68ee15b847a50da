"""The built front end: fresh, self-contained, and in what is shipped."""

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
OUTPUTS = ("view.js", "view.css", "page.js", "compare.js", "compare.css", "compare_page.js")
STATIC = [f"deluge_nb/static/{name}" for name in ("sources.sha256", *OUTPUTS)]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one source file with a bundle made from it, which the hook takes for its own."""
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


def program(folder: Path, name: str, said: str) -> Path:
    """A program that prints one line."""
    if sys.platform == "win32":
        path, text = folder / f"{name}.bat", f"@echo {said}\n"
    else:
        path, text = folder / name, f"#!/bin/sh\necho {said}\n"
    path.write_text(text)
    path.chmod(0o755)
    return path


def built(target: str, source: Path, out: Path, **env: str) -> Path:
    """What hatchling makes of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=source, env={**os.environ, **env}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.iterdir())


def test_the_bundle_was_made_from_the_sources_as_they_are() -> None:
    assert hatch_build.bundle_is_fresh(), "run: uv pip install --no-deps --no-build-isolation --editable ."


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_bundle_asks_for_nothing_from_elsewhere(name: str) -> None:
    text = (hatch_build.STATIC / name).read_text(encoding="utf-8")
    assert not [part for part in ("http://", "https://", "@import", "url(", "innerHTML", "eval(") if part in text]


@pytest.mark.parametrize("name", ["view.css", "compare.css"])
def test_lines_of_text_are_said_as_safari_reads_them(name: str) -> None:
    text = (hatch_build.STATIC / name).read_text(encoding="utf-8")
    # With a style, a thickness or a colour in it WebKit drops the whole of this one.
    found = re.findall(r"text-decoration:([^;}]*)", text)
    assert len(found) >= 2
    assert {word for value in found for word in value.split()} <= {"underline", "overline", "none"}


@pytest.mark.parametrize("widget", ["view", "compare"])
def test_the_bundle_is_small_for_it_is_sent_with_every_widget(widget: str) -> None:
    sent = [hatch_build.STATIC / f"{widget}.{kind}" for kind in ("js", "css")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in sent) <= 40_000


def test_a_script_within_a_page_does_not_end_it() -> None:
    for name in ("page.js", "view.css", "compare_page.js", "compare.css"):
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


def test_line_ends_and_file_times_do_not(checkout: Path) -> None:
    source = checkout / "js" / "src" / "entry" / "view.ts"
    source.write_bytes(b"one\r\n")
    os.utime(source, (0, 0))
    assert hatch_build.bundle_is_fresh()


def test_a_missing_file_makes_the_bundle_stale(checkout: Path) -> None:
    (checkout / "deluge_nb" / "static" / "view.css").unlink()
    assert not hatch_build.bundle_is_fresh()


def test_node_is_asked_for_only_where_there_is_none_and_the_bundle_is_stale(
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


def test_the_build_can_be_told_to_leave_the_bundle_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "js" / "build.mjs").write_text("two\n")
    monkeypatch.setenv("PATH", str(checkout))  # where there is nothing to run
    monkeypatch.setenv("DELUGE_NB_SKIP_BUNDLE", "1")
    hook(checkout).initialize("standard", {})
    assert not hatch_build.bundle_is_fresh()


@pytest.mark.slow
def test_the_wheel_has_the_bundle_and_no_sources_of_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(built("wheel", ROOT, tmp_path)) as wheel:
        names = set(wheel.namelist())
    assert set(STATIC) <= names
    assert not [name for name in names if name.startswith("js/")]


@pytest.mark.slow
def test_the_sdist_has_sources_and_bundle_and_is_built_without_node(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", ROOT, tmp_path / "sdist")) as sdist:
        sdist.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert (source / "js" / "src" / "entry" / "view.ts").is_file()
    assert not (source / "js" / "node_modules").exists()
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert shutil.which("node", path=str(nowhere)) is None
    with zipfile.ZipFile(built("wheel", source, tmp_path / "wheel", PATH=str(nowhere))) as wheel:
        assert set(STATIC) <= set(wheel.namelist())
