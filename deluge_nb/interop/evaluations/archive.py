"""Read the members of a ZIP archive, also those packed with Zstandard, and texts, also those packed with gzip."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

from ...errors import SettingError
from ...extras import import_extra

_ZSTANDARD = 93
_HEADER, _NAME_LENGTH, _EXTRA_LENGTH = 30, 26, 28


_GZIP = b"\x1f\x8b"


def read_text(path: Path) -> str:
    """Return the text of a file, which may be packed with gzip, without a byte order mark.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When its content is damaged or no UTF-8.
    """
    content = path.read_bytes()
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"its content is damaged ({error})") from None
    return content.decode("utf-8-sig")


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of a member.

    Parameters
    ----------
    archive
        The open archive.
    name
        Name of the member.

    Returns
    -------
    bytes
        The content. Python reads Zstandard from 3.14 on; before that it needs pyarrow.

    Raises
    ------
    SettingError
        When the content is damaged.
    MissingDependencyError
        When the member is packed with Zstandard, and neither Python nor pyarrow can read it.
    """
    info = archive.getinfo(name)
    try:
        return archive.read(name)
    except NotImplementedError:
        if info.compress_type != _ZSTANDARD:
            raise
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SettingError(f"{name} in the archive is damaged ({error}).", setting="path", value=name) from None
    arrow = import_extra("pyarrow", "Reading an archive that is packed with Zstandard")
    # The length of a name may differ between a member's own header and the directory.
    stream = archive.fp
    assert stream is not None
    stream.seek(info.header_offset)
    header = stream.read(_HEADER)
    lengths = [int.from_bytes(header[place : place + 2], "little") for place in (_NAME_LENGTH, _EXTRA_LENGTH)]
    stream.seek(sum(lengths), 1)
    packed = stream.read(info.compress_size)
    try:
        content = arrow.CompressedInputStream(arrow.BufferReader(packed), "zstd").read()
    except OSError as error:
        raise SettingError(f"{name} in the archive is damaged ({error}).", setting="path", value=name) from None
    if zlib.crc32(content) != info.CRC:
        raise SettingError(f"{name} in the archive is damaged: its checksum is wrong.", setting="path", value=name)
    return bytes(content)
