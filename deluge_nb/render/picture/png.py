"""Read PNG files as pixels, write them from a palette, and compress them better."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..colors import RGB

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# zlib level. Higher ones take twice the time and save a twentieth of the size.
_COMPRESSION = 6


def smaller(picture: bytes) -> bytes:
    """Return the same PNG with its pixels compressed better.

    vl-convert's are five times as large, and every saved notebook contains them.
    """
    chunks, pixels = [_SIGNATURE], b""
    for kind, content in _chunks(picture):
        if kind == b"IDAT":
            pixels += content
            continue
        if kind == b"IEND":
            chunks.append(_chunk(b"IDAT", zlib.compress(zlib.decompress(pixels), _COMPRESSION)))
        chunks.append(_chunk(kind, content))
    return b"".join(chunks)


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height in pixels."""
    width, height = struct.unpack_from(">II", picture, 16)
    return width, height


def from_palette(pixels: np.ndarray, palette: Sequence[RGB]) -> bytes:
    """Return a PNG of pixels that are indices into a palette of at most 256 colours; shape (height, width)."""
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter type, 0 for none
    rows[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", head),
            _chunk(b"PLTE", b"".join(map(bytes, palette))),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), _COMPRESSION)),
            _chunk(b"IEND", b""),
        ]
    )


def to_pixels(picture: bytes) -> np.ndarray:
    """Return red, green, blue and opacity, shape (height, width, 4), of an 8-bit RGBA PNG that is not interlaced."""
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
            _undo_filter(row, above, _mean if kind == 3 else _paeth)
        above = row
    return pixels


def _undo_filter(row: np.ndarray, above: np.ndarray, predict: Callable[[int, int, int], int]) -> None:
    """Undo a filter that predicts from the pixels to the left, above, and above to the left."""
    left, before = [0] * 4, [0] * 4
    for column, (pixel, up) in enumerate(zip(row.tolist(), above.tolist(), strict=True)):
        left = [(value + predict(*near)) % 256 for value, *near in zip(pixel, left, up, before, strict=True)]
        before = up
        row[column] = left


def _mean(left: int, up: int, _: int) -> int:
    return (left + up) // 2


def _paeth(left: int, up: int, before: int) -> int:
    """Return the neighbour that is nearest to the plane through all three (PNG's Paeth filter)."""
    plane = left + up - before
    return min((left, up, before), key=lambda value: abs(plane - value))


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = len(_SIGNATURE)
    while start < len(picture):
        length = struct.unpack_from(">I", picture, start)[0]
        yield picture[start + 4 : start + 8], picture[start + 8 : start + 8 + length]
        start += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
