"""``%%deluge``: send a cell's text to a model, and show the completion coloured by probability.

Loading the extension also registers how responses and tables of log-probabilities display themselves in IPython.
"""

from typing import Any

__all__ = ["DelugeMagics"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .magics import DelugeMagics

    return DelugeMagics
