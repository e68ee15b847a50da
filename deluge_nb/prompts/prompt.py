"""Read the forms of a prompt: text, a list of messages, a conversation, or raw text to continue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number
from typing import Any, TypeVar, get_args

from ..errors import SettingError, invalid_argument
from .conversation import Conversation, Message, PromptLike, RawPrompt, Role, split_gap
from .parts import has_parts

T = TypeVar("T")

# Classes of pandas, polars and pyarrow that iterate over columns or their names, and classes derived from them.
_TABLES = ("DataFrame", "LazyFrame", "Table", "RecordBatch")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Prompt in the one form that dialects read: messages with an optional prefill, or raw text."""

    messages: tuple[Mapping[str, Any], ...] = ()
    prefill: str | None = None
    gap: str = field(default="", compare=False)
    """White space that the prefill ended in: a text that is scored after the prompt begins with it."""
    raw: str | None = None
    begun: tuple[int, ...] = ()
    """Ids of tokens that follow the prompt and that the model continues; for the llamacpp dialect only."""
    given: PromptLike | None = field(default=None, compare=False, repr=False)
    """The prompt in the form in which it was passed; None for one that was made of another."""

    @property
    def has_system(self) -> bool:
        """True if the prompt has an instruction of its own."""
        return any(message["role"] in ("system", "developer") for message in self.messages)

    @property
    def is_plain(self) -> bool:
        """True for messages that the model answers, without the beginning of an answer."""
        return self.prefill is None and self.raw is None and not self.begun

    @property
    def has_parts(self) -> bool:
        """True if a message has more than a text."""
        return any(map(has_parts, self.messages))

    @property
    def as_asked(self) -> PromptLike:
        """The prompt in a public form: as it was passed, else as raw text or messages."""
        if self.given is not None:
            return self.given
        if self.raw is not None:
            return RawPrompt(self.raw)
        begun = [] if self.prefill is None else [{"role": "assistant", "content": self.prefill + self.gap}]
        return [*self.messages, *begun]


def as_prompt(value: PromptLike, where: str = "prompt") -> Prompt:
    """Convert any form of a prompt to a :class:`Prompt`.

    Parameters
    ----------
    value
        The prompt.
    where
        Name of the prompt in error messages, such as ``"prompts[2]"``.

    Returns
    -------
    Prompt
        The prompt in the form that dialects read.

    Raises
    ------
    SettingError
        When the value has none of the accepted forms, or is empty.
    """
    if isinstance(value, Prompt):
        return value
    if isinstance(value, str):
        return Prompt(({"role": "user", "content": _checked_text(value, where)},), given=value)
    if isinstance(value, RawPrompt):
        return Prompt(raw=_checked_text(value.text, where), given=value)
    if isinstance(value, Conversation):
        given = value
        messages = tuple(_message(message, where) for message in value.messages)
        prefill = None if value.prefill is None else value.prefill + value.gap
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        messages = tuple(_message(message, f"{where}[{i}]") for i, message in enumerate(value))
        given = list(messages)  # a copy: people append to their list of messages
        prefill = None
        if messages and messages[-1]["role"] == "assistant" and isinstance(messages[-1]["content"], str):
            messages, prefill = messages[:-1], messages[-1]["content"]
    else:
        raise SettingError(
            f"{where} must be text, a list of messages, a Conversation or a RawPrompt, not {type(value).__name__}.",
            setting=where,
            value=value,
        )
    if not messages:
        raise SettingError(f"{where} has no message for the model to answer.", setting=where, value=value)
    beginning, gap = split_gap(prefill or "")
    # An empty beginning is none: sent, it is an answer that has ended, or text of the template.
    return Prompt(messages, beginning or None, gap, given=given)


def as_rows(values: Iterable[T], setting: str, entries: str) -> list[T]:
    """Return the entries of a list, a column or another iterable; ``setting`` and ``entries`` name them in errors.

    A single prompt is refused: iterating over a text would make a prompt of each letter. So is a table, because
    iterating over one gives the names of its columns.

    Raises
    ------
    SettingError
        When the value is no list of entries.
    """
    if isinstance(values, str | bytes | RawPrompt | Conversation | Message | Mapping):
        raise SettingError(
            f"{setting} must be a list of {entries}; put the one you have in brackets: [{_excerpt(values)}].",
            setting=setting,
            value=values,
        )
    check_no_table(values, setting)
    if not isinstance(values, Iterable):
        raise SettingError(
            f"{setting} must be a list of {entries}, not {_excerpt(values)}.", setting=setting, value=values
        )
    return to_list(values)


def to_list(values: Iterable[T]) -> list[T]:
    """Return the entries of an iterable; those of Arrow's columns as Python's own values."""
    column: Any = values
    return column.to_pylist() if hasattr(column, "to_pylist") else list(values)


def check_no_table(value: object, setting: str, use: str = "") -> None:
    """Raise a :class:`SettingError` for a data frame, with one of its columns, and ``use`` after it, as the remedy."""
    kind = next((base.__name__ for base in type(value).__mro__ if base.__name__ in _TABLES), None)
    names: Any = getattr(value, "column_names", None)
    names = getattr(value, "columns", None) if names is None else names
    if kind is None or names is None:
        return
    column = _text_column(value, list(names))
    name = json.dumps(column, ensure_ascii=False) if isinstance(column, str) else repr(column)
    raise SettingError(
        f"{setting} must be one column, not a whole {kind}: write df[{name}]{use}.", setting=setting, value=value
    )


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, NaT or NA, of Python, NumPy or pandas."""
    if type(value) is str:  # nearly always
        return False
    kind = type(value).__name__
    # NaN and NumPy's NaT are the scalars that differ from themselves.
    is_nan = (isinstance(value, Number) or kind == "datetime64") and bool(value != value)
    return is_nan or kind in ("NoneType", "NAType", "NaTType")


def check_present(value: object, where: str) -> None:
    """Raise a :class:`SettingError` for a missing value, which a model would read as a word."""
    if is_missing(value):
        name = {"nan": "NaN", "<NA>": "NA"}.get(str(value), str(value))
        raise SettingError(
            f"{where} is missing ({name}): drop such rows, for example with .dropna(), or give it a text.",
            setting=where,
            value=value,
        )


def check_characters(value: object, where: str) -> None:
    """Check that a text is one of whole characters; other values pass.

    Parameters
    ----------
    value
        The text, or another value.
    where
        Its name in error messages.

    Raises
    ------
    SettingError
        When it has halves of surrogate pairs.
    """
    if isinstance(value, str) and value != value.encode(errors="ignore").decode():
        raise invalid_argument(
            where, value, "a text of whole characters, as text.encode(errors='ignore').decode() leaves it"
        )


def _text_column(table: Any, names: list[Any]) -> Any:
    """Return the name of the column that is most likely to hold the texts: the longest text in the first row."""
    lengths: dict[Any, int] = {}
    for name in names:
        try:
            first = next(iter(table[name]))
        except (TypeError, KeyError, ValueError, StopIteration):
            continue
        first = first.as_py() if hasattr(first, "as_py") else first
        if isinstance(first, str):
            lengths[name] = len(first)
    return max(lengths, key=lengths.__getitem__) if lengths else next(iter(names), "text")


def as_prompts(values: Iterable[PromptLike]) -> list[Prompt]:
    """Convert a list of prompts.

    Raises
    ------
    SettingError
        When a prompt has none of the accepted forms, or there is no list of them.
    """
    prompts: list[Prompt] = []
    for i, value in enumerate(as_rows(values, "prompts", "prompts")):
        if isinstance(value, Message) or (isinstance(value, Mapping) and "role" in value):
            raise SettingError(
                f"prompts[{i}] is a single message; a list of messages is one prompt, so put it in another pair of "
                "brackets.",
                setting=f"prompts[{i}]",
                value=value,
            )
        check_present(value, f"prompts[{i}]")
        prompts.append(as_prompt(value, f"prompts[{i}]"))
    return prompts


def _message(value: Message | Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if isinstance(value, Message):
        value = {"role": value.role, "content": value.content}
    if not isinstance(value, Mapping) or "role" not in value:
        raise SettingError(
            f"{where} must be a message such as {{'role': 'user', 'content': '…'}}, not {_excerpt(value)}.",
            setting=where,
            value=value,
        )
    if value["role"] not in get_args(Role):
        raise SettingError(
            f"{where}['role'] must be one of {', '.join(get_args(Role))}, not {value['role']!r}.",
            setting=where,
            value=value["role"],
        )
    content = value.get("content")
    if not isinstance(content, str | list) and not (content is None and value.get("tool_calls")):
        raise SettingError(
            f"{where}['content'] must be text, not {_excerpt(content)}.",
            setting=where,
            value=content,
        )
    for i, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, str) and not (isinstance(part, Mapping) and part):
            raise SettingError(
                f"{where}['content'][{i}] must be a part such as {{'type': 'text', 'text': '…'}}, not "
                f"{_excerpt(part)}.",
                setting=where,
                value=part,
            )
    return dict(value)


def _checked_text(text: object, where: str) -> str:
    if not isinstance(text, str):
        raise SettingError(f"{where} must be text, not {_excerpt(text)}.", setting=where, value=text)
    if not text:
        raise SettingError(f"{where} is empty: there is nothing to answer.", setting=where, value=text)
    return text


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
