"""Import of optional packages, with one error message that names the extra to install."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .errors import MissingDependencyError

# Module: the extra of this package that installs it, and the name of its package for messages.
_EXTRAS = {
    "distributed": ("dask", "distributed"),
    "pandas": ("tables", "pandas"),
    "polars": ("polars", "polars"),
    "pyarrow": ("tables", "pyarrow"),
    "ray": ("ray", "Ray"),
    "scipy": ("stats", "SciPy"),
    "sklearn": ("sklearn", "scikit-learn"),
    "vl_convert": ("pictures", "vl-convert-python"),
    "xllamacpp": ("local", "xllamacpp"),
}


def import_extra(module: str, feature: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module
        Its name, such as ``"pandas"`` or ``"scipy.stats"``.
    feature
        The feature that needs it, as the subject of the error's sentence.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingDependencyError
        When the package is not installed, or cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_extra(module, feature, error) from None


def has_extra(module: str) -> bool:
    """Return True if an optional package is installed, without importing it."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def install_command(module: str) -> str:
    """Return the command that installs an optional package."""
    extra, _ = _EXTRAS[module]
    return f"pip install 'deluge-nb[{extra}]'"


def missing_extra(module: str, feature: str, error: ImportError | None = None) -> MissingDependencyError:
    """Return the error for an optional package that a feature needs and that cannot be imported."""
    top = module.partition(".")[0]
    extra, package = _EXTRAS[top]
    # A missing package is reported by the name of any of its modules on the way.
    absent = getattr(error, "name", None)
    if absent is None or f"{module}.".startswith(f"{absent}."):
        reason = "which is not installed"
    else:
        reason = f"which cannot be imported ({error})"
    return MissingDependencyError(
        f"{feature} needs {package}, {reason}; install it with {install_command(top)}.",
        package=top,
        extra=extra,
    )
