"""Pictures as parts of a message, in the form of the OpenAI chat API."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Any

from ..errors import SettingError

MOST_BYTES = 20_000_000
"""Size of a picture; providers refuse larger requests."""

_URLS = ("http://", "https://", "data:")
# First bytes of the formats that providers read.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def picture_part(image: str | os.PathLike[str] | bytes) -> dict[str, Any]:
    """Return the part of a message that shows a picture.

    Parameters
    ----------
    image
        A file's path, its bytes, or a URL.

    Returns
    -------
    dict
        ``{"type": "image_url", "image_url": {"url": …}}``; files and bytes become a ``data`` URL.

    Raises
    ------
    SettingError
        When the file cannot be read, is too large, or is no picture that models read.
    """
    url = image if isinstance(image, str) and image.lower().startswith(_URLS) else _data_url(image)
    return {"type": "image_url", "image_url": {"url": url}}


def _data_url(image: str | os.PathLike[str] | bytes) -> str:
    if isinstance(image, bytes | bytearray | memoryview):
        content, name = bytes(image), "image"
    elif isinstance(image, str | os.PathLike):
        name = f"image={_excerpt(os.fspath(image))}"
        content = _read(image, name)
    else:
        raise SettingError(
            f"image must be a path, bytes or a URL, not {type(image).__name__}; a Pillow picture becomes bytes with "
            "its save().",
            setting="image",
            value=image,
        )
    _check_size(len(content), name)
    kind = _media_type(content)
    if kind is None:
        raise SettingError(
            f"{name} is no PNG, JPEG, GIF or WebP: it begins with {content[:8]!r}.", setting="image", value=image
        )
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _read(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        file = Path(path).expanduser()
        kind = file.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe may never end, nor begin
            raise ValueError("it is no file")
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError(
            f"{name} cannot be read: {reason}; give a picture's path, bytes or URL.", setting="image", value=path
        ) from None


def _check_size(size: int, name: str) -> None:
    if size > MOST_BYTES:
        raise SettingError(
            f"{name} has more than {MOST_BYTES // 1_000_000} MB, which is the most that is sent; make it smaller.",
            setting="image",
        )


def _media_type(content: bytes) -> str | None:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), None)


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
