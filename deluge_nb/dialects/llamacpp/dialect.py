"""The native API of llama.cpp's server, which can do more than chat APIs.

It returns the whole vocabulary at a token, continues raw text, accepts and returns token ids, and computes the exact
log-likelihood of a given text. Its log-probabilities are the model's own: before temperature, bias, grammar and
truncation.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator
from functools import partial
from typing import Any

import msgspec

from ...errors import MalformedResponseError, RequestError
from ...logprobs.table import Logprobs
from ...prompts import text_only
from .. import openai
from ..base import Ask, Completion, Exchange, Request, converse
from ..reading.answer import FailedAnswer, checked, reported_failure
from ..reading.decode import ServerError, decode
from ..reading.decode import parse_error as parse_server_error
from ..reading.failures import REASON_FIELDS
from ..reading.faults import Faults
from .replies import NAME, Reply
from .rows import build_table, reply_reader, rows, tokenize, width_of
from .scoring import score
from .stream import CompletionReader, add_unreported_tokens

# The key, and not the token of this name that every whole vocabulary lists.
_REASON_KEY = re.compile(rf'"(?:{"|".join(REASON_FIELDS)})"\s*:'.encode())


class _Templated(msgspec.Struct):
    prompt: str


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
            # Of any of the requests.
            if request.reader is None and (failed := _reported(ask, body)) is not None:
                request = dataclasses.replace(request, failure=failed)
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
        return (yield from score(ask, text, ask.continuation))
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


def _reported(ask: Ask, body: bytes) -> FailedAnswer | None:
    """Return the failure that a reply reports, if it is nothing else."""
    failed = reported_failure(ask.model, body) if _REASON_KEY.search(body) is not None else None
    reply = failed.body if failed is not None else None
    has_answer = isinstance(reply, dict) and any(reply.get(name) is not None for name in ("content", "choices"))
    return None if has_answer else failed


def _read(ask: Ask, body: bytes, prompt: str | list[int], reader: CompletionReader | None) -> Exchange:
    """Parse the reply to a completion; the rows that it lacks are requested."""
    faults = Faults()
    try:
        reply = reply_reader(ask, faults)(body)
    except MalformedResponseError:
        if (failed := _reported(ask, body)) is not None:
            raise failed from None
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
    checked(ask.model, body, ending, reply.error)
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
        body |= {"n_probs": width_of(params), "return_tokens": True}
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
        text_only(message, ask.model)
    reply = yield Request("/apply-template", {"messages": messages})
    return decode(reply, _Templated, NAME).prompt


def _is_streamed(ask: Ask) -> bool:
    """Return True to stream the answer; not with stop strings, which delay rows, nor with whole vocabularies."""
    return ask.stream and not ask.params.stop and not ask.params.full_vocab


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
