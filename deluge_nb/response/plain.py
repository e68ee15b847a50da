"""Responses as plain JSON, and back."""

from __future__ import annotations

import base64
import builtins
import math
from collections.abc import Callable, Mapping
from typing import Any

from .. import errors
from ..errors import DelugeError, RequestError, SettingError
from ..prompts import Conversation, Message, RawPrompt
from ..sampling import SamplingParams
from ..tools import ToolCall
from .tables import table_from_plain, table_to_plain

VERSION = 1
"""Version of the structure; a change that older versions of the package cannot read counts it up."""

_TEXT = (str, type(None))
_SAME: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "completion": _TEXT,
    "finish_reason": _TEXT,
    "is_error": (bool,),
    "error_message": _TEXT,
    "status_code": (int, type(None)),
    "note": _TEXT,
    "served_model": _TEXT,
    "from_cache": (bool,),
    "thinking": _TEXT,
}
"""Fields that are plain already, with their types."""
_TYPES: dict[str, tuple[type, ...]] = {**_SAME, "usage": (dict, type(None)), "tool_calls": (list,)}
_TABLES = ("logprobs", "thinking_logprobs")
# Levels; deeper values are left out, because Python's JSON modules cannot read them either.
_DEEPEST = 200
# Marks of values that JSON has no form for.
_NUMBER, _BYTES, _MAPPING = "$number", "$bytes", "$dict"


def to_plain(response: Any) -> dict[str, Any]:
    """Return a response as plain JSON, without its further choices."""
    plain: dict[str, Any] = {"version": VERSION}
    plain |= {name: getattr(response, name) for name in _SAME}
    plain["prompt"] = _guarded(prompt_to_plain, response.prompt)
    params = response.sampling_params
    plain["sampling_params"] = None if params is None else _guarded(_plain, params.chosen())
    plain["usage"] = _guarded(_plain, response.usage)
    plain["tool_calls"] = [_plain_call(call) for call in response.tool_calls]
    plain["parsed"] = _guarded(_plain_parsed, response.parsed)
    plain["error"] = None if response.error is None else _plain_error(response.error)
    for name in _TABLES:
        table = getattr(response, name)
        plain[name] = None if table is None else table_to_plain(table)
    return plain


def from_plain(plain: Any) -> dict[str, Any]:
    """Return the fields of a response, without its further choices.

    Raises
    ------
    SettingError
        When the value is not the plain form of a response, or one of a newer version.
    """
    if not isinstance(plain, Mapping) or not isinstance(plain.get("model"), str):
        raise SettingError(
            f"from_dict() reads what to_dict() returned, not {_excerpt(plain)}.", setting="data", value=plain
        )
    version = plain.get("version")
    if version != VERSION:
        raise SettingError(
            f"The response was saved with version {version!r} of the structure, and this one reads version {VERSION}; "
            "install the deluge-nb that saved it, or a newer one.",
            setting="version",
            value=version,
        )
    try:
        fields = {name: _checked(name, plain[name]) for name in _SAME}
        params = plain["sampling_params"]
        fields["prompt"] = prompt_from_plain(plain["prompt"])
        fields["sampling_params"] = None if params is None else SamplingParams(**_restored(params))
        fields["usage"] = _restored(_checked("usage", plain["usage"]))
        calls = _checked("tool_calls", plain["tool_calls"])
        fields["tool_calls"] = tuple(ToolCall(**_restored(call)) for call in calls)
        fields["parsed"] = _restored(plain["parsed"])
        fields["error"] = None if plain["error"] is None else _restored_error(plain["error"])
        return fields | {name: table_from_plain(plain[name], name) for name in _TABLES}
    except SettingError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SettingError(
            f"from_dict() reads what to_dict() returned, and this is incomplete: {type(error).__name__}: {error}.",
            setting="data",
            value=plain,
        ) from None


def _checked(name: str, value: Any) -> Any:
    if not isinstance(value, _TYPES[name]):
        raise TypeError(f"{name} is {_excerpt(value)}")
    return value


# Values ---------------------------------------------------------------------------------------------------------------


def _guarded(convert: Callable[[Any], Any], value: Any) -> Any:
    """Return a converted value; None where it has no plain form."""
    try:
        return convert(value)
    except Exception:  # one odd field must not cost the response, nor the other responses of a file
        return None


def _plain(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_NUMBER: str(float(value))}
    if isinstance(value, bytes | bytearray):
        return {_BYTES: base64.b64encode(value).decode()}
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, Mapping):
        plain = {str(name): _plain(item, depth + 1) for name, item in value.items()}
        return {_MAPPING: plain} if len(plain) == 1 and next(iter(plain)).startswith("$") else plain
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _plain_parsed(value)


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name == _NUMBER:
            return float(inner)
        if name == _BYTES:
            return base64.b64decode(inner)
        if name == _MAPPING:
            return {key: _restored(item) for key, item in inner.items()}
    return {key: _restored(item) for key, item in value.items()}


def _plain_parsed(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return _plain(to_jsonable_python(value, inf_nan_mode="constants", fallback=str))


def _plain_call(call: ToolCall) -> dict[str, Any]:
    arguments = _guarded(_plain, call.arguments)
    return {"name": call.name, "arguments": arguments, "id": call.id, "raw_arguments": call.raw_arguments}


# Prompts --------------------------------------------------------------------------------------------------------------


def prompt_to_plain(prompt: Any) -> Any:
    """Return a prompt as plain JSON."""
    if isinstance(prompt, RawPrompt):
        return {"raw": prompt.text}
    if isinstance(prompt, Conversation):
        messages = [{"role": message.role, "content": _plain(message.content)} for message in prompt]
        return {"conversation": messages, "prefill": prompt.prefill, "gap": prompt.gap}
    return _plain(prompt)


def prompt_from_plain(plain: Any) -> Any:
    """Return the prompt that :func:`prompt_to_plain` was given."""
    if not isinstance(plain, Mapping):
        return _restored(plain)
    if "raw" in plain:
        return RawPrompt(plain["raw"])
    messages = tuple(Message(**_restored(message)) for message in plain["conversation"])
    return Conversation(messages, plain["prefill"], plain["gap"])


# Errors ---------------------------------------------------------------------------------------------------------------


def _plain_error(error: Exception) -> dict[str, Any]:
    # Neither the body of a reply nor a value that was passed: only fields that say what happened.
    fields = {
        name: value
        for name, value in vars(error).items()
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    }
    for name in ("body", "excerpt", "value"):
        fields.pop(name, None)
    # The text of a KeyError is the representation of its message.
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    kind = type(error)
    # The nearest public class: those of the package's own use are no part of the format.
    if isinstance(error, DelugeError):
        kind = next(base for base in kind.__mro__ if _public(base.__name__) is base)
    return {"class": kind.__name__, "message": message, "fields": fields}


def _restored_error(plain: Mapping[str, Any]) -> Exception:
    """Return an error of the same class, if it is one of this package or of Python; else a RequestError."""
    message = str(plain["message"])
    kind = _public(plain["class"])
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = RequestError
    try:
        error = kind(message)
    except TypeError:  # some of Python's errors need more than a message
        error = RequestError(message)
    if isinstance(error, DelugeError):
        for name, value in plain["fields"].items():
            if name in vars(error):
                setattr(error, name, value)
    return error


def _public(name: str) -> Any:
    return getattr(errors, name, None) or getattr(builtins, name, None)


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
