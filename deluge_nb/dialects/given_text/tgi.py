"""``decoder_input_details`` of TGI: the tokens of the input, without alternatives."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from ...errors import MalformedResponseError
from ..base import Ask, Request
from .boundary import Token, align, misspelt
from .reading import Reading, likeliest, number, reply_of, width_of, without_first_number

NAME = "tgi"
# Most tokens that a server lists by default (--max-top-n-tokens).
_MOST_ALTERNATIVES = 5


def read(ask: Ask, before: str, text: str) -> Generator[Request, bytes, Reading]:
    """Return what a server says of a text after raw text.

    Raises
    ------
    MalformedResponseError
        When the server was started without the log-probabilities of the input.
    """
    parameters: dict[str, Any] = {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
    if ask.ends:
        parameters["top_n_tokens"] = min(width_of(ask), _MOST_ALTERNATIVES)
    body = {"inputs": before + text, "parameters": parameters}
    reply = reply_of(ask, (yield Request("/generate", body, from_root=True, may_fail=True)))
    details = reply.get("details")
    details = details if isinstance(details, dict) else {}
    prefill = details.get("prefill")
    if not prefill:
        raise MalformedResponseError(
            f"{ask.model!r}: the server returned log-probabilities of generated tokens only; start TGI with "
            "--enable-prefill-logprobs.",
            dialect=NAME,
            field="details.prefill",
        )
    aligned = align(without_first_number(list(_tokens(prefill))), before + text)
    if aligned is None or aligned[1]:
        raise misspelt(ask.model, NAME)
    generated = list(_tokens(details.get("tokens")))
    tops = details.get("top_tokens")
    for token, others in zip(generated, tops if isinstance(tops, list) else (), strict=False):
        token.top = likeliest(list(_tokens(others)), width_of(ask))
    return Reading(aligned[0], generated, len(before.encode()), before + text)


def _tokens(values: Any) -> Iterator[Token]:
    for value in values if isinstance(values, list) else []:
        entry = value if isinstance(value, dict) else {}
        text = entry.get("text")
        yield Token(text if isinstance(text, str) else "\ufffd", number(entry.get("logprob")), entry.get("id"))
