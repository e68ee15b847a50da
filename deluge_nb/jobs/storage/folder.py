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
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from ...errors import SettingError
from ..inputs.frames import FIRST
from ..inputs.hashing import RowHasher
from .columns import COLUMN, DICTIONARIES, SPLIT
from .files import write_whole
from .manifest import Manifest, read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

_FINGERPRINT = b"fingerprint"
_INPUT = "input.parquet"
# The same call has the same rows, and pins them where they are missing.
_PIN_AGAIN = "delete the file and run the call that made the job again, which keeps the answers"


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
        """Pin the input in a new folder, one row group for each part; ``job.json`` comes last.

        Raises
        ------
        SettingError
            When the folder has an ``input.parquet`` that is no job's, or cannot be written to.
        """
        require_writable(path)
        _check_own(path)
        folder = cls(path, manifest)
        folder.pin(schema, tables)
        content = json.dumps(asdict(manifest), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")
        write_whole(path / "job.json", lambda file: file.write(content))
        return folder

    @property
    def is_pinned(self) -> bool:
        """True if the input's rows are there."""
        return (self.path / _INPUT).is_file()

    def pin(self, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        """Write the input's rows, a table for each part."""
        import pyarrow.parquet as pq

        def write(file: Any) -> None:
            with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=table.num_rows)

        write_whole(self.path / _INPUT, write)

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

        with (
            self._reading(_INPUT, _PIN_AGAIN),
            pq.ParquetFile(self.path / _INPUT, page_checksum_verification=True) as file,
        ):
            return _require_columns(file.read_row_group(part, columns=columns), [*(columns or ()), FIRST])

    def read_schema(self) -> pa.Schema:
        """Return the schema of the pinned input."""
        import pyarrow.parquet as pq

        with self._reading(_INPUT, _PIN_AGAIN):
            return pq.read_schema(self.path / _INPUT)

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
                f"{_INPUT} in {self.path} was changed after the job began: its part {part} has other rows; "
                f"{_PIN_AGAIN}.",
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
            return _require_columns(file.read(columns=columns), columns or ())

    @contextlib.contextmanager
    def _reading(self, name: str, remedy: str) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (OSError, UnicodeError, pa.ArrowException) as error:
            if is_gone := isinstance(error, FileNotFoundError):
                remedy = remedy.removeprefix("delete the file and ")
            reason = "is gone" if is_gone else f"cannot be read ({_reason_of(error)})"
            raise SettingError(
                f"{name} in {self.path} {reason}; {remedy}.",
                setting="out",
                value=str(self.path),
            ) from None


def _require_columns(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """Return a table that has all columns; a file may be so damaged that some have lost their names."""
    import pyarrow as pa

    lost = set(names).difference(table.column_names)
    if lost:
        raise pa.ArrowInvalid(f"it has no column {min(lost)!r}")
    return table


def _check_own(path: Path) -> None:
    """Raise an error if an ``input.parquet`` in a folder without a job was not left by one that was killed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        is_own = FIRST in pq.read_schema(path / _INPUT).names
    except FileNotFoundError:
        return
    except (OSError, pa.ArrowException):
        is_own = False
    if not is_own:
        raise SettingError(
            f"{path / _INPUT} is no job's, and a job would replace it; choose another folder with out=.",
            setting="out",
            value=str(path),
        )


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
