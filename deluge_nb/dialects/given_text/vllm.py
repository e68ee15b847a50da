"""``prompt_logprobs`` of vLLM: a dict from token ids to log-probabilities at each token of a prompt or a chat."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...errors import RequestError
from ...prompts import text_only
from .. import openai
from ..base import Ask, Request
from . import echo
from .boundary import UNKNOWN, Token, align, align_end, misspelt
from .reading import Reading, first_of, likeliest, number, reply_of, width_of, without_first_number

NAME = "prompt_logprobs"


def read(ask: Ask, before: str, text: str) -> Generator[Request, bytes, Reading]:
    """Return what a server says of a text after raw text; after a chat if the prompt is one."""
    if ask.prompt.raw is None:
        return (yield from _read_chat(ask, text))
    body = {"prompt": before + text, "logprobs": width_of(ask), **_fields(ask)}
    reply = reply_of(ask, (yield Request("/completions", body, may_fail=True)))
    choice = first_of(reply.get("choices"))
    rows, ids = choice.get("prompt_logprobs"), choice.get("prompt_token_ids")
    if not isinstance(rows, list) or not isinstance(ids, list):
        # An older server, or one behind a router that drops fields it does not know.
        return (yield from echo.read(ask, before, text))
    generated = choice.get("logprobs")
    whole, tokens = before + text, without_first_number(list(_tokens(ask, rows, ids)))
    aligned = align(tokens, whole)
    if len(tokens) > 1 and tokens[0].known is None and not whole[:1].isascii():
        # Nothing tells whether the first token is a part of a character or stands before all texts.
        fields = {**_fields(ask), "prompt": "a", "logprobs": 1}
        alone = first_of(reply_of(ask, (yield Request("/completions", fields))).get("choices")).get("prompt_token_ids")
        if isinstance(alone, list) and len(alone) > 1 and alone[0] == ids[0]:
            aligned = align(tokens[1:], whole, most_leading=0)
        elif whole.encode().startswith(tokens[1].known or whole.encode() + b"\0"):
            aligned = align([replace(tokens[0], text=""), *tokens[1:]], whole, most_leading=0)
        else:
            aligned = align(tokens, whole, most_leading=0)
    if aligned is None or aligned[1]:
        raise misspelt(ask.model, NAME)
    after = list(echo.tokens_of(ask, generated)) if isinstance(generated, dict) else []
    return Reading(aligned[0], after, len(before.encode()), before + text, reply.get("usage"), reply.get("model"))


def read_from_boundary(ask: Ask, before: str, text: str) -> Generator[Request, bytes, Reading | None]:
    """Return what a server says of a text whose first token begins where the text does.

    The server cuts the prompt and the text into tokens separately, and receives the ids of both. None if it cannot, as
    behind a router that knows the routes of OpenAI only, or if the tokens of the text alone spell something else.

    Parameters
    ----------
    ask
        The request.
    before, text
        Raw text, and the text after it.
    """
    sides: list[list[int]] = []
    for part, special in ((before, True), (text, False)):
        reply = yield from _ask_server(ask, "/tokenize", {"prompt": part, "add_special_tokens": special})
        ids = reply.get("tokens")
        if not isinstance(ids, list) or not ids or any(type(one) is not int for one in ids):
            return None
        sides.append(ids)
    start, own = sides
    # Tokenizers that put a space before every text do so before this one, and the space may not be seen in its tokens.
    joined = (yield from _ask_server(ask, "/detokenize", {"tokens": [*start, *own]})).get("prompt")
    if not isinstance(joined, str) or not joined.endswith(before + text):
        return None
    body = {"prompt": [*start, *own], "logprobs": width_of(ask), **_fields(ask)}
    try:
        reply = reply_of(ask, (yield Request("/completions", body, may_fail=True)))
    except RequestError:
        return None
    choice = first_of(reply.get("choices"))
    rows, generated = choice.get("prompt_logprobs"), choice.get("logprobs")
    if not isinstance(rows, list) or choice.get("prompt_token_ids") != [*start, *own]:
        return None
    aligned = align(list(_tokens(ask, rows, [*start, *own]))[len(start) :], text)
    if aligned is None or aligned[1] or len(aligned[0]) != len(own):
        return None
    after = list(echo.tokens_of(ask, generated)) if isinstance(generated, dict) else []
    return Reading(aligned[0], after, 0, text, reply.get("usage"), reply.get("model"))


def _ask_server(ask: Ask, path: str, fields: dict[str, Any]) -> Generator[Request, bytes, dict[str, Any]]:
    """Return the reply of a route of vLLM's own; an empty dict where there is none."""
    request = Request(path, {"model": ask.model, **fields}, from_root=True, may_fail=True, is_optional=True)
    try:
        return reply_of(ask, (yield request))
    except RequestError:
        return {}


def _read_chat(ask: Ask, text: str) -> Generator[Request, bytes, Reading]:
    messages = openai.messages(ask)
    for message in messages:
        text_only(message, ask.model)
    begun = ask.prompt.prefill
    continued = {"add_generation_prompt": False, "continue_final_message": True}
    earlier = messages if begun is None else messages[:-1]
    answer = {"role": "assistant", "content": (begun or "") + text}
    common = {**_fields(ask), "logprobs": True, "top_logprobs": width_of(ask)}
    # The tokens of the chat without the text are where the text begins.
    start = {**common, "messages": messages, **(continued if begun is not None else {})}
    start.pop("prompt_logprobs")
    known = reply_of(ask, (yield Request("/chat/completions", start))).get("prompt_token_ids")
    body = {**common, "messages": [*earlier, answer], **continued}
    reply = reply_of(ask, (yield Request("/chat/completions", body)))
    rows, ids = reply.get("prompt_logprobs"), reply.get("prompt_token_ids")
    if not isinstance(rows, list) or not isinstance(ids, list) or not isinstance(known, list):
        raise misspelt(ask.model, NAME)
    same = next((i for i, pair in enumerate(zip(known, ids, strict=False)) if pair[0] != pair[1]), len(known))
    tokens = list(_tokens(ask, rows, ids))[same:]
    spelt = "".join(token.text for token in tokens)
    # A token of the boundary may hold the end of the chat's template.
    whole = spelt if spelt.endswith(text) else text
    aligned = align_end(tokens, whole) or next(iter(align(tokens, whole) or ()), None)
    if aligned is None:
        raise misspelt(ask.model, NAME)
    choice = first_of(reply.get("choices"))
    after = _chat_entries((choice.get("logprobs") or {}).get("content"))
    begin = len(whole.encode()) - len(text.encode())
    return Reading(aligned, after, begin, whole, reply.get("usage"), reply.get("model"))


def _fields(ask: Ask) -> dict[str, Any]:
    return {
        "model": ask.model,
        "prompt_logprobs": width_of(ask),
        "max_tokens": 1,
        "temperature": 1,
        "return_token_ids": True,
    }


def _tokens(ask: Ask, rows: Sequence[Any], ids: Sequence[Any]) -> Iterator[Token]:
    if len(rows) != len(ids):
        raise misspelt(ask.model, NAME)
    # The text's first token has no row, and its text is known only if another row lists it.
    texts = {key: value for row in rows if isinstance(row, dict) for key, value in row.items()}
    for token_id, row in zip(ids, rows, strict=True):
        listed = row if isinstance(row, dict) else {}
        if str(token_id) not in listed and listed:
            raise misspelt(ask.model, NAME)
        own = _token(token_id, texts.get(str(token_id)))
        own.logprob = number(listed[str(token_id)].get("logprob")) if listed else None
        others = [_token(int(key), value) for key, value in listed.items()]
        own.top = likeliest(others, width_of(ask))
        yield own


def _token(token_id: Any, value: Any) -> Token:
    fields = value if isinstance(value, dict) else {}
    text = fields.get("decoded_token")
    return Token(text if isinstance(text, str) else UNKNOWN, number(fields.get("logprob")), token_id)


def _chat_entries(entries: Any) -> list[Token]:
    tokens: list[Token] = []
    for entry in entries if isinstance(entries, list) else []:
        token, *token.top = (
            Token(str(value.get("token") or ""), number(value.get("logprob")))
            for value in (entry, *(entry.get("top_logprobs") or ()))
        )
        tokens.append(token)
    return tokens
