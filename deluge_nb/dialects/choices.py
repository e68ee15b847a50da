"""Streams of chunks with choices: OpenAI's chat, and its old completions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ..logprobs.table import Logprobs
from .base import Ask, Delta, StreamReader, failure
from .decode import decode
from .events import ServerSentEvents

_NOTHING = (b"", b"null")
_DONE = b"[DONE]"

TableOf = Callable[..., Logprobs | None]
"""Makes a table of the JSON of one; called with it, whether it is a refusal's, and ``ask``."""


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Message | None = None
    # Some servers close their stream with a whole message, after they have sent it in pieces.
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
    """Reads chunks, and puts the body together that would have come at once.

    Parameters
    ----------
    ask
        What was asked.
    dialect
        For errors: whose chunks these are.
    table
        Makes a table of the JSON of one.
    chat
        Whether these are the chunks of a chat, or of the old completions.
    """

    def __init__(
        self,
        ask: Ask,
        dialect: str,
        table: Callable[[msgspec.Raw, bool], Logprobs | None],
        *,
        chat: bool,
    ) -> None:
        super().__init__(ask, ServerSentEvents())
        self._dialect, self._table, self._chat = dialect, table, chat
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, dict[str, str | None]] = {}
        self._lists: dict[str, list[bytes]] = {}
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self._model: str | None = None
        self._done = False

    @property
    def complete(self) -> bool:
        """Whether the server has given a reason for ending, or said that it has."""
        return self._done or self._finish is not None

    def body(self) -> bytes:
        """What has come, as the body of a reply that was not streamed."""
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
        """Return what one chunk adds to the answer."""
        if event.strip() == _DONE:
            self._done = True
            return ()
        chunk = decode(event, _Chunk, self._dialect)
        if chunk.error is not None or chunk.object == "error":
            raise failure(self.ask, event)
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        deltas = [self._delta(choice) for choice in chunk.choices or () if choice.index == 0]
        return [delta for delta in deltas if delta.text or delta.logprobs is not None]

    def _delta(self, choice: _Choice) -> Delta:
        self._finish = choice.finish_reason or self._finish
        message = choice.delta or _Message()
        content = message.content if self._chat else choice.text
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content if part.get("type", "text") == "text")
        if content is not None:
            self._texts.append(content)
        if message.refusal is not None:
            self._refusals.append(message.refusal)
        for call in message.tool_calls or ():
            self._call(call)
        table = self._kept(choice)
        return Delta(
            (content or "") + (message.refusal or ""),
            None if table is None else self._table(table, message.refusal is not None and content is None),
        )

    def _call(self, piece: _ToolCall) -> None:
        """Calls come in pieces as well: their names first, then their arguments, letter by letter."""
        place = piece.index if piece.index is not None else max(len(self._calls) - (piece.id is None), 0)
        call = self._calls.setdefault(place, {"id": None, "name": "", "arguments": ""})
        call["id"] = piece.id or call["id"]
        if piece.function is not None:
            call["name"] = (call["name"] or "") + (piece.function.name or "")
            call["arguments"] = (call["arguments"] or "") + (piece.function.arguments or "")

    def _kept(self, choice: _Choice) -> msgspec.Raw | None:
        """The chunk's table, put to those before; None where it brings no row."""
        raw = bytes(choice.logprobs)
        if raw in _NOTHING:
            return None
        if raw[:1] != b"{":  # one number: this token's, with its alternatives beside it
            text = (choice.delta.content if choice.delta is not None else choice.text) or ""
            columns = {"tokens": [text], "token_logprobs": [msgspec.Raw(raw)]}
            columns["top_logprobs"] = [msgspec.Raw(bytes(choice.top_logprobs) or b"null")]
            raw = msgspec.json.encode(columns)
        grown = False
        for name, value in decode(raw, dict[str, msgspec.Raw], self._dialect, at="choices[0].logprobs").items():
            if bytes(value)[:1] != b"[":
                continue
            # Copies: what is kept must not keep the whole of each event.
            items = [bytes(item) for item in msgspec.json.decode(value, type=list[msgspec.Raw])]
            self._lists.setdefault(name, []).extend(items)
            grown = grown or bool(items)
        return msgspec.Raw(raw) if grown else None
