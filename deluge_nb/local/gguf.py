"""Check of a GGUF file's header before a server loads the file.

The runtime aborts its process on some invalid files and reports little about the others.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import LocalModelError

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
# Weights per block and bytes per block, by the number of the quantisation; other quantisations are not checked.
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84)} | {
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    30: (1, 2),
}
# Entries or bytes; real headers stay far below, and a damaged one can claim any number.
_MAX_COUNT = 10_000_000
# Bytes and texts of a header: the largest vocabularies, with their merges, take a third of both.
_MAX_SIZE = 64 << 20
_MAX_TEXTS = 1 << 21
# Key-value pairs and tensors; real files have some thousands.
_MAX_FIELDS = 1 << 16
_BLOCK = 1 << 20
_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class Header:
    """Fields of the header that the package uses.

    Parameters
    ----------
    vocab_size
        Number of tokens of the vocabulary.
    architecture
        Name of the model's architecture, such as ``llama``.
    """

    vocab_size: int | None
    architecture: str | None


class _InvalidFile(Exception):
    """Reason for which a file is not a usable GGUF file."""


def read_header(path: Path) -> Header:
    """Read and check the header of a model file.

    Raises
    ------
    LocalModelError
        When the file is missing, not GGUF, or shorter than its header says.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # reading a pipe may block forever
            raise _InvalidFile("is a folder" if stat.S_ISDIR(state.st_mode) else "is not a file")
        with path.open("rb") as file:
            return _Reader(file, state.st_size).header()
    except FileNotFoundError:
        reason = "does not exist"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except _InvalidFile as error:
        reason = str(error)
    raise LocalModelError(f"The model file {path} {reason}; give the path of a GGUF file.", path=str(path))


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._texts = 0

    def header(self) -> Header:
        if self._bytes(4) != _MAGIC:
            raise _InvalidFile("is not a GGUF file" if self._size else "is empty")
        version = self._number("<I")
        if version not in (2, 3):
            raise _InvalidFile(f"is GGUF version {version}; supported are versions 2 and 3")
        tensors, entries = self._count(_MAX_FIELDS), self._count(_MAX_FIELDS)
        vocab_size, architecture, alignment = None, None, _ALIGNMENT
        for _ in range(entries):
            key = self._string()
            kind = self._number("<I")
            if kind == _ARRAY:
                inner, length = self._number("<I"), self._count()
                if key == b"tokenizer.ggml.tokens":
                    vocab_size = length
                self._skip_array(inner, length)
            elif kind == _STRING:
                value = self._string()
                if key == b"general.architecture":
                    architecture = value.decode("utf-8", "replace")
            elif key == b"general.alignment" and kind == 4:
                alignment = self._number("<I") or _ALIGNMENT
            else:
                self._skip(self._width(kind))
        end = 0
        for _ in range(tensors):
            end = max(end, self._tensor())
        start = -(-self._file.tell() // alignment) * alignment
        if start + end > self._size:
            raise _InvalidFile(f"is truncated: it has {self._size:,} bytes and its header describes {start + end:,}")
        return Header(vocab_size, architecture)

    def _tensor(self) -> int:
        self._string()
        dimensions = self._number("<I")
        if dimensions > 8:
            raise _InvalidFile(f"is damaged: its header describes a tensor of {dimensions:,} dimensions")
        count = 1
        for _ in range(dimensions):
            count *= self._number("<Q")
        kind, offset = self._number("<I"), self._number("<Q")
        per_block, width = _BLOCKS.get(kind, (1, 0))
        return offset + -(-count // per_block) * width

    def _skip_array(self, kind: int, length: int) -> None:
        if kind == _STRING:
            self._skip_texts(length)
        else:
            self._skip(self._width(kind) * length)

    def _skip_texts(self, count: int) -> None:
        """Skip texts of a vocabulary in blocks, because a read for each would take seconds."""
        self._texts += count
        if self._texts > _MAX_TEXTS:
            raise _InvalidFile(f"is damaged: its header describes {self._texts:,} texts")
        block, position = b"", 0
        for _ in range(count):
            if position + 8 > len(block):
                self._check_size()
                block, position = block[position:] + self._file.read(_BLOCK), 0
                if len(block) < 8:
                    raise _InvalidFile("is truncated: it ends within its header")
            position += 8 + int.from_bytes(block[position : position + 8], "little")
            if position > len(block):
                self._skip(position - len(block))
                block, position = b"", 0
        self._file.seek(position - len(block), 1)

    def _check_size(self) -> None:
        if self._file.tell() > _MAX_SIZE:
            raise _InvalidFile(f"is damaged: its header is longer than {_MAX_SIZE >> 20} MB")

    def _width(self, kind: int) -> int:
        if kind not in _SIZES:
            raise _InvalidFile(f"is damaged: its header has a value of unknown kind {kind}")
        return _SIZES[kind]

    def _string(self) -> bytes:
        length = self._number("<Q")
        if length > min(self._size, _MAX_COUNT):
            raise _InvalidFile(f"is truncated or damaged: its header describes a text of {length:,} bytes")
        return self._bytes(length)

    def _count(self, limit: int = _MAX_COUNT) -> int:
        count = self._number("<Q")
        if count > limit:
            raise _InvalidFile(f"is damaged: its header describes {count:,} entries")
        return count

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._bytes(struct.calcsize(form)))[0])

    def _bytes(self, length: int) -> bytes:
        self._check_size()
        data = self._file.read(length)
        if len(data) < length:
            raise _InvalidFile("is truncated: it ends within its header" if self._size >= 4 else "is not a GGUF file")
        return data

    def _skip(self, length: int) -> None:
        if self._file.tell() + length > self._size:
            raise _InvalidFile("is truncated: it ends within its header")
        self._file.seek(length, 1)
        self._check_size()
