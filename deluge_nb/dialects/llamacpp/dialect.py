"""The native API of llama.cpp's server, which can do more than chat APIs.

It returns the whole vocabulary at a token, continues raw text, accepts and returns token ids, and computes the exact
log-likelihood of a given text. Its log-probabilities are the model's own: before temperature, bias, grammar and
truncation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from functools import partial
from typing import Any

import msgspec

from ...errors import MalformedResponseError, RequestError
from ...logprobs.table import Logprobs
from ...prompts import text_only
from ...sampling import SamplingParams
from .. import openai
from ..base import Ask, Completion, Exchange, FailedAnswer, Request, checked, converse, failure
from ..reading.decode import ServerError, decode
from ..reading.decode import parse_error as parse_server_error
from ..reading.faults import Faults
from .replies import NAME, Entry, Reply, Row
from .rows import (
    FORCING_BIAS,
    WHOLE_VOCABULARY,
    Piece,
    RowRequests,
    build_table,
    reply_reader,
    rows,
    tokenize,
)
from .stream import CompletionReader, add_unreported_tokens

# Alternatives; with this many, nearly every drawn token is among them, and their bytes are reliable.
_MIN_TOP_WITH_STOP = 20
# First characters of the special tokens of all chat formats.
_SPECIAL_FIRST_CHARACTERS = frozenset("<[")


# Tokens that models saw between two texts in training; the likelihood of a whole text is that after such a token.
_SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>")
_EMPTY = '""'


class _Templated(msgspec.Struct):
    prompt: str


class _Failure(msgspec.Struct):
    error: Any = None
    content: Any = None
    choices: Any = None


class _Properties(msgspec.Struct):
    bos_token: str = ""
    eos_token: str = ""


def exchange(ask: Ask) -> Exchange:
    """Process an ask, with as many requests as it needs.

    Raises
    ------
    MalformedResponseError
        When a reply does not fit this dialect; names the field.
    """
    steps = _exchange(ask)
    request = next(steps)
    while True:
        try:
            body = yield request
            if request.reader is None and _is_failure(body):  # of any of the requests
                request = dataclasses.replace(request, failure=failure(ask, body))
            else:
                request = steps.send(body)
        except FailedAnswer as error:
            request = steps.throw(error)
        except StopIteration as end:
            return end.value


def _exchange(ask: Ask) -> Exchange:
    if ask.tools:  # only the server's chat route applies templates with tools
        return (yield from converse(ask, _chat_request, openai.parse_response))
    text = yield from _prompt_text(ask)
    if ask.continuation is not None:
        return (yield from _score(ask, text, ask.continuation))
    prompt: str | list[int] = text
    if ask.prompt.begun:
        # As ids and not as text: a token may end inside a character.
        prompt = [piece.id for piece in (yield from tokenize(text))] + list(ask.prompt.begun)
    failed: RequestError | None = None
    while True:
        request = dataclasses.replace(build_request(ask, prompt), failure=failed)
        reader = CompletionReader(ask) if _is_streamed(ask) else None
        if reader is not None:
            request = dataclasses.replace(request, body={**(request.body or {}), "stream": True}, reader=reader)
        try:
            body = yield request
            return (yield from _read(ask, body, prompt, reader))
        except FailedAnswer as error:
            error.read_part(lambda part: _completion(reply_reader(ask, Faults())(part), None, _without_entries(part)))
            failed = error


def _chat_request(ask: Ask) -> Request:
    params = ask.params
    if params.logprobs:
        params = params.replace(top_logprobs=max(1, params.top_logprobs or 0))
    request = openai.build_request(dataclasses.replace(ask, params=params))
    return dataclasses.replace(request, path="/v1" + request.path)


def _is_failure(body: bytes) -> bool:
    """Return whether a reply is a failure and nothing else."""
    if b'"error"' not in body:
        return False
    try:
        reply = decode(body, _Failure, NAME, faults=Faults())
    except MalformedResponseError:
        return False
    return bool(reply.error) and reply.content is None and reply.choices is None


def _read(ask: Ask, body: bytes, prompt: str | list[int], reader: CompletionReader | None) -> Exchange:
    """Parse the reply to a completion; the rows that it lacks are requested."""
    faults = Faults()
    try:
        reply = reply_reader(ask, faults)(body)
    except MalformedResponseError:
        if _is_failure(body):
            raise failure(ask, body) from None
        raise
    notes = faults.notes if reader is None else (*reader.faults.notes, *faults.notes)
    logprobs, raw = None, _without_entries(body)
    if ask.params.logprobs:
        try:
            if reader is not None:
                reply = yield from add_unreported_tokens(reply, reader.pieces, prompt)
            logprobs = build_table(ask, (yield from rows(ask, prompt, reply)))
        except (MalformedResponseError, IndexError) as error:
            # The table is lost, and not the text.
            raw = decode(body, dict[str, Any], NAME)
            notes = (*notes, str(error)) if isinstance(error, MalformedResponseError) else notes
    completion = dataclasses.replace(_completion(reply, logprobs, raw), notes=notes)
    ending = dataclasses.replace(completion, finish_reason=reply.stop_type)
    checked(ask, body, ending, reply.error)
    return completion


def count_tokens(ask: Ask) -> Generator[Request, bytes, int]:
    """Return the number of tokens of a prompt, with the chat template around it."""
    text = yield from _prompt_text(ask)
    return len((yield from tokenize(text)))


def build_request(ask: Ask, prompt: str | list[int]) -> Request:
    """Return the HTTP request for the continuation of a text or of token ids."""
    params = ask.params
    settings = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
        "n_predict": params.max_new_tokens if not params.full_vocab else params.max_new_tokens or 1,
    }
    has_penalties = params.presence_penalty is not None or params.frequency_penalty is not None
    # The server's default samplers cut off unlikely tokens; these draw from the whole distribution.
    samplers = [*["penalties"] * has_penalties, "temperature", *["top_p"] * (params.top_p is not None)]
    body: dict[str, Any] = {"prompt": prompt, "samplers": samplers, "cache_prompt": True}
    body |= {name: value for name, value in settings.items() if value is not None}
    if params.logprobs:
        body |= {"n_probs": _width(params), "return_tokens": True}
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in params.logit_bias.items()]
    if ask.output_schema is not None:
        body["json_schema"] = dict(ask.output_schema.schema)
    return Request("/completion", body | (params.extra_body or {}), make_reader=partial(CompletionReader, ask))


def with_entries(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """Restore the log-probabilities in a reply's body, with one row per token."""
    return openai.with_entries(raw, entries) if "choices" in raw else {**raw, "completion_probabilities": entries}


def parse_error(status: int, body: bytes) -> ServerError:
    """Return the reason in the body of a failed reply."""
    reason = parse_server_error(status, body)
    inner = reason.body.get("error") if isinstance(reason.body, dict) else None
    if isinstance(inner, dict) and inner.get("type") == "exceed_context_size_error":
        message = (
            f"the prompt has {inner.get('n_prompt_tokens')} tokens and the context holds {inner.get('n_ctx')}; shorten "
            "the prompt, or use LocalModel(path, context=…)"
        )
        return dataclasses.replace(reason, message=message)
    return reason


def _prompt_text(ask: Ask) -> Generator[Request, bytes, str]:
    if ask.prompt.raw is not None:
        return ask.prompt.raw
    messages = openai.messages(ask)
    for message in messages:
        text_only(message.get("content"), ask.model)
    reply = yield Request("/apply-template", {"messages": messages})
    return decode(reply, _Templated, NAME).prompt


def _is_streamed(ask: Ask) -> bool:
    """Return True to stream the answer; not with stop strings, which delay rows, nor with whole vocabularies."""
    return ask.stream and not ask.params.stop and not ask.params.full_vocab


def _width(params: SamplingParams) -> int:
    """Return the number of alternatives to request; with 0 the server returns no log-probabilities at all."""
    return (
        WHOLE_VOCABULARY
        if params.full_vocab
        else max(1, params.top_logprobs or 0, _MIN_TOP_WITH_STOP if params.stop else 0)
    )


# The log-likelihood of a given text -----------------------------------------------------------------------------------


def _score(ask: Ask, prompt: str, continuation: str) -> Exchange:
    """Force the server to generate the given tokens, and return their log-probabilities."""
    if ask.prompt.raw is not None and prompt.strip(" "):
        # Most tokens begin with their space, so the prompt's trailing spaces move to the continuation.
        stripped = prompt.rstrip(" ")
        prompt, continuation = stripped, prompt[len(stripped) :] + continuation
    before = yield from tokenize(prompt)
    both = yield from tokenize(prompt + continuation)
    start = [piece.id for piece in before]
    if [piece.id for piece in both[: len(before)]] == start:
        pieces = both[len(before) :]
    else:  # the boundary falls inside a token of the joined text
        pieces = yield from tokenize(continuation, special=False)
    ids = [piece.id for piece in pieces]
    start = start or (yield from _start_of_text())
    end = (yield from _end_of_turn(ask)) if ask.ends else []
    scored: list[Row] = []
    if ids and (yield from _fits_grammar(continuation, pieces)):
        entries = yield from _force(ask, start, ids, end)
        if [entry.id for entry in entries[: len(ids)]] == ids and len(entries) == len(ids) + ask.ends:
            scored = [
                Row(entry.id, octets, entry.logprob, entry.top_logprobs)
                for entry, octets in zip(entries, [*(piece.octets for piece in pieces), b""], strict=False)
            ]
    if not scored:
        requests = RowRequests(start, ids, read=reply_reader(ask), whole_vocabulary=ask.params.full_vocab)
        for position, piece in enumerate(pieces):
            row = yield from requests.row(position)
            # Not the row's bytes: the alternatives have none for the token that ends a turn.
            scored.append(Row(row.id, piece.octets, row.logprob, row.top))
        if ask.ends:
            entries = yield from _force(ask, [*start, *ids], [], end)
            scored += [Row(entry.id, b"", entry.logprob, entry.top_logprobs) for entry in entries[:1]]
    count = {"prompt_tokens": len(start), "completion_tokens": len(ids), "total_tokens": len(start) + len(ids)}
    return Completion(
        continuation,
        logprobs=build_table(ask, scored),
        finish_reason="stop" if ask.ends else "length",
        usage=count,
        raw={"tokens": [row.id for row in scored]},
    )


def _force(ask: Ask, start: list[int], ids: list[int], end: list[int]) -> Generator[Request, bytes, list[Entry]]:
    """Return the entries of tokens that a grammar forces, and with ``ask.ends`` that of the token after them.

    Where the grammar is complete, the server draws the likeliest token that ends a text, or the given one.
    """
    body: dict[str, Any] = {
        "prompt": start,
        "grammar": f"root ::= {' '.join(f'<[{token}]>' for token in ids) or _EMPTY}",
        "n_predict": len(ids) + ask.ends,
        "n_probs": _width(ask.params),
        "samplers": ["temperature"],
        "temperature": 0,
        "return_tokens": True,
        "cache_prompt": True,
    }
    if end:
        body["logit_bias"] = [[token, FORCING_BIAS] for token in end]
    return reply_reader(ask)((yield Request("/completion", body))).completion_probabilities


def _end_of_turn(ask: Ask) -> Generator[Request, bytes, list[int]]:
    """Return the token that ends a turn of a chat; none for raw text, which any token that ends a text may end."""
    if ask.prompt.raw is not None:
        return []
    properties = decode((yield Request("/props", method="GET")), _Properties, NAME)
    return [piece.id for piece in (yield from tokenize(properties.eos_token))][-1:]


def _start_of_text() -> Generator[Request, bytes, list[int]]:
    """Return the token that stands before the first one of a text, for tokenizers that put none there."""
    for name in _SEPARATORS:
        pieces = yield from tokenize(name)
        if len(pieces) == 1:
            return [piece.id for piece in pieces]
    properties = decode((yield Request("/props", method="GET")), _Properties, NAME)
    return [piece.id for piece in (yield from tokenize(properties.bos_token or properties.eos_token))][-1:]


def _fits_grammar(text: str, pieces: list[Piece]) -> Generator[Request, bytes, bool]:
    """Return True if a grammar of token ids can force these tokens: whole characters, and no special tokens."""
    if not all(isinstance(piece.piece, str) for piece in pieces):
        return False
    if not _SPECIAL_FIRST_CHARACTERS & set(text):
        return True
    special = {piece.id for piece in (yield from tokenize(text))}
    special -= {piece.id for piece in (yield from tokenize(text, special=False))}
    return special.isdisjoint(piece.id for piece in pieces)


def _completion(reply: Reply, logprobs: Logprobs | None, raw: dict[str, Any]) -> Completion:
    usage = {"prompt_tokens": reply.tokens_evaluated, "completion_tokens": reply.tokens_predicted}
    return Completion(
        reply.content,
        logprobs=logprobs,
        finish_reason="length" if reply.stop_type == "limit" else "stop",
        usage={**usage, "total_tokens": sum(usage.values())},
        model=reply.model,
        raw=raw,
    )


def _without_entries(body: bytes) -> dict[str, Any]:
    """Return the body without its log-probabilities, which are a hundred times larger than the rest."""
    fields = decode(body, dict[str, msgspec.Raw], NAME)
    return {
        name: decode(bytes(value), Any, NAME) for name, value in fields.items() if name != "completion_probabilities"
    }
