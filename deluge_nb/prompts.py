"""What a prompt may be: text, a list of messages, a conversation, or raw text to continue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, overload

from .errors import SettingError

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class RawPrompt:
    """Text for the model to continue as it stands, without a chat template around it.

    Only servers with a completion endpoint can; the embedded model does, and gives its best distributions this way.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Conversation(Sequence[Message]):
    """Messages in order. Each method gives a new conversation with one more turn.

    >>> Conversation().system("Answer briefly.").user("What is the capital of France?")
    Conversation(2 messages)
    """

    messages: tuple[Message, ...] = ()
    prefill: str | None = None
    """The beginning of the answer, which the model is to continue."""

    def system(self, content: str) -> Conversation:
        """Add an instruction."""
        return self._and("system", content)

    def user(self, content: str) -> Conversation:
        """Add what the user says."""
        return self._and("user", content)

    def assistant(self, content: str) -> Conversation:
        """Add what the model answered."""
        return self._and("assistant", content)

    def assistant_prefix(self, content: str) -> Conversation:
        """Begin the answer for the model, which continues it; for models that can.

        White space at the end is dropped: tokens carry their space in front, and no likely token starts after one.
        """
        self._open()
        return Conversation(self.messages, content.rstrip())

    def _and(self, role: Role, content: str) -> Conversation:
        self._open()
        return Conversation((*self.messages, Message(role, content)))

    def _open(self) -> None:
        if self.prefill is not None:
            raise SettingError(
                "Nothing can follow an assistant_prefix: the model continues from there.",
                setting="assistant_prefix",
            )

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...
    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        return self.messages[index]

    def __repr__(self) -> str:
        return f"Conversation({len(self.messages)} messages{', prefilled' if self.prefill else ''})"


PromptLike = str | RawPrompt | Conversation | Sequence[Message | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Any prompt, in the one form that dialects read: messages with an optional prefill, or raw text."""

    messages: tuple[Mapping[str, Any], ...] = ()
    prefill: str | None = None
    raw: str | None = None
    begun: tuple[int, ...] = ()
    """Ids of the tokens that follow all this, and that the model continues; for the llamacpp dialect only."""

    @property
    def has_system(self) -> bool:
        """Whether the prompt brings its own instruction."""
        return any(message["role"] in ("system", "developer") for message in self.messages)


def as_prompt(value: PromptLike, where: str = "prompt") -> Prompt:
    """Read one prompt.

    Raises
    ------
    SettingError
        When it is none of the accepted forms; ``where`` says which prompt it was.
    """
    if isinstance(value, Prompt):
        return value
    if isinstance(value, str):
        return Prompt(({"role": "user", "content": _filled(value, where)},))
    if isinstance(value, RawPrompt):
        return Prompt(raw=_filled(value.text, where))
    if isinstance(value, Conversation):
        messages = tuple(_message(message, where) for message in value.messages)
        prefill = value.prefill
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        messages = tuple(_message(message, f"{where}[{i}]") for i, message in enumerate(value))
        prefill = None
        if messages and messages[-1]["role"] == "assistant" and isinstance(messages[-1]["content"], str):
            messages, prefill = messages[:-1], messages[-1]["content"].rstrip()
    else:
        raise SettingError(
            f"{where} must be text, a list of messages, a Conversation or a RawPrompt, not {type(value).__name__}.",
            setting=where,
            value=value,
        )
    if not messages:
        raise SettingError(f"{where} has no message for the model to answer.", setting=where, value=value)
    return Prompt(messages, prefill)


def as_prompts(values: Iterable[PromptLike]) -> list[Prompt]:
    """Read a list of prompts; a lone prompt is refused, for a string would be taken letter by letter."""
    if isinstance(values, str | RawPrompt | Conversation | Mapping):
        raise SettingError(
            f"prompts must be a list of prompts; put the one you have in brackets: [{_short(values)}].",
            setting="prompts",
            value=values,
        )
    if not isinstance(values, Iterable):
        raise SettingError(
            f"prompts must be a list of prompts, not {type(values).__name__}.",
            setting="prompts",
            value=values,
        )
    prompts: list[Prompt] = []
    for i, value in enumerate(values):
        if isinstance(value, Message) or (isinstance(value, Mapping) and "role" in value):
            raise SettingError(
                f"prompts[{i}] is a single message; a list of messages is one prompt, so put it in another pair of "
                "brackets.",
                setting=f"prompts[{i}]",
                value=value,
            )
        prompts.append(as_prompt(value, f"prompts[{i}]"))
    return prompts


def _message(value: Message | Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if isinstance(value, Message):
        value = {"role": value.role, "content": value.content}
    if not isinstance(value, Mapping) or "role" not in value:
        raise SettingError(
            f"{where} must be a message such as {{'role': 'user', 'content': '…'}}, not {_short(value)}.",
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
        raise SettingError(f"{where}['content'] must be text, not {_short(content)}.", setting=where, value=content)
    return dict(value)


def _filled(text: object, where: str) -> str:
    if not isinstance(text, str):
        raise SettingError(f"{where} must be text, not {_short(text)}.", setting=where, value=text)
    if not text:
        raise SettingError(f"{where} is empty: there is nothing to answer.", setting=where, value=text)
    return text


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
