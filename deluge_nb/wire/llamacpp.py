"""The native dialect of llama.cpp's server, which can do what chat APIs cannot.

The whole vocabulary at a token, raw text to continue, token ids in and out, and the exact log-likelihood of a given
text. Its log-probabilities are the model's own: before temperature, bias, grammar and truncation.

Two things about the server shape this module. It joins tokens that end inside a character and reports only the one that
completes it, so the others are asked for again, one by one. And under stop strings it reports texts that belong to
other tokens, so bytes are taken from the alternatives, which are right.
"""

from __future__ import annotations

import codecs
import dataclasses
import math
from collections.abc import Generator, Sequence
from typing import Any

import msgspec
import numpy as np

from .._columns import Builder
from ..errors import MalformedResponseError
from ..logprobs import Logprobs
from . import Ask, Completion, Exchange, ServerError, WireRequest, openai
from ._decode import decode

NAME = "llamacpp"

# Enough alternatives to find nearly any token that was drawn; the whole vocabulary takes twenty times as long.
_WIDE = 300
_WHOLE = 10_000_000
# With a bias this strong, and greedy, the server draws the token it is told to.
_FORCED = 100
_LEAST_WITH_STOP = 20

Step = Generator[WireRequest, bytes, Any]


class _Weighed(msgspec.Struct, gc=False):
    id: int
    logprob: float | None = None
    token: str = ""
    bytes: list[int] = []


class _Entry(msgspec.Struct, gc=False):
    id: int
    logprob: float | None = None
    token: str = ""
    bytes: list[int] = []
    top_logprobs: list[_Weighed] = []


class _Reply(msgspec.Struct):
    content: str
    tokens: list[int] = []
    completion_probabilities: list[_Entry] = []
    stop_type: str = ""
    tokens_evaluated: int = 0
    tokens_predicted: int = 0
    model: str | None = None


class _Templated(msgspec.Struct):
    prompt: str


class _Piece(msgspec.Struct):
    id: int
    piece: str | list[int]

    @property
    def octets(self) -> bytes:
        return self.piece.encode() if isinstance(self.piece, str) else bytes(self.piece)


class _Pieces(msgspec.Struct):
    tokens: list[_Piece]


def exchange(ask: Ask) -> Exchange:
    """Carry out an ask, in as many requests as it takes."""
    if ask.tools:  # templates with tools are the chat route's business
        params = ask.params
        if params.logprobs:
            params = params.replace(top_logprobs=max(1, params.top_logprobs or 0))
        request = openai.build_request(dataclasses.replace(ask, params=params))
        reply = yield dataclasses.replace(request, path="/v1" + request.path)
        return openai.parse_response(reply, ask)
    prompt = yield from _prompt_text(ask)
    if ask.continuation is not None:
        return (yield from _score(ask, prompt, ask.continuation))
    body = yield build_request(ask, prompt)
    reply = decode(body, _Reply, NAME)
    table = None
    if ask.params.logprobs:
        rows = yield from _rows(ask, prompt, reply)
        table = _table(ask, rows)
    return _completion(reply, reply.content, table, _without_entries(body))


def build_request(ask: Ask, prompt: str) -> WireRequest:
    """The request for a completion of a text."""
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
        # 0 would mean none at all.
        wanted = max(1, params.top_logprobs or 0, _LEAST_WITH_STOP if params.stop else 0)
        body |= {"n_probs": _WHOLE if params.full_vocab else wanted, "return_tokens": True}
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in params.logit_bias.items()]
    if ask.output_schema is not None:
        body["json_schema"] = dict(ask.output_schema.schema)
    return WireRequest("/completion", body | (params.extra_body or {}))


def with_entries(raw: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """The reply's body with its log-probabilities put back, each token with a row of its own."""
    return openai.with_entries(raw, entries) if "choices" in raw else {**raw, "completion_probabilities": entries}


def parse_error(status: int, body: bytes) -> ServerError:
    """The reason in a reply that is no success."""
    found = openai.parse_error(status, body)
    inner = found.body.get("error") if isinstance(found.body, dict) else None
    if isinstance(inner, dict) and inner.get("type") == "exceed_context_size_error":
        told = (
            f"the prompt has {inner.get('n_prompt_tokens')} tokens and the context holds {inner.get('n_ctx')}; shorten "
            "the prompt, or use LocalModel(path, context=…)"
        )
        return dataclasses.replace(found, message=told)
    return found


def _prompt_text(ask: Ask) -> Generator[WireRequest, bytes, str]:
    if ask.prompt.raw is not None:
        return ask.prompt.raw
    reply = yield WireRequest("/apply-template", {"messages": openai.messages(ask)})
    return decode(reply, _Templated, NAME).prompt


def _tokens(text: str, *, special: bool = True) -> Generator[WireRequest, bytes, list[_Piece]]:
    asked = {"content": text, "add_special": special, "parse_special": special, "with_pieces": True}
    reply = yield WireRequest("/tokenize", asked)
    return decode(reply, _Pieces, NAME).tokens


# From a reply to one row for each token -------------------------------------------------------------------------------


class _Row(msgspec.Struct):
    """A token as it goes into the table."""

    id: int
    octets: bytes
    logprob: float | None
    top: list[_Weighed]


def _rows(ask: Ask, prompt: str, reply: _Reply) -> Generator[WireRequest, bytes, list[_Row]]:
    ids, entries = reply.tokens, reply.completion_probabilities
    if reply.stop_type == "eos":
        # The end of the text is not a token of it.
        ids = ids[:-1] if len(ids) and len(entries) and entries[-1].id == ids[-1] and not entries[-1].bytes else ids
        entries = entries[:-1] if len(entries) and not entries[-1].bytes else entries
    if reply.stop_type == "word":
        # The server keeps the ids of the stop string, and leaves their entries out.
        ids = _stopped(ids, entries)
    known = {one.id: bytes(one.bytes) for entry in entries for one in entry.top_logprobs}
    # Without stop strings, an entry that follows a whole character has the bytes of its own token and no other.
    told = not ask.params.stop
    whole = told and len(entries) == len(ids)
    repair = _Repair(prompt, ids)
    rows: list[_Row] = []
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    waiting = iter(entries)
    entry = next(waiting, None)
    for position, token in enumerate(ids):
        octets = known.get(token)
        if (
            octets is None
            and entry is not None
            and entry.id == token
            and (whole or (told and not decoder.getstate()[0]))
        ):
            octets = bytes(entry.bytes)
        row = None
        if octets is None:
            row = yield from repair.row(position)
            octets = row.octets
        decoder.decode(octets)
        complete = not decoder.getstate()[0]
        if entry is not None and entry.id == token and (complete or whole):
            rows.append(_Row(token, octets, entry.logprob, entry.top_logprobs))
            entry = next(waiting, None)
            continue
        if row is None:
            row = yield from repair.row(position)
        rows.append(row)
    return rows


def _stopped(ids: list[int], entries: list[_Entry]) -> list[int]:
    """The ids up to the last that has an entry."""
    if not entries:
        return []
    last = next((i for i in range(len(ids) - 1, -1, -1) if ids[i] == entries[-1].id and i + 1 >= len(entries)), -1)
    return ids[: last + 1]


class _Repair:
    """Asks again, token by token, for what a reply left out."""

    def __init__(self, prompt: str | list[int], ids: Sequence[int]) -> None:
        self._prompt = prompt
        self._ids = ids
        self._clean: int | None = None

    def row(self, position: int) -> Generator[WireRequest, bytes, _Row]:
        """The row of a token, from the distribution before it."""
        if isinstance(self._prompt, str):
            pieces = yield from _tokens(self._prompt)
            self._prompt = [piece.id for piece in pieces]
        if self._clean is None:
            pieces = yield from _tokens(" the", special=False)
            self._clean = pieces[0].id
        token = self._ids[position]
        for width in (_WIDE, _WHOLE):
            reply = yield WireRequest(
                "/completion",
                {
                    "prompt": [*self._prompt, *self._ids[:position]],
                    "n_predict": 1,
                    "n_probs": width,
                    "samplers": ["temperature"],
                    "temperature": 0,
                    # What is drawn does not matter, as long as it is a whole character: else there is no entry.
                    "logit_bias": [[self._clean, _FORCED]],
                    "cache_prompt": True,
                },
            )
            entries = decode(reply, _Reply, NAME).completion_probabilities
            top = entries[0].top_logprobs if entries else []
            found = next((one for one in top if one.id == token), None)
            if found is not None:
                return _Row(token, bytes(found.bytes), found.logprob, top)
        raise MalformedResponseError(
            f"The server drew token {token} and does not list it in its vocabulary.",
            dialect=NAME,
            field="completion_probabilities",
        )


def _table(ask: Ask, rows: Sequence[_Row]) -> Logprobs:
    builder = Builder(ask.vocabulary)
    full = ask.params.full_vocab
    kept = None if full else ask.params.top_logprobs or 0
    for row in rows:
        # Single precision leaves a whole vocabulary's sum a little off 1.
        excess = _log_sum([one.logprob for one in row.top]) if full else 0.0
        builder.token(row.octets.decode("utf-8", "replace"), _less(row.logprob, excess), row.octets, row.id)
        for one in row.top[:kept]:
            octets = bytes(one.bytes)
            builder.alternative(octets.decode("utf-8", "replace"), _less(one.logprob, excess), octets, one.id)
    return Logprobs(builder.vocabulary, *builder.columns(), vocab_size=ask.vocab_size)


def _less(logprob: float | None, excess: float) -> float | None:
    return logprob if logprob is None or logprob < -1e30 else logprob - excess


def _log_sum(logprobs: list[float | None]) -> float:
    column = np.array([value for value in logprobs if value is not None], dtype=np.float64)
    peak = column.max(initial=-math.inf)
    return float(peak + np.log(np.exp(column - peak).sum())) if len(column) else 0.0


# The log-likelihood of a given text -----------------------------------------------------------------------------------


def _score(ask: Ask, prompt: str, continuation: str) -> Exchange:
    """Make the server write the given tokens, and read how likely it found each."""
    if ask.prompt.raw is not None:
        # Tokens carry their space in front: after a space, no likely token starts.
        kept = prompt.rstrip(" ")
        continuation, prompt = prompt[len(kept) :] + continuation, kept or prompt
    before = yield from _tokens(prompt)
    both = yield from _tokens(prompt + continuation)
    start = [piece.id for piece in before]
    if [piece.id for piece in both[: len(before)]] == start:
        wanted = both[len(before) :]
    else:  # the boundary falls inside a token of the joined text
        wanted = yield from _tokens(continuation, special=False)
    ids = [piece.id for piece in wanted]
    rows: list[_Row] = []
    if all(isinstance(piece.piece, str) for piece in wanted):
        # A grammar of token ids; it works on whole characters only.
        body = yield WireRequest(
            "/completion",
            {
                "prompt": start,
                "grammar": f"root ::= {' '.join(f'<[{token}]>' for token in ids)}",
                "n_predict": len(ids),
                "n_probs": max(1, ask.params.top_logprobs or 0),
                "samplers": ["temperature"],
                "temperature": 0,
                "return_tokens": True,
                "cache_prompt": True,
            },
        )
        entries = decode(body, _Reply, NAME).completion_probabilities
        if [entry.id for entry in entries] == ids:
            rows = [
                _Row(entry.id, piece.octets, entry.logprob, entry.top_logprobs)
                for entry, piece in zip(entries, wanted, strict=True)
            ]
    if not rows:
        repair = _Repair(start, ids)
        for position in range(len(ids)):
            rows.append((yield from repair.row(position)))
    count = {"prompt_tokens": len(start), "completion_tokens": len(ids), "total_tokens": len(start) + len(ids)}
    return Completion(
        continuation, logprobs=_table(ask, rows), finish_reason="length", usage=count, raw={"tokens": ids}
    )


def _completion(reply: _Reply, text: str, table: Logprobs | None, raw: dict[str, Any]) -> Completion:
    spent = {"prompt_tokens": reply.tokens_evaluated, "completion_tokens": reply.tokens_predicted}
    return Completion(
        text,
        logprobs=table,
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
