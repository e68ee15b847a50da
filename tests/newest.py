"""Run pytest on the newest Python of this machine: ``python tests/newest.py FOLDER [arguments of pytest]``.

FOLDER holds an environment made from `requirements.lock`. If no Python starts that is newer than the one that runs this
script, it says so and succeeds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"python3\.(\d+)(\.exe)?")
# Run in isolated mode, so that the user's modules are not imported.
DESCRIBE = "import sys; print(sys.version_info.releaselevel, sys.version.split()[0], sys.base_prefix)"
START_LIMIT = 60


class Python(NamedTuple):
    """A Python interpreter that starts."""

    program: str
    level: str
    version: str
    home: str

    @property
    def minor(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")[:2]))


def start(program: str) -> Python | None:
    """Start a program and return the Python it is; None if it does not start (a shim of an unselected version)."""
    try:
        done = subprocess.run(
            [program, "-I", "-c", DESCRIBE], capture_output=True, text=True, check=False, timeout=START_LIMIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.strip().split(" ", 2)
    return Python(program, *words) if done.returncode == 0 and len(words) == 3 else None


def programs(path: str) -> list[str]:
    """Return every ``python3.N`` on a search path, newest first."""
    versions: list[tuple[int, str]] = []
    for folder in path.split(os.pathsep):
        entries = sorted(Path(folder).iterdir()) if folder and Path(folder).is_dir() else []
        for entry in entries:
            match = NAME.fullmatch(entry.name)
            if match is not None and os.access(entry, os.X_OK):
                versions.append((int(match[1]), str(entry)))
    return [program for _, program in sorted(versions, key=lambda pair: -pair[0])]


def find_newest(path: str, requirement: str) -> Python | None:
    """Return the newest released Python on a search path that starts and that a requirement allows."""
    allowed = SpecifierSet(requirement)
    for program in programs(path):
        python = start(program)
        if python is not None and python.level == "final" and python.version in allowed:
            return python
    return None


def make_environment(folder: Path, python: Python) -> str:
    """Make an environment with the locked packages and this project, and return its interpreter."""
    program = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    existing = start(str(program))
    if existing is None or (existing.version, existing.home) != (python.version, python.home):
        uv("venv", "--clear", "--python", python.program, str(folder))
    uv("pip", "sync", "--python", str(program), "requirements.lock")
    uv("pip", "install", "--python", str(program), "--no-deps", "--no-build-isolation", "--editable", ".")
    return str(program)


def uv(*arguments: str) -> None:
    """Run uv from the environment of this script."""
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], cwd=ROOT, check=True)


def main(folder: str, *arguments: str) -> int:
    """Find the newest Python, make its environment, and run pytest there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = find_newest(os.environ.get("PATH", ""), project["requires-python"])
    if newest is None or newest.minor <= sys.version_info[:2]:
        print(
            f"python{sys.version_info[0]}.{sys.version_info[1]} is the newest that starts here; nothing newer to test",
            flush=True,
        )
        return 0
    print(f"testing on Python {newest.version}", flush=True)
    return subprocess.run([make_environment(ROOT / folder, newest), "-m", "pytest", *arguments], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
