"""Processes below this one, as engines start them."""

from __future__ import annotations

import psutil


def descendants(text: str) -> list[psutil.Process]:
    """Return the processes below this one that have a text in their command lines."""
    family = list[psutil.Process]()
    for process in psutil.Process().children(recursive=True):
        try:
            if text in " ".join(process.cmdline()):
                family.append(process)
        except psutil.Error:  # it has ended
            continue
    return family


def embedded_servers() -> list[psutil.Process]:
    """Return the servers of embedded models."""
    return descendants("deluge_nb/local/child.py")
