"""Bodies in other encodings than UTF-8: recognised by a byte order mark, or by the charset that the server names."""

from __future__ import annotations

import codecs
import re

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MARKS = tuple(_MARKS)
"""Bytes with which a body in UTF-16 or UTF-32 begins."""
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
# Names as Python knows them, of encodings in which JSON's own signs are those of ASCII. Not every codec of Python's,
# because a server chooses the name.
_KNOWN = re.compile(r"iso8859-\d+|cp125\d|koi8-[ru]|gbk|gb2312|gb18030|big5|shift_jis|euc_(?:jp|kr)")


def named_charset(content_type: str | None) -> str | None:
    """Return the charset that a Content-Type names; None without one, and for UTF-8 and those that are not known."""
    match = _CHARSET.search(content_type) if content_type else None
    if match is None:
        return None
    try:
        name = codecs.lookup(match[1]).name
    except LookupError:
        return None
    return name if _KNOWN.fullmatch(name) else None


class Transcoder:
    """Converter of a body to UTF-8, piece by piece.

    Parameters
    ----------
    beginning
        First bytes of the body; a byte order mark decides.
    charset
        Encoding that the server names. As many servers name it and send UTF-8, it counts from the first bytes on that
        are no UTF-8.
    """

    def __init__(self, beginning: bytes, charset: str | None) -> None:
        marked = next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), None)
        encoding = marked or charset
        self.is_needed = encoding is not None
        """False if the body is UTF-8 as it is."""
        self._decoder = codecs.getincrementaldecoder(encoding or "utf-8")("replace")
        self._utf8 = codecs.getincrementaldecoder("utf-8")() if marked is None else None

    def feed(self, data: bytes, *, final: bool = False) -> bytes:
        """Return the characters that end in these bytes, as UTF-8."""
        if self._utf8 is not None:
            unread = self._utf8.getstate()[0]
            try:
                return self._utf8.decode(data, final).encode()
            except UnicodeDecodeError:
                self._utf8, data = None, unread + data
        return self._decoder.decode(data, final).encode("utf-8", "replace")


def as_utf8(body: bytes, content_type: str | None) -> bytes:
    """Return a whole body that has no byte order mark as UTF-8."""
    transcoder = Transcoder(b"", named_charset(content_type))
    return transcoder.feed(body, final=True) if transcoder.is_needed else body


__all__ = ["MARKS", "Transcoder", "as_utf8", "named_charset"]
