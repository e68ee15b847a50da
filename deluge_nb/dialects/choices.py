"""Streams of chunks with choices, as in OpenAI's chat and completions APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ..logprobs.table import Logprobs
from .base import Ask, Delta, StreamReader, failure
from .decode import decode
from .reading.thinking.fields import Message, thinking_of, thinking_rows
from .reading.thinking.rows import first_row

_NO_TABLE = (b"", b"null")


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Message):
    content: str | list[dict[str, Any]] | None = None
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
        Function that parses the JSON of a table.
    chat
        True for chunks of the chat API, False for those of the completions API.
    """

    # The number of tokens follows the finish reason.
    final = False

    def __init__(
        self,
        ask: Ask,
        dialect: str,
        table: Callable[[msgspec.Raw, bool], Logprobs | None],
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
        reply = {"model": self._model, "choices": [choice], "usage": self._usage}
        return msgspec.json.encode(reply)

    def read(self, event: bytes) -> Iterable[Delta]:
        """Return the additions of one chunk to the answer."""
        chunk = decode(event, _Chunk, self._dialect)
        if chunk.error is not None or chunk.object == "error":
            raise failure(self.ask, event)
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        deltas = [delta for choice in chunk.choices or () if choice.index == 0 for delta in self._deltas(choice)]
        return [delta for delta in deltas if delta.text or delta.logprobs is not None]

    def _deltas(self, choice: _Choice) -> Iterable[Delta]:
        self._finish = choice.finish_reason or self._finish
        has_parts = self._texts or self._refusals or self._calls
        message = choice.delta or (None if has_parts else choice.message) or _Message()
        content = message.content if self._chat else choice.text
        thought = thinking_of(message, content) or ""
        self._thoughts += [thought] if thought else []
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content if part.get("type", "text") == "text")
        if content is not None:
            self._texts.append(content)
        if message.refusal is not None:
            self._refusals.append(message.refusal)
        for call in message.tool_calls or ():
            self._add_call(call)
        raw = self._add_table(choice)
        table = None if raw is None else self._table(raw, message.refusal is not None and content is None)
        text = (content or "") + (message.refusal or "")
        if not thought:
            return (Delta(text, table),)
        own = None if raw is None else thinking_rows(bytes(raw), self._dialect)
        if own is not None:
            rows = self._table(msgspec.Raw(b'{"content":%b}' % own), False)
            return Delta(thought, rows, True), Delta(text, table or None)
        start = None if table is None or not text else first_row(table, text)
        if table is None or start is None:
            return Delta(thought, table, True), Delta(text)
        return Delta(thought, table[:start], True), Delta(text, table[start:])

    def _add_call(self, piece: _ToolCall) -> None:
        """Add a fragment of a tool call: the name comes first, then the arguments in parts."""
        index = piece.index if piece.index is not None else max(len(self._calls) - (piece.id is None), 0)
        call = self._calls.setdefault(index, {"id": None, "name": "", "arguments": ""})
        call["id"] = piece.id or call["id"]
        if piece.function is not None:
            call["name"] = (call["name"] or "") + (piece.function.name or "")
            call["arguments"] = (call["arguments"] or "") + (piece.function.arguments or "")

    def _add_table(self, choice: _Choice) -> msgspec.Raw | None:
        """Store the rows of the chunk's table and return the table; None if it has no row."""
        raw = bytes(choice.logprobs)
        if raw in _NO_TABLE:
            return None
        if raw[:1] != b"{":  # a single number, with the alternatives in a field of their own
            text = (choice.delta.content if choice.delta is not None else choice.text) or ""
            columns = {"tokens": [text], "token_logprobs": [msgspec.Raw(raw)]}
            columns["top_logprobs"] = [msgspec.Raw(bytes(choice.top_logprobs) or b"null")]
            raw = msgspec.json.encode(columns)
        has_rows = False
        for name, value in decode(raw, dict[str, msgspec.Raw], self._dialect, at="choices[0].logprobs").items():
            if bytes(value)[:1] != b"[":
                continue
            # Copies, because a view would keep the whole event in memory.
            items = [bytes(item) for item in msgspec.json.decode(value, type=list[msgspec.Raw])]
            self._lists.setdefault(name, []).extend(items)
            has_rows = has_rows or bool(items)
        return msgspec.Raw(raw) if has_rows else None
