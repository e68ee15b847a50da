"""Read logs of Inspect (inspect-ai): ``.eval`` archives and ``.json`` files."""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DelugeError, SettingError
from ...logprobs.values import is_known
from ...paths import as_source, unreadable
from ..readers import as_logprobs
from .archive import read_member, read_text
from .samples import LoggedSample, LoggedSamples, as_text

# Inspect's words for grades, and for the reason why an answer ended.
_GRADES = {"C": 1.0, "I": 0.0, "N": 0.0}
_CHUNK = re.compile(r"_epoch_\d+/(sample|events/\d+)\.json$")
_STOP_REASONS = {"max_tokens": "length", "model_length": "length"}


def read_inspect_log(path: str | os.PathLike[str], *, scorer: str | None = None) -> LoggedSamples:
    """Return the samples of a log of Inspect, with the log-probabilities of their answers.

    Parameters
    ----------
    path
        An ``.eval`` or ``.json`` file, of a finished or an interrupted evaluation. Archives packed with Zstandard need
        pyarrow before Python 3.14.
    scorer
        The scorer that says whether an answer is right; needed where there are several.

    Returns
    -------
    LoggedSamples
        One per sample and epoch.

    Raises
    ------
    SettingError
        When the file cannot be read, is no such log, or ``scorer`` is missing or unknown.
    MissingDependencyError
        When an archive needs pyarrow.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from deluge_nb import CalibrationReport, read_inspect_log
    >>> token = {"token": "Yes", "logprob": -0.1, "bytes": None, "top_logprobs": None}
    >>> choice = {"message": {"content": "Yes"}, "stop_reason": "stop", "logprobs": {"content": [token]}}
    >>> sample = {"id": 1, "epoch": 1, "input": "Is 7 prime?", "target": "Yes", "output": {"choices": [choice]}}
    >>> sample["scores"] = {"match": {"value": "C"}}
    >>> path = pathlib.Path(tempfile.mkdtemp(), "log.json")
    >>> _ = path.write_text(json.dumps({"eval": {"task": "primes"}, "samples": [sample]}))
    >>> log = read_inspect_log(path)
    >>> log[0].logprobs.text, round(log[0].probability, 2), log[0].correct
    ('Yes', 0.9, 1.0)
    """
    header, samples = _read_file(as_source(path))
    task = _as_dict(header.get("eval")).get("task") or "a task"
    names = list(dict.fromkeys(name for sample in samples for name in _as_dict(sample.get("scores"))))
    if scorer is None and len(names) > 1:
        raise SettingError(
            f"The log has scores of {', '.join(map(repr, names))}: name one with scorer={names[0]!r}.",
            setting="scorer",
            value=names,
        )
    if scorer is not None and scorer not in names:
        known = ", ".join(map(repr, names)) or "none"
        raise SettingError(
            f"scorer must be one of the log's scorers ({known}), not {scorer!r}.", setting="scorer", value=scorer
        )
    chosen = scorer or next(iter(names), None)
    return LoggedSamples([_read_sample(sample, chosen) for sample in samples], f"Inspect's {task}")


def _read_file(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                header, samples = _read_archive(archive)
        else:
            header = json.loads(read_text(path))
            samples = header.get("samples") or [] if isinstance(header, dict) else None
    except OSError as error:
        raise unreadable(path, error) from None
    except SettingError:
        raise
    except (ValueError, RecursionError):
        raise _foreign(path) from None
    if not isinstance(header, dict) or "eval" not in header or not isinstance(samples, list):
        raise _foreign(path)
    if not all(isinstance(sample, dict) for sample in samples):
        raise _foreign(path)
    return header, samples


def _read_archive(archive: zipfile.ZipFile) -> tuple[Any, list[Any]]:
    names = archive.namelist()
    # An interrupted evaluation has no header yet, but what it began with.
    head = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
    if head is None:
        raise _foreign(Path(archive.filename or ""))
    # A sample that was run again is there under the same name; the last one counts.
    members = [name for name in dict.fromkeys(names) if name.startswith("samples/") and name.endswith(".json")]
    if any(_CHUNK.search(name) for name in members):
        raise SettingError(
            f"{Path(archive.filename or '').name} has its samples in chunks, which cannot be read yet: pass the .eval "
            "file that it was made from.",
            setting="path",
            value=archive.filename,
        )
    samples = [json.loads(read_member(archive, name)) for name in members]
    # They are there in the order in which they ended.
    return json.loads(read_member(archive, head)), sorted(samples, key=_order)


def _order(sample: Any) -> tuple[int, str]:
    """Return the place of a sample among others, as in Inspect's own readers."""
    fields = _as_dict(sample)
    name, epoch = fields.get("id", ""), fields.get("epoch")
    return epoch if isinstance(epoch, int) else 1, name if isinstance(name, str) else str(name).zfill(20)


def _foreign(path: Path) -> SettingError:
    return SettingError(
        f"{path.name} is no log of Inspect: pass an .eval or .json file of its log folder.",
        setting="path",
        value=str(path),
    )


def _read_sample(sample: Mapping[str, Any], scorer: str | None) -> LoggedSample:
    choices = _as_dict(sample.get("output")).get("choices")
    choice = _as_dict(choices[0]) if isinstance(choices, list) and choices else {}
    failure, listed = sample.get("error"), choice.get("logprobs")
    table, error = None, as_text(_as_dict(failure).get("message") or failure) or None
    # Without --logprobs, the list may be there and have no entries.
    if listed and not (isinstance(listed, dict) and "content" in listed and not listed["content"]):
        try:
            table = as_logprobs(listed)
        except DelugeError as problem:
            error = error or str(problem)
    # A withheld number is no number: the sum would be too high.
    is_whole = table is not None and len(table) > 0 and all(map(is_known, table.logprob.tolist()))
    scores = {
        name: score.get("value") if isinstance(score, dict) else score
        for name, score in _as_dict(sample.get("scores")).items()
    }
    reason = choice.get("stop_reason")
    return LoggedSample(
        sample.get("id", ""),
        sample.get("epoch") or 1,
        as_text(sample.get("input")),
        as_text(sample.get("target")),
        as_text(_as_dict(choice.get("message")).get("content")) if choice else None,
        math.exp(min(float(table.logprob.sum()), 0.0)) if table is not None and is_whole else None,
        _as_outcome(scores.get(scorer)) if scorer else None,
        table,
        scores=scores,
        stop_reason=_STOP_REASONS.get(str(reason), reason),
        error=error,
    )


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_outcome(value: Any) -> float | None:
    """Return 1 or 0 for a grade; None for a partial one, and for other numbers."""
    if isinstance(value, str):
        return _GRADES.get(value)
    return float(value) if isinstance(value, int | float) and value in (0, 1) else None
