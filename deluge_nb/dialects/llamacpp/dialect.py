"""The native dialect of llama.cpp's server, which can do what chat APIs cannot.

The whole vocabulary at a token, raw text to continue, token ids in and out, and the exact log-likelihood of a given
text. Its log-probabilities are the model's own: before temperature, bias, grammar and truncation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import msgspec

from ...logprobs.table import Logprobs
from ...sampling import SamplingParams
from .. import openai
from ..base import Ask, Completion, Exchange, Request
from ..decode import ServerError, decode
from ..decode import parse_error as parse_server_error
from .rows import NAME, WHOLE, Piece, Repair, Reply, Row, rows, table, tokens
from .stream import CompletionReader, completed

# With so many alternatives nearly every token drawn is among them, and the bytes given there are its own.
_LEAST_WITH_STOP = 20
# What the special tokens of every chat format begin with.
_MARKS = frozenset("<[")


class _Templated(msgspec.Struct):
    prompt: str


def exchange(ask: Ask) -> Exchange:
    """Carry out an ask, in as many requests as it takes.

    Raises
    ------
    MalformedResponseError
        When a reply does not fit; names the field.
    """
    if ask.tools:  # templates with tools are the chat route's business
        params = ask.params
        if params.logprobs:
            params = params.replace(top_logprobs=max(1, params.top_logprobs or 0))
        request = openai.build_request(dataclasses.replace(ask, params=params))
        reply = yield dataclasses.replace(request, path="/v1" + request.path)
        return openai.parse_response(reply, ask)
    text = yield from _prompt_text(ask)
    if ask.continuation is not None:
        return (yield from _score(ask, text, ask.continuation))
    prompt: str | list[int] = text
    if ask.prompt.begun:
        # By ids and not as text: what was written goes on as it was written, were it half a character.
        prompt = [piece.id for piece in (yield from tokens(text))] + list(ask.prompt.begun)
    request = build_request(ask, prompt)
    reader = CompletionReader(ask) if _in_pieces(ask) else None
    if reader is not None:
        request = dataclasses.replace(request, body={**(request.body or {}), "stream": True}, reader=reader)
    body = yield request
    reply = decode(body, Reply, NAME)
    if reader is not None and ask.params.logprobs:
        reply = yield from completed(reply, reader.pieces, prompt)
    found = None
    if ask.params.logprobs:
        found = table(ask, (yield from rows(ask, prompt, reply)))
    return _completion(reply, found, _without_entries(body))


def build_request(ask: Ask, prompt: str | list[int]) -> Request:
    """The request for a completion of a text, or of tokens by their ids."""
    params = ask.params
    given = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
        "n_predict": params.max_new_tokens if not params.full_vocab else params.max_new_tokens or 1,
    }
    penalised = params.presence_penalty is not None or params.frequency_penalty is not None
    # The server's own chain cuts off what is unlikely before it draws; an honest draw is from the whole distribution.
    chain = [*["penalties"] * penalised, "temperature", *["top_p"] * (params.top_p is not None)]
    body: dict[str, Any] = {"prompt": prompt, "samplers": chain, "cache_prompt": True}
    body |= {name: value for name, value in given.items() if value is not None}
    if params.logprobs:
        body |= {"n_probs": _width(params), "return_tokens": True}
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in params.logit_bias.items()]
    if ask.output_schema is not None:
        body["json_schema"] = dict(ask.output_schema.schema)
    return Request("/completion", body | (params.extra_body or {}))


def with_entries(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """The reply's body with its log-probabilities put back, each token with a row of its own."""
    return openai.with_entries(raw, entries) if "choices" in raw else {**raw, "completion_probabilities": entries}


def parse_error(status: int, body: bytes) -> ServerError:
    """Return the reason in the body of a failed reply."""
    found = parse_server_error(status, body)
    inner = found.body.get("error") if isinstance(found.body, dict) else None
    if isinstance(inner, dict) and inner.get("type") == "exceed_context_size_error":
        told = (
            f"the prompt has {inner.get('n_prompt_tokens')} tokens and the context holds {inner.get('n_ctx')}; shorten "
            "the prompt, or use LocalModel(path, context=…)"
        )
        return dataclasses.replace(found, message=told)
    return found


def _prompt_text(ask: Ask) -> Generator[Request, bytes, str]:
    if ask.prompt.raw is not None:
        return ask.prompt.raw
    reply = yield Request("/apply-template", {"messages": openai.messages(ask)})
    return decode(reply, _Templated, NAME).prompt


def _in_pieces(ask: Ask) -> bool:
    """Whether to have the answer streamed: stop strings hold back rows, and whole vocabularies are too much to show."""
    return ask.stream and not ask.params.stop and not ask.params.full_vocab


def _width(params: SamplingParams) -> int:
    """How many alternatives to ask for; with none there would be no log-probabilities at all."""
    return WHOLE if params.full_vocab else max(1, params.top_logprobs or 0, _LEAST_WITH_STOP if params.stop else 0)


# The log-likelihood of a given text -----------------------------------------------------------------------------------


def _score(ask: Ask, prompt: str, continuation: str) -> Exchange:
    """Make the server write the given tokens, and read how likely it found each."""
    if ask.prompt.raw is not None and prompt.strip(" "):
        # Tokens carry their space in front: after a space, no likely token starts.
        kept = prompt.rstrip(" ")
        prompt, continuation = kept, prompt[len(kept) :] + continuation
    before = yield from tokens(prompt)
    both = yield from tokens(prompt + continuation)
    start = [piece.id for piece in before]
    if [piece.id for piece in both[: len(before)]] == start:
        wanted = both[len(before) :]
    else:  # the boundary falls inside a token of the joined text
        wanted = yield from tokens(continuation, special=False)
    ids = [piece.id for piece in wanted]
    found: list[Row] = []
    if ids and (yield from _writable(continuation, wanted)):
        body = yield Request(
            "/completion",
            {
                "prompt": start,
                "grammar": f"root ::= {' '.join(f'<[{token}]>' for token in ids)}",
                "n_predict": len(ids),
                "n_probs": _width(ask.params),
                "samplers": ["temperature"],
                "temperature": 0,
                "return_tokens": True,
                "cache_prompt": True,
            },
        )
        entries = decode(body, Reply, NAME).completion_probabilities
        if [entry.id for entry in entries] == ids:
            found = [
                Row(entry.id, piece.octets, entry.logprob, entry.top_logprobs)
                for entry, piece in zip(entries, wanted, strict=True)
            ]
    if not found:
        repair = Repair(start, ids, whole_vocabulary=ask.params.full_vocab)
        for position, piece in enumerate(wanted):
            row = yield from repair.row(position)
            # What marks the end of a turn has no bytes among the alternatives.
            found.append(Row(row.id, piece.octets, row.logprob, row.top))
    count = {"prompt_tokens": len(start), "completion_tokens": len(ids), "total_tokens": len(start) + len(ids)}
    return Completion(
        continuation, logprobs=table(ask, found), finish_reason="length", usage=count, raw={"tokens": ids}
    )


def _writable(text: str, wanted: list[Piece]) -> Generator[Request, bytes, bool]:
    """Whether a grammar of token ids can make the server write these: whole characters, and no special tokens."""
    if not all(isinstance(piece.piece, str) for piece in wanted):
        return False
    if not _MARKS & set(text):
        return True
    special = {piece.id for piece in (yield from tokens(text))}
    special -= {piece.id for piece in (yield from tokens(text, special=False))}
    return special.isdisjoint(piece.id for piece in wanted)


def _completion(reply: Reply, found: Logprobs | None, raw: dict[str, Any]) -> Completion:
    spent = {"prompt_tokens": reply.tokens_evaluated, "completion_tokens": reply.tokens_predicted}
    return Completion(
        reply.content,
        logprobs=found,
        finish_reason="length" if reply.stop_type == "limit" else "stop",
        usage={**spent, "total_tokens": sum(spent.values())},
        model=reply.model,
        raw=raw,
    )


def _without_entries(body: bytes) -> dict[str, Any]:
    """The body without its log-probabilities, which weigh a hundred times the rest."""
    fields = decode(body, dict[str, msgspec.Raw], NAME)
    return {
        name: decode(bytes(value), Any, NAME) for name, value in fields.items() if name != "completion_probabilities"
    }
