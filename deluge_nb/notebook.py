"""Detect a notebook's kernel."""

from __future__ import annotations

import sys
from typing import Any


def kernel_shell() -> Any:
    """Return IPython's shell if it runs in a Jupyter kernel; else None."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None
