"""Where what is kept between sessions is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "DELUGE_NB_CACHE"


def cache_folder() -> Path | None:
    """``DELUGE_NB_CACHE``, else the platform's folder for caches; None where this user has no home to keep them in."""
    named = os.environ.get(CACHE_VARIABLE)
    try:
        if named:
            return Path(named).expanduser()
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "deluge_nb"
