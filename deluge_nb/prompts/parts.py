"""Read the parts of a message, for servers that take them in another form than the OpenAI chat API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SettingError

_REMEDY = "send it as text, or ask a model that takes it"
_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})
# What may stand beside the content of a part: servers count and cite with these, and nothing is lost without them.
_NO_CONTENT = frozenset({"type", "cache_control", "annotations", "citations", "logprobs", "id", "index", "signature"})
# Contents that servers of other forms read beside the content of a message; reasoning is left out on purpose.
_BESIDE = frozenset(
    {"images", "image", "audio", "video", "videos", "file", "files", "documents", "attachments", "parts"}
    | {"refusal", "function_call"}
)
_DATA_URL = re.compile(r"data:(?P<kind>[^;,]*)(?:;[^,]*)?;base64,(?P<data>.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """Picture of a message: its URL, or the type and the base64 text of a data URL."""

    part_type: str
    url: str
    media_type: str | None = None
    data: str | None = None
    detail: str | None = None


def has_parts(message: Mapping[str, Any]) -> bool:
    """Return whether a message has more than a text: a list of parts, or a content beside the text."""
    return isinstance(message.get("content"), list) or not _BESIDE.isdisjoint(message)


def read_parts(message: Mapping[str, Any], model: str, taken: str | None = None) -> list[str | Picture]:
    """Return the texts and pictures of a message in their order; the caller sends the field ``taken`` itself.

    Raises
    ------
    SettingError
        For a part of another type, which would be lost; names the type and the model.
    """
    beside = next((field for field in message if field in _BESIDE and field != taken and message[field]), None)
    if beside is not None:
        raise refusal(beside, model, " beside the content of a message")
    content = message.get("content")
    if content is None:
        return []
    if not isinstance(content, list):
        return [content]
    return [_read_part(part, model) for part in content]


def text_only(message: Mapping[str, Any], model: str, place: str = "") -> str | None:
    """Return the text of a message whose server takes no other parts; ``place`` says where in errors.

    Raises
    ------
    SettingError
        For any part that is no text; names its type and the model.
    """
    parts = read_parts(message, model)
    if not isinstance(message.get("content"), list):
        return message.get("content")
    for part in parts:
        if isinstance(part, Picture):
            raise refusal(part.part_type, model, place)
    return "".join(part for part in parts if isinstance(part, str))


def refusal(part_type: str, model: str, place: str = "", remedy: str = _REMEDY) -> SettingError:
    """Return the error for a part that a model cannot be sent."""
    return SettingError(
        f"{model!r} takes no part of type {part_type!r}{place}: {remedy}.", setting="prompt", value=part_type
    )


def _read_part(part: Any, model: str) -> str | Picture:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise refusal(type(part).__name__, model)
    kind = part.get("type", "text")
    if kind in _TEXT_TYPES and isinstance(part.get("text"), str):
        _check_content(part, model, "text")
        return part["text"]
    picture = _picture(kind, part)
    if picture is None:
        raise refusal(str(kind), model)
    _check_content(part, model, "picture", "source" if kind == "image" else "image_url", "detail")
    return picture


def _check_content(part: Mapping[str, Any], model: str, name: str, *own: str) -> None:
    """Raise for a part with a second content, which would be lost."""
    known = _NO_CONTENT.union(own or (name,))
    other = next((field for field in part if field not in known and part[field]), None)
    if other is not None:
        raise refusal(str(other), model, f" inside a {name}")


def _picture(kind: Any, part: Mapping[str, Any]) -> Picture | None:
    if kind not in ("image_url", "input_image", "image"):
        return None
    value, detail = part.get("image_url"), part.get("detail")
    if kind == "image":  # of Anthropic's API
        value = part.get("source")
    if isinstance(value, Mapping):
        detail = value.get("detail", detail)
        if isinstance(value.get("data"), str):
            value = f"data:{value.get('media_type') or ''};base64,{value['data']}"
        else:
            value = value.get("url")
    if not isinstance(value, str) or not value:
        return None
    data = _DATA_URL.fullmatch(value)
    if data is None:
        return None if value[:5].lower() == "data:" else Picture(kind, value, detail=detail)
    return Picture(kind, value, data["kind"] or "image/png", data["data"], detail)
