"""Show what would command a terminal: control characters and changes of direction become visible signs."""

from __future__ import annotations

# C0 but for line feed and tab, DEL, C1, and the characters that break a line or change its direction.
_SIGNS = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_SIGNS[0x7F] = "␡"
_CODES = [*range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
# Lone surrogates cannot be encoded, and no XML may contain the last two.
_CODES += [*range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
_SIGNS |= {code: f"⟨U+{code:04X}⟩" for code in _CODES}


def printable(text: str) -> str:
    """Return a text that changes nothing in a terminal: control and direction characters as visible signs.

    Line feeds and tabs stay. For messages, notes and plain text; the tokens of a view have signs of their own.

    Parameters
    ----------
    text
        A text of a model or a server.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_SIGNS)
