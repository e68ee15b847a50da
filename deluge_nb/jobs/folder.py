"""The folder of a job: its question, its pinned input, and one file of answers for each finished part.

.. code-block:: text

    job.json                    fingerprint, what it is made of, rows, digest of each part
    input.parquet               the input's rows; one row group per part
    parts/part-000000.parquet   the answers of part 0

A part whose file is there and whole is done. Doing a part twice is harmless: the file has the same name and the same
rows. So the result has one answer for each row, in order, if each part is run at least once, by whatever engine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from ..errors import SettingError
from .columns import COLUMN, DICTIONARIES, SPLIT
from .files import write_whole
from .inputs.frames import COUNTED, FIRST
from .inputs.hashing import RowHasher

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""Version of the folder; a change that older versions of the package cannot read counts it up."""
# Characters of a value in a message about another job.
_LONGEST = 60
_FINGERPRINT = b"fingerprint"
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


class JobFolder:
    """A job's folder on disk.

    Parameters
    ----------
    path
        The folder.
    manifest
        What is in it.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def open(cls, path: Path, fingerprint: str | None = None) -> Self:
        """Return the job in a folder.

        Raises
        ------
        SettingError
            When there is none, or another one than the fingerprint says.
        """
        manifest = read_manifest(path)
        if manifest is None:
            raise SettingError(
                f"There is no job in {path}: its job.json is gone; run the call that made the job again.",
                setting="out",
                value=str(path),
            )
        if fingerprint is not None and manifest.fingerprint != fingerprint:
            raise SettingError(
                f"{path} holds another job now ({manifest.fingerprint}, not {fingerprint}); choose another folder.",
                setting="out",
                value=str(path),
            )
        return cls(path, manifest)

    @classmethod
    def create(cls, path: Path, manifest: Manifest, schema: pa.Schema, tables: Iterable[pa.Table]) -> Self:
        """Pin the input in a new folder, one row group for each part; ``job.json`` comes last."""
        import pyarrow.parquet as pq

        require_writable(path)

        def write(file: Any) -> None:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=table.num_rows)

        write_whole(path / "input.parquet", write)
        content = json.dumps(asdict(manifest), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")
        write_whole(path / "job.json", lambda file: file.write(content))
        return cls(path, manifest)

    @property
    def parts(self) -> range:
        """Numbers of all parts."""
        return range(len(self.manifest.digests))

    def part_path(self, part: int) -> Path:
        """Return the file of a part's answers."""
        return self.path / "parts" / f"part-{part:06d}.parquet"

    def is_done(self, part: int) -> bool:
        """Return whether the answers of a part are there, and whole; a torn file counts as missing.

        Raises
        ------
        SettingError
            When the file belongs to another job.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.part_path(part)
        try:
            found = pq.read_metadata(path).metadata or {}
        except (OSError, pa.ArrowException):
            return False
        fingerprint = found.get(_FINGERPRINT, b"?").decode()
        if fingerprint != f"{self.manifest.fingerprint}-{part}-{self.manifest.digests[part]}":
            raise SettingError(
                f"{path} belongs to another job ({fingerprint}); move it out of the folder.",
                setting="out",
                value=str(path),
            )
        return True

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not done."""
        return [part for part in self.parts if not self.is_done(part)]

    def read_input(self, part: int, columns: list[str] | None = None) -> pa.Table:
        """Return the input's rows of a part."""
        import pyarrow.parquet as pq

        with self._reading("input.parquet"), pq.ParquetFile(self.path / "input.parquet") as file:
            return file.read_row_group(part, columns=columns)

    def read_schema(self) -> pa.Schema:
        """Return the schema of the pinned input."""
        import pyarrow.parquet as pq

        with self._reading("input.parquet"):
            return pq.read_schema(self.path / "input.parquet")

    def read_questions(self, part: int) -> pa.Table:
        """Return the rows of a part that are asked: the columns that the template uses, and the numbers of the rows.

        Raises
        ------
        SettingError
            When the pinned input is not what it was when the job began.
        """
        import pyarrow as pa

        table = self.read_input(part, [*self.manifest.used, FIRST])
        hasher = RowHasher(self.manifest.used)
        hasher.add(table)
        if hasher.hexdigest() != self.manifest.digests[part]:
            raise SettingError(
                f"input.parquet in {self.path} was changed after the job began: its part {part} has other rows; "
                "start the job in another folder.",
                setting="out",
                value=str(self.path),
            )
        begin = part * self.manifest.part_rows
        is_first = table[FIRST].to_numpy() == np.arange(begin, begin + table.num_rows)
        return table.filter(pa.array(is_first))

    def write_answers(self, part: int, answers: pa.Table) -> None:
        """Write the answers of a part."""
        mark = f"{self.manifest.fingerprint}-{part}-{self.manifest.digests[part]}".encode()
        marked = answers.replace_schema_metadata({**(answers.schema.metadata or {}), _FINGERPRINT: mark})
        write_whole(self.part_path(part), lambda file: write_table(marked, file))

    def read_answers(self, part: int, columns: list[str] | None = None) -> pa.Table:
        """Return the answers of a part.

        Raises
        ------
        SettingError
            When the file is damaged.
        """
        import pyarrow.parquet as pq

        path = self.part_path(part)
        has_tokens = self.manifest.made_of.get("keep") != "probabilities"
        dictionaries = [name for name in DICTIONARIES if has_tokens and name.endswith("token")]
        with (
            self._reading(f"parts/{path.name}", "delete the file and run the job again, which asks its rows again"),
            pq.ParquetFile(path, read_dictionary=dictionaries, page_checksum_verification=True) as file,
        ):
            return file.read(columns=columns)

    @contextlib.contextmanager
    def _reading(self, name: str, remedy: str = "start the job in another folder") -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (OSError, pa.ArrowException) as error:
            reason = "is gone" if isinstance(error, FileNotFoundError) else f"cannot be read ({_reason_of(error)})"
            raise SettingError(
                f"{name} in {self.path} {reason}; {remedy}.",
                setting="out",
                value=str(self.path),
            ) from None


def require_writable(path: Path) -> None:
    """Check that answers can be written to a job's folder, before any is paid for.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    SettingError
        When they cannot.
    """
    probe = path / "parts" / "probe.tmp"
    with contextlib.suppress(OSError):  # the file says why
        probe.parent.mkdir(exist_ok=True)
    write_whole(probe, lambda file: None)
    probe.unlink(missing_ok=True)


def _reason_of(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def write_table(table: pa.Table, file: BinaryIO) -> None:
    """Write answers as Parquet, in the least space: texts as dictionaries, and the bytes of numbers by their place."""
    import pyarrow.parquet as pq

    names = set(table.column_names)
    texts = [name for name in ("label", "finish_reason", "error", "model") if name in names]
    pq.write_table(
        table,
        file,
        compression="zstd",
        use_dictionary=[*texts, *(DICTIONARIES if COLUMN in names else ())],
        use_byte_stream_split=SPLIT if COLUMN in names else False,
        write_page_checksum=True,
    )


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
        return Manifest(**plain)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, SettingError):
            raise
        raise SettingError(
            f"{file} cannot be read ({type(error).__name__}); choose another folder.", setting="out", value=str(path)
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
