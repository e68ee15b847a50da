"""Read the text of a message, and the reasoning that a server sends in fields or parts of its own."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import msgspec

from ..decode import decode
from ..faults import Faults

FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details", "thinking_blocks")
"""Fields of a message that hold its reasoning; a server may send several that say the same."""
_fields_of = attrgetter(*FIELDS)
# In an object, the field that holds the text.
_TEXT_FIELDS = ("thinking", "text", "reasoning", "reasoning_content", "reasoning_text", "content", "summary")
THINKING_PARTS = frozenset(
    {
        "analysis",
        "reasoning",
        "reasoning.summary",
        "reasoning.text",
        "reasoning_content",
        "reasoning_summary",
        "reasoning_text",
        "redacted_thinking",
        "summary_text",
        "thinking",
        "thinking_text",
        "thought",
        "thought_summary",
    }
)
"""Types of the parts of a message that are reasoning, in the chat API and in others."""
TEXT_PARTS = frozenset({"", "input_text", "output_text", "text", "text_delta"})
"""Types of the parts that hold text of the answer; a part without one has the type that its fields show."""

Content = str | list[Any] | dict[str, Any] | None
"""Content of a message: its text, a list of parts, or a single part."""


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


def join_parts(content: Content, faults: Faults, at: str) -> str | None:
    """Return the text of a message; the texts of several parts are joined, and what is no text is recorded.

    The text of a part of an unknown type is the answer's if no other part has any.
    """
    if not isinstance(content, list | dict):
        return content
    known, others = list[str](), dict[str, str]()
    for index, part in enumerate(content if isinstance(content, list) else [content]):
        path = f"{at}[{index}]"
        if part is None or is_thinking_part(part):
            continue
        kind = part.get("type") if isinstance(part, Mapping) else ""
        value = part.get("text", "") if isinstance(part, Mapping) else part
        # Some APIs put a text into an object, with remarks on it beside.
        text = value.get("value") if isinstance(value, Mapping) else value
        if isinstance(kind, str) and kind not in TEXT_PARTS:
            others |= {path: text} if isinstance(text, str) and text else {}
        elif isinstance(text, str):
            known.append(text)
        else:
            faults.add(f"{path}.text" if isinstance(part, Mapping) else path)
    if not any(known):
        return "".join((*known, *others.values()))
    for path in others:
        faults.add(path)
    return "".join(known)


def thinking_of(message: Any, content: Any = None) -> str | None:
    """Return the reasoning in the fields of a message, or else in the parts of its content; None without one."""
    for value in _fields_of(message):
        if value is not None and (text := joined_text(value)):
            return text
    content = [content] if isinstance(content, Mapping) else content
    if not isinstance(content, list):
        return None
    return "".join(joined_text(part) for part in content if is_thinking_part(part)) or None


def is_thinking_part(part: Any) -> bool:
    """Return whether a part of a message's content is reasoning."""
    if not isinstance(part, Mapping):
        return False
    kind = part.get("type")
    return part.get("thought") is True or (isinstance(kind, str) and kind in THINKING_PARTS)


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
