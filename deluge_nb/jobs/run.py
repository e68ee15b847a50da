"""Prepare a job's folder, and run the parts that are missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answers.inputs import fill_prompt, placeholders, template_texts
from ..cache_dir import cache_folder
from ..errors import SettingError
from .engines.base import Worker, watching
from .inputs.frames import COUNTED, FIRST, Frame, describe_range, index_names
from .inputs.hashing import RowHasher, first_rows, row_keys
from .inputs.types import check_storable, without_text
from .progress import Progress
from .spec import Spec, digest
from .storage.files import locked, remove_unfinished
from .storage.folder import JobFolder, require_writable
from .storage.manifest import Manifest, check_same, read_manifest
from .worker import result_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from .engines.base import Engine

Update = Callable[[Progress], object]
_SEEN = ["error", "is_transient", "cost", "probability", "matched_mass"]
# Rows that are hashed at a time.
_CHUNK = 4096


def prepare(
    frame: Frame,
    spec: Spec,
    out: Path | None,
    part_rows: int,
    dedup: bool | None,
    notify: Callable[[str], object],
) -> JobFolder:
    """Return the folder of a job: a new one, or the one that holds the same job already.

    Parameters
    ----------
    frame, spec, out, part_rows, dedup
        As for :func:`~deluge_nb.jobs.score.score_frame`.
    notify
        Receives a sentence if another process begins a job in the same folder.

    Raises
    ------
    SettingError
        When the folder holds another job, or template and columns do not fit together.
    """
    used = check_frame(frame, spec)
    check_storable(frame.schema)
    shared = spec.is_deterministic if dedup is None else dedup
    hasher = RowHasher(frame.schema.names)
    for table in frame.tables(_CHUNK):
        hasher.add(table)
    made_of = {
        **spec.question,
        "columns": frame.schema.names,
        "input": f"{frame.rows} rows, {hasher.hexdigest()}",
        "dedup": shared,
    }
    counted = describe_range(frame.schema)
    if counted != COUNTED:  # any other index is a column
        made_of["index"] = counted
    fingerprint = digest(made_of)
    path = out if out is not None else _default_folder() / fingerprint
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a path with U+0000
        raise SettingError(
            f"out={str(path)!r} cannot be made a folder ({getattr(error, 'strerror', error)}); choose another one.",
            setting="out",
            value=str(path),
        ) from None

    def find() -> JobFolder | None:
        found = read_manifest(path)
        if found is not None:
            check_same(path, found, fingerprint, made_of)
        return None if found is None else JobFolder(path, found)

    job = find()
    if job is not None and job.is_pinned:
        return job
    with locked(path, notify):
        job = find()  # another process may have been faster
        part_rows = part_rows if job is None else job.manifest.part_rows
        first, digests = _read_questions(frame, used, part_rows, shared)
        pinned = _pinned_schema(frame), _pinned(frame, part_rows, first)
        if job is not None:
            if not job.is_pinned:
                job.pin(*pinned)
            return job
        manifest = Manifest(
            fingerprint, made_of, frame.rows, part_rows, int((first == np.arange(len(first))).sum()), used, digests
        )
        return JobFolder.create(path, manifest, *pinned)


def check_columns(names: Sequence[str], spec: Spec, index: Sequence[str] = ()) -> list[str]:
    """Return the columns that the template uses, after a check of all names.

    Parameters
    ----------
    names
        The names of all columns.
    spec
        The job.
    index
        Those of them that are the index of a pandas frame.

    Raises
    ------
    SettingError
        When the template asks for another column, or one has the name of a result.
    """
    for name in result_names(spec):
        if name in names:
            kind, rename = ("an index", "rename_axis(index") if name in index else ("a column", "rename(columns")
            raise SettingError(
                f"data has {kind} {name!r}, which is the name of a result; rename it, as with "
                f"df.{rename}={{{name!r}: {name + '_given'!r}}}).",
                setting="data",
                value=name,
            )
    if FIRST in names:
        raise SettingError(f"data has a column {FIRST!r}; leave it out.", setting="data", value=FIRST)
    named = [name for name in names if name not in index or not name.startswith("__index_level_")]
    _check_placeholders(named, spec)
    fill_prompt(dict.fromkeys(named, "x"), spec.template, "the data")
    inside = placeholders(spec.template)
    return [name for name in names if name in inside]


def check_schema(schema: pa.Schema, spec: Spec) -> list[str]:
    """Return the columns that the template uses, after a check of all names and of the types of those.

    Raises
    ------
    SettingError
        As :func:`check_columns`, and for a column that has no text.
    """
    used = check_columns(schema.names, spec, index_names(schema))
    for name in used:
        if (cure := without_text(schema.field(name).type)) is not None:
            raise SettingError(
                f"The column {name!r} of data has no text to fill into {{{name}}}; convert it, as with "
                f"df[{name!r}]{cure}.",
                setting="data",
                value=name,
            )
    return used


def check_frame(frame: Frame, spec: Spec) -> list[str]:
    """Return the columns of a frame that the template uses, after a check of names, types and values.

    Raises
    ------
    SettingError
        As :func:`check_schema`, and for dicts that would not be asked as they look.
    """
    used = check_schema(frame.schema, spec)
    name = next((name for name in used if name in frame.uneven), None)
    if name is not None:
        raise SettingError(
            f"The column {name!r} of data has dicts with different keys, which a table fills up with None; make them "
            f"texts, as with df[{name!r}].map(json.dumps).",
            setting="data",
            value=name,
        )
    return used


def _check_placeholders(names: Sequence[str], spec: Spec) -> None:
    """Raise an error for what looks like a placeholder and would be sent as it stands."""
    inside, texts = placeholders(spec.template), template_texts(spec.template)
    if "" in inside:
        some = f", such as {{{names[0]}}}" if names else ""
        raise SettingError(
            f"template has {{}}: write the name of a column between the braces{some}.",
            setting="template",
            value=spec.template,
        )
    for name in filter(None, names):
        # A name alone, or with a format, an attribute or a key, as in Python's own templates.
        like = re.compile(rf"\{{\s*{re.escape(name)}\s*(?:[!:.\[][^{{}}\s\"']*)?\s*\}}")
        found = next(
            (match[0] for text in texts for match in like.finditer(text) if match[0][1:-1] not in inside), None
        )
        if found is None:
            continue
        plain = re.sub(r"\W", "_", name)
        plain = plain if plain.isdigit() or plain.isidentifier() else f"_{plain}"
        cure = (
            f"rename the column, as with df.rename(columns={{{name!r}: {plain!r}}}), and write {{{plain}}}"
            if plain != name
            else f"write {{{name}}}, without anything else between the braces"
        )
        raise SettingError(
            f"template has {found}, which is no placeholder (those are letters, digits and _): {cure}.",
            setting="template",
            value=spec.template,
        )


def _default_folder() -> Path:
    folder = cache_folder()
    if folder is None:
        raise SettingError("There is no home folder for the job; name a folder with out=.", setting="out")
    return folder / "jobs"


def _read_questions(
    frame: Frame, used: Sequence[str], part_rows: int, shared: bool
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[str]]:
    """Return the first row with the same question as each row, and the hash of each part's questions."""
    digests: list[str] = []
    keys = []
    for table in frame.tables(part_rows):
        hasher = RowHasher(used)
        rows = hasher.add(table)
        digests.append(hasher.hexdigest())
        if shared:
            keys.append(row_keys(rows))
    if not shared or not keys:
        return np.arange(frame.rows), digests
    return first_rows(np.concatenate(keys)), digests


def _pinned_schema(frame: Frame) -> pa.Schema:
    import pyarrow as pa

    return frame.schema.append(pa.field(FIRST, pa.int64()))


def _pinned(frame: Frame, part_rows: int, first: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[pa.Table]:
    import pyarrow as pa

    schema, begin = _pinned_schema(frame), 0
    for table in frame.tables(part_rows):
        rows = pa.array(first[begin : begin + table.num_rows])
        yield table.append_column(FIRST, rows).cast(schema)
        begin += table.num_rows


def run(
    folder: JobFolder,
    spec: Spec,
    engine: Engine,
    update: Update,
    notify: Callable[[str], object],
    *,
    again: bool = False,
) -> Progress:
    """Run the parts that are missing; return the counts of all parts.

    Parameters
    ----------
    folder, spec
        The job.
    engine
        What runs the parts.
    update
        Receives the counts after each part, and between parts where the engine knows how far they are.
    notify
        Receives a sentence if another process works on the same folder.
    again
        Whether to run those parts, too, that have rows which failed for a reason that may be gone.

    Raises
    ------
    SettingError
        When the job is not in the folder any more, or the folder cannot be written to.
    """
    folder.open(folder.path, folder.manifest.fingerprint)  # raises where the job is gone, or another one is there
    with locked(folder.path, notify) as is_alone:
        # Rows to ask of each part.
        asked = {part: _rows_of(folder, part) for part in folder.missing()}
        progress = Progress(folder.manifest.rows, folder.manifest.questions, len(folder.parts))
        for part in sorted({*folder.parts}.difference(asked)) if again else ():
            if transient := _transient(folder, part):
                asked[part] = transient
                progress.rows_done += _rows_of(folder, part) - transient
        if asked:
            require_writable(folder.path)
        for part in folder.parts:
            if part not in asked:
                _count(progress, folder, part, _rows_of(folder, part), is_new=False)
        update(progress)
        worker = Worker(str(folder.path.absolute()), folder.manifest.fingerprint, spec, again)
        _run_parts(folder, dict(sorted(asked.items())), worker, engine, progress, update)
        if is_alone:  # else another driver may be writing them
            remove_unfinished(folder.path / "parts")
            remove_unfinished(folder.path)
    return progress


def _run_parts(
    folder: JobFolder, asked: Mapping[int, int], worker: Worker, engine: Engine, progress: Progress, update: Update
) -> None:
    left = set(asked)

    def watch(shares: Mapping[int, float]) -> None:
        progress.under_way = {part: asked[part] * share for part, share in shares.items() if part in left}
        update(progress)

    reports = engine.run(list(asked), worker)
    try:
        with watching(watch):
            for report in reports if asked else ():
                if report.part in left:  # an engine may run a part twice
                    left.discard(report.part)
                    progress.under_way.pop(report.part, None)
                    _count(progress, folder, report.part, asked[report.part], is_new=True)
                    update(progress)
    except BaseException as error:
        progress.finish(type(error).__name__)
        done = len(folder.parts) - len(left)
        rest = "job.retry() asks the rest again" if worker.again else "the same call asks the rest"
        error.add_note(f"{done} of {len(folder.parts)} parts are done, in {folder.path}; {rest}.")
        raise
    finally:
        close = getattr(reports, "close", None)
        if close is not None:
            close()
    progress.finish()
    if left:
        raise RuntimeError(f"The engine {type(engine).__name__} has not run the parts {sorted(left)[:5]}.")


def _transient(folder: JobFolder, part: int) -> int:
    """Return how many rows of a part failed for a reason that may be gone."""
    return int(np.count_nonzero(folder.read_answers(part, ["is_transient"])["is_transient"].to_numpy()))


def _count(progress: Progress, folder: JobFolder, part: int, rows: int, *, is_new: bool) -> None:
    progress.add(folder.read_answers(part, _SEEN), rows, is_new=is_new)


def _rows_of(folder: JobFolder, part: int) -> int:
    manifest = folder.manifest
    return min(manifest.part_rows, manifest.rows - part * manifest.part_rows)
