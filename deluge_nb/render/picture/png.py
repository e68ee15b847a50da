"""PNG files: read as pixels, written from a palette, and packed smaller."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..colors import RGB

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Beyond this level the time doubles for a twentieth of the size.
_PACKED = 6


def smaller(picture: bytes) -> bytes:
    """The same PNG, its pixels compressed well: every saved notebook keeps it, and it comes five times as large."""
    kept, pixels = [_SIGNATURE], b""
    for kind, content in _chunks(picture):
        if kind == b"IDAT":
            pixels += content
            continue
        if kind == b"IEND":
            kept.append(_chunk(b"IDAT", zlib.compress(zlib.decompress(pixels), _PACKED)))
        kept.append(_chunk(kind, content))
    return b"".join(kept)


def size(picture: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    width, height = struct.unpack_from(">II", picture, 16)
    return width, height


def from_palette(pixels: np.ndarray, palette: Sequence[RGB]) -> bytes:
    """A PNG of rows of places in a palette of at most 256 colours."""
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, which is none
    rows[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", head),
            _chunk(b"PLTE", b"".join(map(bytes, palette))),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), _PACKED)),
            _chunk(b"IEND", b""),
        ]
    )


def to_pixels(picture: bytes) -> np.ndarray:
    """Rows of red, green, blue and opacity, of a PNG that has eight bits of each and is not interlaced."""
    width, height = size(picture)
    packed = b"".join(content for kind, content in _chunks(picture) if kind == b"IDAT")
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 4 * width)
    pixels = rows[:, 1:].reshape(height, width, 4).copy()
    above = np.zeros((width, 4), np.uint8)
    for kind, row in zip(rows[:, 0].tolist(), pixels, strict=True):
        if kind == 1:
            row[:] = np.cumsum(row, axis=0, dtype=np.uint8)
        elif kind == 2:
            row += above
        elif kind:
            _guessed(row, above, _mean if kind == 3 else _paeth)
        above = row
    return pixels


def _guessed(row: np.ndarray, above: np.ndarray, guess: Callable[[int, int, int], int]) -> None:
    """Undo a filter that goes by the pixel to the left, the one above and the one above to the left."""
    left, before = [0] * 4, [0] * 4
    for at, (pixel, up) in enumerate(zip(row.tolist(), above.tolist(), strict=True)):
        left = [(kept + guess(*near)) % 256 for kept, *near in zip(pixel, left, up, before, strict=True)]
        before = up
        row[at] = left


def _mean(left: int, up: int, _: int) -> int:
    return (left + up) // 2


def _paeth(left: int, up: int, before: int) -> int:
    """The one of three neighbours that is nearest to what their plane would have here."""
    plane = left + up - before
    return min((left, up, before), key=lambda one: abs(plane - one))


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(picture):
        length = struct.unpack_from(">I", picture, at)[0]
        yield picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
