"""``/generate`` of SGLang: log-probabilities of the input from a position on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import zip_longest
from typing import Any

from ..base import Ask, Request
from .boundary import Token, align, align_end, misspelt
from .reading import Reading, likeliest, number, reply_of, width_of, without_first_number

NAME = "sglang"
# Tokens before the text; the first one that is returned has no log-probability, and joined text may have other tokens
# at the boundary.
_MARGIN = 4


def read(ask: Ask, before: str, text: str) -> Generator[Request, bytes, Reading]:
    """Return what a server says of a text after raw text.

    It is asked from a little before the text: from the beginning, it would compute everything again, and need memory
    for the logits of all tokens.
    """
    start = 0
    if before:
        reply = reply_of(ask, (yield _request(ask, before, None)))
        count = (reply.get("meta_info") or {}).get("prompt_tokens")
        start = max(count - _MARGIN, 0) if isinstance(count, int) else 0
    reading = _read(ask, reply_of(ask, (yield _request(ask, before + text, start))), before, text)
    if start and (reading is None or reading.tokens[0].end > reading.begin):
        reading = _read(ask, reply_of(ask, (yield _request(ask, before + text, 0))), before, text)
    if reading is None:
        raise misspelt(ask.model, NAME)
    return reading


def _request(ask: Ask, text: str, start: int | None) -> Request:
    body: dict[str, Any] = {"text": text, "sampling_params": {"max_new_tokens": 1, "temperature": 1}}
    if start is not None:
        body |= {
            "return_logprob": True,
            "logprob_start_len": start,
            "top_logprobs_num": width_of(ask),
            "return_text_in_logprobs": True,
        }
    return Request("/generate", body, from_root=True, may_fail=True)


def _read(ask: Ask, reply: dict[str, Any], before: str, text: str) -> Reading | None:
    info = reply.get("meta_info")
    info = info if isinstance(info, dict) else {}
    rows = _tokens(ask, info.get("input_token_logprobs"), info.get("input_top_logprobs"))
    tokens = without_first_number(list(rows))
    generated = list(_tokens(ask, info.get("output_token_logprobs"), info.get("output_top_logprobs")))
    whole = before + text
    spelt = align(tokens, whole)
    aligned = align_end(tokens, whole) if spelt is None or spelt[1] else spelt[0]
    if not aligned:
        return None
    usage = {name: info[name] for name in ("prompt_tokens", "completion_tokens") if isinstance(info.get(name), int)}
    usage = {**usage, "total_tokens": sum(usage.values())}
    return Reading(aligned, generated, len(before.encode()), whole, usage)


def _tokens(ask: Ask, rows: Any, tops: Any) -> Iterator[Token]:
    rows, tops = (value if isinstance(value, list) else [] for value in (rows, tops))
    for row, others in zip_longest(rows, tops[: len(rows)]):
        token = _token(row)
        token.top = likeliest([_token(other) for other in others or ()], width_of(ask))
        yield token


def _token(row: Any) -> Token:
    logprob, token_id, text = (*row, None, None, None)[:3] if isinstance(row, list) else (None, None, None)
    return Token(text if isinstance(text, str) else "\ufffd", number(logprob), token_id)
