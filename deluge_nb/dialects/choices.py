"""Streams of chunks with choices, as in OpenAI's chat and completions APIs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from ..interop.entries import align_alternatives
from ..logprobs.table import Logprobs
from .base import Ask, Completion, Delta, StreamReader
from .reading.answer import failure
from .reading.decode import decode
from .reading.failures import is_failure
from .reading.faults import Faults
from .reading.fitting import as_number
from .reading.thinking.fields import Content, Message, join_parts, thinking_of, thinking_rows
from .reading.thinking.rows import first_row

_NO_TABLE = (b"", b"null", b"{}", b"[]")
_MOST_CHOICES = 10_000
# Lists that the chat API has in place of columns.
_ENTRY_LISTS = ("content", "refusal")


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Message):
    content: Content = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Message | None = None
    # Some servers end a stream with the whole message, which has been streamed already; others send nothing else.
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"")
    top_logprobs: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    object: str | None = None


class ChoiceReader(StreamReader):
    """Parser of a stream of chunks.

    Parameters
    ----------
    ask
        The request.
    dialect
        Name of the dialect, for errors.
    table
        Function that reads the JSON of a table, with ``faults`` and ``text``.
    chat
        True for chunks of the chat API, False for those of the completions API.
    """

    # The number of tokens follows the finish reason.
    final = False

    def __init__(
        self,
        ask: Ask,
        dialect: str,
        table: Callable[..., Logprobs | None],
        *,
        chat: bool,
    ) -> None:
        super().__init__(ask)
        self._dialect, self._table, self._chat = dialect, table, chat
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, dict[str, str | None]] = {}
        self._lists: dict[str, list[bytes]] = {}
        self._columns = 0
        self._has_choice = False
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self._model: str | None = None

    @property
    def complete(self) -> bool:
        """True if the server has sent a finish reason."""
        return self._finish is not None

    def body(self) -> bytes:
        """Return the received part as the body of a reply that was not streamed."""
        table = b"null"
        if self._lists:
            parts = (b'"%b":[%b]' % (name.encode(), b",".join(items)) for name, items in self._lists.items())
            table = b"{%b}" % b",".join(parts)
        choice: dict[str, Any] = {"index": 0, "finish_reason": self._finish, "logprobs": msgspec.Raw(table)}
        text = "".join(self._texts) if self._texts or not (self._refusals or self._calls) else None
        if self._chat:
            refusal = "".join(self._refusals) if self._refusals else None
            message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal}
            choice["message"] = message
            if self._thoughts:
                message["reasoning_content"] = "".join(self._thoughts)
            if self._calls:
                message["tool_calls"] = [
                    {
                        "id": call["id"],
                        "type": "function",
                        "function": {"name": call["name"], "arguments": call["arguments"]},
                    }
                    for _, call in sorted(self._calls.items())
                ]
        else:
            choice["text"] = text
        # A stream that came to its end without a choice has no answer, as a reply has none.
        choices = [choice] if self._has_choice or not self.ended else []
        reply = {"model": self._model, "choices": choices, "usage": self._usage}
        return msgspec.json.encode(reply)

    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one chunk to the answer."""
        chunk = decode(event, _Chunk, self._dialect, faults=self.faults)
        if chunk.error or chunk.object == "error":
            raise failure(self.ask.model, event)
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            self._has_choice = True
            # An index that no choice can have is none.
            if not 0 < choice.index < _MOST_CHOICES:
                yield from (delta for delta in self._deltas(choice) if delta.text or delta.logprobs is not None)
                if choice.error or is_failure(choice.finish_reason):
                    ending = Completion(None, finish_reason=choice.finish_reason)
                    raise failure(self.ask.model, event, choice.error or False, ending)
                self._finish = choice.finish_reason or self._finish

    def _deltas(self, choice: _Choice) -> Iterable[Delta]:
        message = choice.delta or (choice.message if self._is_new(choice.message) else None) or _Message()
        # Some servers send chunks of the other API.
        contents = (message.content, choice.text) if self._chat else (choice.text, message.content)
        content = next((content for content in contents if content is not None), None)
        thought = thinking_of(message, content) or ""
        self._thoughts += [thought] if thought else []
        content = join_parts(content, self.faults, "choices[0].delta.content")
        if content is not None:
            self._texts.append(content)
        if message.refusal is not None:
            self._refusals.append(message.refusal)
        for call in message.tool_calls or ():
            self._add_call(call)
        text = content or message.refusal or ""
        raw = self._add_table(choice, text)
        # What does not fit is recorded when the whole table is read.
        read = partial(self._table, faults=Faults())
        refused = message.refusal is not None and content is None
        table = None if raw is None else read(raw, text=text, refused=refused)
        if not thought:
            return (Delta(text, table),)
        own = None if raw is None else thinking_rows(bytes(raw), self._dialect)
        if own is not None:
            rows = read(msgspec.Raw(b'{"content":%b}' % own), text=thought)
            return Delta(thought, rows, True), Delta(text, table or None)
        start = None if table is None or not text else first_row(table, text)
        if table is None or start is None:
            return Delta(thought, table, True), Delta(text)
        return Delta(thought, table[:start], True), Delta(text, table[start:])

    def _is_new(self, message: _Message | None) -> bool:
        """Return whether a message in place of a chunk is no repetition of the text that has been streamed."""
        content = message.content if message is not None else None
        if not self._texts:
            return not self._refusals and not self._calls
        return isinstance(content, str) and not content.startswith("".join(self._texts))

    def _add_call(self, piece: _ToolCall) -> None:
        """Add a fragment of a tool call: the name comes first, then the arguments in parts."""
        index = piece.index if piece.index is not None else max(len(self._calls) - (piece.id is None), 0)
        call = self._calls.setdefault(index, {"id": None, "name": "", "arguments": ""})
        call["id"] = piece.id or call["id"]
        if piece.function is not None:
            call["name"] = (call["name"] or "") + (piece.function.name or "")
            written = piece.function.arguments or ""
            call["arguments"] = (call["arguments"] or "") + (
                written if isinstance(written, str) else json.dumps(written)
            )

    def _add_table(self, choice: _Choice, text: str) -> msgspec.Raw | None:
        """Store the rows of the chunk's table and return the table; None if it has no row."""
        raw = bytes(choice.logprobs)
        if raw in _NO_TABLE:
            return None
        if raw[:1] != b"{" and as_number(msgspec.json.decode(raw)) is not None:
            # A single number, with the alternatives in a field of their own.
            top = bytes(choice.top_logprobs) or b"null"
            table = {"tokens": [text], "token_logprobs": [msgspec.Raw(raw)], "top_logprobs": [msgspec.Raw(top)]}
            return self._add_columns(table, text)
        if raw[:1] != b"{":
            self.faults.add("choices[0].logprobs")
            # The text gets a row without a log-probability, so that other rows keep their positions.
            return self._add_lists({"content": [{"token": text, "logprob": None}]}) if text and self._chat else None
        lists = decode(raw, dict[str, msgspec.Raw], self._dialect, at="choices[0].logprobs")
        # Copies, because a view would keep the whole event in memory.
        values: dict[str, Any] = {
            name: [msgspec.Raw(bytes(item)) for item in msgspec.json.decode(value, type=list[msgspec.Raw])]
            for name, value in lists.items()
            if bytes(value)[:1] == b"["
        }
        if not any(name in lists for name in _ENTRY_LISTS):
            return self._add_columns(values, text)
        return self._add_lists({name: values[name] for name in _ENTRY_LISTS if name in values})

    def _add_lists(self, lists: dict[str, list[Any]]) -> msgspec.Raw | None:
        for name, items in lists.items():
            self._lists.setdefault(name, []).extend(map(msgspec.json.encode, items))
        return msgspec.Raw(msgspec.json.encode(lists)) if any(lists.values()) else None

    def _add_columns(self, columns: dict[str, list[Any]], text: str) -> msgspec.Raw | None:
        """Store the columns of a chunk, each with one value for each of its tokens."""
        tokens = columns.get("tokens") or []
        if not tokens and len(columns.get("token_logprobs", ())) == 1 and text:
            tokens = [text]
        if not tokens:
            return None
        padded: dict[str, Any] = {"tokens": tokens}
        for name, values in columns.items():
            if name == "top_logprobs":
                plain = [msgspec.json.decode(msgspec.json.encode(item)) for item in (*tokens, *values)]
                padded[name] = list(align_alternatives(plain[: len(tokens)], plain[len(tokens) :]))
            elif name != "tokens":
                padded[name] = values if len(values) == len(tokens) else [None] * len(tokens)
            if values and len(values) != len(tokens):
                self.faults.add(f"choices[0].logprobs.{name}")
        padded.setdefault("token_logprobs", [None] * len(tokens))
        for name in {*padded, *(name for name in self._lists if name not in _ENTRY_LISTS)}:
            earlier = self._lists.setdefault(name, [b"null"] * self._columns)
            earlier += map(msgspec.json.encode, padded.get(name) or [None] * len(tokens))
        self._columns += len(tokens)
        return msgspec.Raw(msgspec.json.encode(padded))
