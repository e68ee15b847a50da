"""Parts of a prompt, and the prompt without one of them.

The texts of a prompt are put end to end: a raw prompt has one, a chat has those of its messages. Positions count in the
code points of this whole text.

With a sentence or a word, the white space beside it goes: that after it, or before it if the white space after it has
more line breaks or ends the text. What is left begins and ends as the text did. With a span nothing else goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import index
from typing import Any, Literal

from ..errors import SettingError, invalid_argument
from ..prompts import Conversation, Message, Prompt, PromptLike, RawPrompt, as_prompt
from .sentences import sentence_spans, word_spans

By = Literal["sentence", "word"] | Iterable[tuple[int, int]]
_CUTS = {"sentence": sentence_spans, "word": word_spans}


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a prompt: the number and the role of its message, and its place among the parts of a list (else None).

    A raw prompt has one text, of message 0 and without a role.
    """

    content: str
    begin: int
    message: int = 0
    role: str = ""
    place: int | None = None

    @property
    def end(self) -> int:
        """Its end in the whole text."""
        return self.begin + len(self.content)


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a prompt, ``begin:end`` in the whole text, and ``cut``, which is removed with it."""

    text: Text
    begin: int
    end: int
    cut: tuple[int, int]

    @property
    def content(self) -> str:
        """Its own text."""
        return self.text.content[self.begin - self.text.begin : self.end - self.text.begin]


class SplitPrompt:
    """Prompt with its parts.

    Parameters
    ----------
    prompt
        Text is raw text; a conversation or a list of messages is a chat.
    by
        ``"sentence"``, ``"word"``, or pairs of positions.

    Raises
    ------
    SettingError
        When the prompt is none, or has no such parts.
    """

    def __init__(self, prompt: PromptLike, by: By) -> None:
        self.prompt = as_prompt(RawPrompt(prompt) if isinstance(prompt, str) else prompt, "prompt")
        self.texts = list(_texts(self.prompt))
        self.parts = _parts(self.texts, by)
        if not self.parts:
            raise invalid_argument("prompt", prompt, "a prompt with a text of which a part can be left out")

    @property
    def is_chat(self) -> bool:
        """True for a chat, False for raw text."""
        return self.prompt.raw is None

    @property
    def whole(self) -> PromptLike:
        """The whole prompt in a public form."""
        return _as_public(self.prompt, self.prompt.given) if self.is_chat else RawPrompt(self.prompt.raw or "")

    def without(self, part: Part, *, keeps_empty: bool) -> PromptLike | None:
        """Return the prompt without a part.

        Parameters
        ----------
        part
            The part.
        keeps_empty
            True to keep a message without a text, so that the turns stay; False to leave it out.

        Returns
        -------
        PromptLike or None
            The prompt in a public form; None if no message is left.
        """
        text = part.text
        begin, end = (place - text.begin for place in part.cut)
        rest = text.content[:begin] + text.content[end:]
        if not self.is_chat:
            return RawPrompt(rest)
        messages = list(self.prompt.messages)
        changed = _with_text(messages[text.message], text.place, rest)
        if changed["content"] or keeps_empty:
            messages[text.message] = changed
        else:
            del messages[text.message]
        return _as_public(replace(self.prompt, messages=tuple(messages)), self.prompt.given) if messages else None


def identity_of(prompt: PromptLike) -> str:
    """Return a text that is the same for equal prompts."""
    read = as_prompt(prompt) if not isinstance(prompt, RawPrompt) else Prompt(raw=prompt.text)
    return json.dumps([read.raw, list(read.messages), read.prefill, read.gap], default=repr, sort_keys=True)


def _as_public(prompt: Prompt, given: PromptLike | None) -> PromptLike:
    if not isinstance(given, Conversation) or any(len(message) > 2 for message in prompt.messages):
        return replace(prompt, given=None).as_asked
    # A list would make the beginning of an answer of a last message that is the model's.
    return Conversation(tuple(Message(**message) for message in prompt.messages), prompt.prefill, prompt.gap)


def _texts(prompt: Prompt) -> Iterable[Text]:
    if prompt.raw is not None:
        yield Text(prompt.raw, 0)
        return
    begin = 0
    for number, message in enumerate(prompt.messages):
        content = message.get("content")
        entries = list(enumerate(content)) if isinstance(content, list) else [(None, content)]
        for place, entry in entries:
            value = entry.get("text") if isinstance(entry, Mapping) else entry
            if isinstance(value, str):
                yield Text(value, begin, number, message["role"], place)
                begin += len(value)


def _with_text(message: Mapping[str, Any], place: int | None, text: str) -> dict[str, Any]:
    """Return a message with another text; a part of a list that is left without one is left out."""
    if place is None:
        return {**message, "content": text}
    entries = list(message["content"])
    entries[place : place + 1] = [{**entries[place], "text": text} if isinstance(entries[place], dict) else text]
    if not text:
        del entries[place]
    return {**message, "content": entries or ""}


def _parts(texts: Sequence[Text], by: By) -> list[Part]:
    if isinstance(by, str):
        if by not in _CUTS:
            raise _not_parts(by)
        return [part for text in texts for part in _within(text, _CUTS[by](text.content))]
    return _spans(texts, by)


def _within(text: Text, spans: Sequence[tuple[int, int]]) -> Iterable[Part]:
    for number, (begin, end) in enumerate(spans):
        cut = begin, end
        before = text.content[spans[number - 1][1] : begin] if number else ""
        if number + 1 < len(spans):
            after = text.content[end : spans[number + 1][0]]
            keeps_after = number > 0 and after.count("\n") > before.count("\n")
            cut = (begin - len(before), end) if keeps_after else (begin, end + len(after))
        elif number:
            cut = begin - len(before), end
        yield Part(text, text.begin + begin, text.begin + end, (text.begin + cut[0], text.begin + cut[1]))


def _spans(texts: Sequence[Text], by: Any) -> list[Part]:
    if isinstance(by, bytes | Mapping) or not isinstance(by, Iterable):
        raise _not_parts(by)
    size = texts[-1].end if texts else 0
    parts: list[Part] = []
    for number, span in enumerate(by):
        begin, end = _as_pair(span, number)
        if not 0 <= begin < end <= size:
            raise _wrong_span(number, (begin, end), f"must lie within the prompt, 0 to {size}, and not be empty")
        text = next(text for text in texts if text.begin <= begin < text.end)
        if end > text.end:
            raise _wrong_span(
                number, (begin, end), f"goes on beyond the end of its message, {text.end}; make it two spans"
            )
        parts.append(Part(text, begin, end, (begin, end)))
    if not parts:
        raise _not_parts(by)
    order = sorted(range(len(parts)), key=lambda place: parts[place].begin)
    for left, right in pairwise(order):
        if parts[right].begin < parts[left].end:
            other = (parts[left].begin, parts[left].end)
            raise _wrong_span(right, (parts[right].begin, parts[right].end), f"overlaps by[{left}] = {other}")
    return parts


def _as_pair(span: Any, number: int) -> tuple[int, int]:
    try:
        begin, end = span
        if isinstance(begin, bool) or isinstance(end, bool):
            raise TypeError
        return index(begin), index(end)
    except (TypeError, ValueError):
        raise invalid_argument(f"by[{number}]", span, "a pair of whole numbers: a beginning and an end") from None


def _wrong_span(number: int, span: tuple[int, int], problem: str) -> SettingError:
    return SettingError(f"by[{number}] = {span} {problem}.", setting="by", value=span)


def _not_parts(by: object) -> SettingError:
    return invalid_argument("by", by, "'sentence', 'word' or pairs of positions such as [(0, 12), (13, 20)]")
