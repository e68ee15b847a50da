"""Types of prompts: messages, immutable conversations, and raw text to continue."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast, overload

from ..elsewhere import CONVERSATION, NamesElsewhere
from ..errors import SettingError
from .pictures import picture_part

if TYPE_CHECKING:
    from typing import Protocol

    class Answer(Protocol):
        """Answer with a text, as a response has it."""

        @property
        def completion(self) -> str | None:
            """The text."""
            ...


P = ParamSpec("P")
T = TypeVar("T")

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Parameters
    ----------
    role
        ``"system"``, ``"developer"``, ``"user"``, ``"assistant"`` or ``"tool"``.
    content
        The text, or a list of parts in the form of the OpenAI chat API.

    Examples
    --------
    >>> from deluge_nb import Message
    >>> Message("user", "What is the capital of France?")
    Message(role='user', content='What is the capital of France?')
    """

    role: Role
    content: str | list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RawPrompt:
    """Text for the model to continue, without a chat template around it.

    Only servers with a completion endpoint can continue raw text. The embedded model can, and its distributions are
    best this way.

    Parameters
    ----------
    text
        The text to continue.

    Examples
    --------
    >>> from deluge_nb import RawPrompt
    >>> RawPrompt("The capital of France is")
    RawPrompt(text='The capital of France is')
    """

    text: str


class _Turn(Generic[P, T]):
    """Method that begins a conversation where it is called on the class."""

    def __init__(self, method: Callable[Concatenate[Conversation, P], T]) -> None:
        self._method, self.__doc__ = method, method.__doc__

    def __get__(self, instance: Conversation | None, owner: type[Conversation]) -> Callable[P, T]:
        return cast("Callable[P, T]", MethodType(self._method, owner() if instance is None else instance))


@dataclass(frozen=True, slots=True)
class Conversation(NamesElsewhere, Sequence[Message]):
    """Immutable sequence of messages; its methods return copies with one more turn or with a prefill.

    ``Conversation.system(…)``, ``.user(…)`` and ``.assistant(…)`` on the class begin a conversation.

    Parameters
    ----------
    messages
        The turns, oldest first.
    prefill
        Beginning of the answer, which the model continues; None for an answer from the start.
    gap
        White space that ``prefill`` ended in. It is not sent with the prefill: a text that is scored after it begins
        with it.

    Examples
    --------
    >>> from deluge_nb import Conversation
    >>> Conversation.system("Answer briefly.").user("What is the capital of France?")
    Conversation(2 messages)
    """

    _elsewhere: ClassVar[Mapping[str, str]] = CONVERSATION

    messages: tuple[Message, ...] = ()
    prefill: str | None = None
    gap: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        messages: Any = self.messages
        if not isinstance(messages, list | tuple) or not all(isinstance(one, Message | Mapping) for one in messages):
            raise SettingError(
                f"messages must be a list of messages, not {messages!r}; to begin a conversation with a text, write "
                "Conversation.user('…').",
                setting="messages",
                value=messages,
            )
        object.__setattr__(self, "messages", tuple(messages))

    @_Turn
    def system(self, content: str) -> Conversation:
        """Return a copy with a system message added.

        Parameters
        ----------
        content
            Text of the instruction.

        Returns
        -------
        Conversation
            The conversation with this turn.
        """
        return self._append("system", content)

    @_Turn
    def user(self, content: str, image: str | os.PathLike[str] | bytes | None = None) -> Conversation:
        """Return a copy with a turn of the user added.

        Parameters
        ----------
        content
            Text of the turn.
        image
            A picture before the text: a file's path, its bytes, or an ``http``, ``https`` or ``data`` URL. Files and
            bytes are sent with the request, URLs are fetched by the provider. PNG, JPEG, GIF or WebP, at most 20 MB.

        Returns
        -------
        Conversation
            The conversation with this turn.

        Raises
        ------
        SettingError
            When the file cannot be read, is too large, or is no picture that models read.

        Examples
        --------
        >>> from deluge_nb import Conversation
        >>> turn = Conversation().user("What is this?", image="https://example.org/cat.png")[0]
        >>> [part["type"] for part in turn.content]
        ['image_url', 'text']
        """
        if image is None:
            return self._append("user", content)
        return self._append("user", [picture_part(image), {"type": "text", "text": content}])

    @_Turn
    def assistant(self, content: str) -> Conversation:
        """Return a copy with a turn of the model added.

        Parameters
        ----------
        content
            Text of the turn.

        Returns
        -------
        Conversation
            The conversation with this turn.
        """
        return self._append("assistant", content)

    @_Turn
    def ai(self, content: str) -> Conversation:
        """Return a copy with a turn of the model added; the same as :meth:`assistant`.

        Parameters
        ----------
        content
            Text of the turn.

        Returns
        -------
        Conversation
            The conversation with this turn.
        """
        return self.assistant(content)

    def with_response(self, response: Answer) -> Conversation:
        """Return a copy with a model's answer added, to go on with the dialogue.

        Parameters
        ----------
        response
            An :class:`APIResponse`. Its completion is added; reasoning and tool calls are not.

        Returns
        -------
        Conversation
            The conversation with this turn.

        Raises
        ------
        SettingError
            When the response failed, or has no text.

        Examples
        --------
        >>> from deluge_nb import APIResponse, Conversation
        >>> answer = APIResponse("gpt-4o-mini", completion="Paris.")
        >>> dialogue = Conversation().user("Capital of France?").with_response(answer).user("And of Italy?")
        >>> [message.role for message in dialogue]
        ['user', 'assistant', 'user']
        """
        completion = getattr(response, "completion", None)
        if not isinstance(completion, str) or getattr(response, "is_error", False):
            raise SettingError(
                f"with_response() adds the text of an answer, and {response!r} has none.",
                setting="response",
                value=response,
            )
        if self.prefill is not None:  # the answer goes on from the prefill, which is its beginning
            return Conversation((*self.messages, Message("assistant", self.prefill + completion)))
        return self.assistant(completion)

    def assistant_prefix(self, content: str) -> Conversation:
        """Return a copy with the beginning of the answer, for models that can continue it.

        White space at the end is removed: most tokens begin with a space, so a beginning that ends in one makes them
        unlikely. A text that is scored after the beginning gets it back.

        Parameters
        ----------
        content
            Beginning of the answer.

        Returns
        -------
        Conversation
            The conversation, to which nothing more can be added.

        Examples
        --------
        >>> from deluge_nb import Conversation
        >>> Conversation().user("Is it raining?").assistant_prefix("I think ").prefill
        'I think'
        """
        self._check_open()
        return Conversation(self.messages, *split_gap(content))

    def _append(self, role: Role, content: str | list[dict[str, Any]]) -> Conversation:
        self._check_open()
        return Conversation((*self.messages, Message(role, content)))

    def _check_open(self) -> None:
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
        count = len(self.messages)
        return f"Conversation({count} message{'' if count == 1 else 's'}{', prefilled' if self.prefill else ''})"


PromptLike = str | RawPrompt | Conversation | Sequence[Message | Mapping[str, Any]]


def split_gap(beginning: str) -> tuple[str, str]:
    """Return the beginning of an answer without the white space at its end, and that white space."""
    prefill = beginning.rstrip()
    return prefill, beginning[len(prefill) :]
