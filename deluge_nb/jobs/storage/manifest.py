"""Manifest of a job's folder: its question and its input, in ``job.json``; and the differences of another job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SettingError
from ..inputs.frames import COUNTED

VERSION = 1
"""Version of the folder; a change that older versions of the package cannot read counts it up."""
# Characters of a value in a message about another job.
_LONGEST = 60
_NAMES = {
    "requests": "the models or their settings",
    "template": "the template",
    "labels": "the labels",
    "keep": "keep=",
    "precision": "precision=",
    "method": "the method",
    "calibration": "the calibration",
    "columns": "the columns of the input",
    "input": "the rows of the input",
    "index": "the index of the input",
    "dedup": "dedup=",
}
_PLURAL = {"requests", "labels", "columns", "input"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a job's folder: the question, the input and the parts.

    Parameters
    ----------
    fingerprint
        Hash of everything that decides an answer.
    made_of
        Inputs of the hash: hashes or short values by name, for messages on what differs.
    rows
        Rows of the input.
    part_rows
        Rows of each part but the last.
    questions
        Different questions; as many as rows unless equal prompts are asked once.
    used
        Columns that the template takes values from.
    digests
        Hash of the rows of each part, as far as the template uses them.
    """

    fingerprint: str
    made_of: dict[str, Any]
    rows: int
    part_rows: int
    questions: int
    used: list[str]
    digests: list[str]
    version: int = VERSION


def read_manifest(path: Path) -> Manifest | None:
    """Return what a folder is about; None if there is no job in it.

    Raises
    ------
    SettingError
        When its ``job.json`` cannot be read, or was written by a newer version.
    """
    file = path / "job.json"
    try:
        plain = json.loads(file.read_bytes())
        if plain["version"] > VERSION:
            raise SettingError(
                f"{file} was written by a newer version of deluge-nb; install that version.",
                setting="out",
                value=str(path),
            )
        manifest = Manifest(**plain)
        parts = -(-manifest.rows // manifest.part_rows)
        if not isinstance(manifest.made_of, dict) or len(manifest.digests) != parts:
            raise ValueError
        return manifest
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError) as error:
        if isinstance(error, SettingError):
            raise
        raise SettingError(
            f"{file} cannot be read ({type(error).__name__}); delete it and run the call that made the job again, "
            "which keeps the answers, or choose another folder.",
            setting="out",
            value=str(path),
        ) from None


def check_same(path: Path, found: Manifest, fingerprint: str, made_of: dict[str, Any]) -> None:
    """Raise an error if a folder holds another job than the one that is to run, and say what differs.

    Raises
    ------
    SettingError
        If it does.
    """
    if found.fingerprint == fingerprint:
        return
    sides = ({"index": COUNTED, **found.made_of}, {"index": COUNTED, **made_of})
    differs = [name for name in sides[1] if sides[0].get(name) != sides[1][name]]
    parts = [_difference(name, sides[0].get(name), sides[1][name]) for name in differs]
    verb = "differ" if len(parts) > 1 or _PLURAL.intersection(differs) else "differs"
    raise SettingError(
        f"{path} holds another job: {', '.join(parts) or 'its fingerprint'} {verb}; choose another folder with out=.",
        setting="out",
        value=str(path),
    )


def _difference(name: str, before: Any, now: Any) -> str:
    leaves = dict(_leaves(before)), dict(_leaves(now))
    place = next((place for place in [*leaves[1], *leaves[0]] if leaves[0].get(place) != leaves[1].get(place)), "")
    if name == "requests" or leaves[0].keys() == leaves[1].keys():
        texts = [repr(values.get(place)) for values in leaves]
    else:  # one side may have nothing at that place, so the whole is shown
        are_named = isinstance(before, dict) and isinstance(now, dict) and before.keys() != now.keys()
        texts = [repr(list(value) if are_named else value) for value in (before, now)]
    # A long text is shown from shortly before the first difference.
    pairs = enumerate(zip(*texts, strict=False))
    same = next((position for position, (old, new) in pairs if old != new), min(map(len, texts)))
    begin = max(0, same - 10) if max(map(len, texts)) > _LONGEST else 0
    end = begin + _LONGEST
    there, here = ("…" * (begin > 0) + text[begin:end] + "…" * (len(text) > end) for text in texts)
    what = f"{place} " if place and name == "requests" else ""
    return f"{_NAMES.get(name, name)} ({what}{there} there, {here} here)"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the plain values inside a value of JSON, each with the name that it has there."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{place}.{name}".removeprefix("."))
    elif isinstance(value, list) and len(value) == 1:
        yield from _leaves(value[0], place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
    else:
        yield place, value
