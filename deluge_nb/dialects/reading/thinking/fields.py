"""Read the reasoning that a server sends in fields or parts of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..decode import decode

FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details", "thinking_blocks")
"""Fields of a message that hold its reasoning; a server may send several that say the same."""
# In an object, the field that holds the text.
_TEXT_FIELDS = ("thinking", "text", "reasoning", "reasoning_content", "reasoning_text", "content", "summary")
_PART_TYPES = frozenset(
    {"reasoning", "reasoning.text", "reasoning_content", "reasoning_text", "thinking", "thinking_text", "thought"}
)


class Message(msgspec.Struct, kw_only=True):
    """Fields of a message that hold its reasoning; base of the messages of chat replies."""

    reasoning_content: Any = None
    reasoning: Any = None
    thinking: Any = None
    reasoning_text: Any = None
    reasoning_details: Any = None
    thinking_blocks: Any = None


class _Choice(msgspec.Struct):
    logprobs: msgspec.Raw = msgspec.Raw(b"")


class _Reply(msgspec.Struct):
    choices: list[_Choice] = []


def thinking_of(message: Any, content: Any = None) -> str | None:
    """Return the reasoning in the fields of a message, or else in the parts of its content; None without one."""
    for name in FIELDS:
        value = getattr(message, name)
        if value is not None and (text := joined_text(value)):
            return text
    if not isinstance(content, list):
        return None
    return "".join(joined_text(part) for part in content if is_thinking_part(part)) or None


def is_thinking_part(part: Any) -> bool:
    """Return whether a part of a message's content is reasoning."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    return isinstance(kind, str) and kind in _PART_TYPES


def joined_text(value: Any) -> str:
    """Return the text in a value: a text, a list of parts, or a part with a field for its text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(joined_text, value))
    if isinstance(value, Mapping):
        return next((text for name in _TEXT_FIELDS if (text := joined_text(value.get(name)))), "")
    return ""


def thinking_rows(table: bytes, dialect: str) -> bytes | None:
    """Return the rows of the reasoning as JSON, where a table has a list of its own for them; else None."""
    if table[:1] != b"{":
        return None
    lists = decode(table, dict[str, msgspec.Raw], dialect)
    rows = (bytes(lists[name]) for name in FIELDS if name in lists)
    return next((row for row in rows if row[:1] == b"[" and row != b"[]"), None)


def table_of_reply(body: bytes, dialect: str) -> bytes:
    """Return the table of a reply's first choice as JSON; empty without one."""
    choices = decode(body, _Reply, dialect).choices
    return bytes(choices[0].logprobs) if choices else b""
