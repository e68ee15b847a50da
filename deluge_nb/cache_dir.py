"""The folder for files that are kept between sessions, such as cached responses and model weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "DELUGE_NB_CACHE"


def cache_folder() -> Path | None:
    """Return the folder that ``DELUGE_NB_CACHE`` names, else the platform's cache folder.

    Returns
    -------
    Path or None
        The folder, which may not exist yet; None if the user has no home folder.
    """
    folder = os.environ.get(CACHE_VARIABLE)
    try:
        if folder:
            return Path(folder).expanduser()
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "deluge_nb"
