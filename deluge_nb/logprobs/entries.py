"""Types of the documented list of dicts, and a reader that turns it into columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NotRequired, TypedDict

import numpy as np

from ..errors import SettingError
from .columns import Builder, RawBytes


class TopLogprob(TypedDict):
    """Alternative at the position of a token.

    ``logprob`` is in nats, or None where the provider sent null. ``bytes`` is absent where the provider sent no such
    field.

    Examples
    --------
    >>> from deluge_nb import TopLogprob
    >>> TopLogprob(token="Lyon", logprob=-2.0)
    {'token': 'Lyon', 'logprob': -2.0}
    """

    token: str
    logprob: float | None
    bytes: NotRequired[list[int] | None]


class TokenLogprob(TypedDict):
    """Generated token with its alternatives, in the structure of the OpenAI chat API.

    ``logprob`` is in nats, or None where the provider sent null.

    Examples
    --------
    >>> from deluge_nb import Logprobs, TokenLogprob
    >>> entry = TokenLogprob(token="Paris", logprob=-0.25, bytes=[80, 97, 114, 105, 115], top_logprobs=[])
    >>> Logprobs.from_entries([entry])[0] == entry
    True
    """

    token: str
    logprob: float | None
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


def read_entries(entries: Iterable[Mapping[str, Any]]) -> Builder:
    """Return a builder with the tokens of the documented list of dicts.

    Raises
    ------
    SettingError
        When an entry does not have that structure. The message names the position and the field.
    """
    builder = Builder()
    for position, entry in enumerate(entries):
        where = f"logprobs[{position}]"
        token, logprob, raw, token_id = _read(entry, where)
        builder.add_token(token, logprob, None if raw is ... else raw, token_id)
        for rank, alternative in enumerate(_alternatives(entry, where)):
            builder.add_alternative(*_read(alternative, f"{where}['top_logprobs'][{rank}]"))
    return builder


def _alternatives(entry: Mapping[str, Any], where: str) -> Iterator[Mapping[str, Any]]:
    alternatives = entry.get("top_logprobs")
    if alternatives is None:
        return iter(())
    if isinstance(alternatives, str | bytes | Mapping) or not isinstance(alternatives, Iterable):
        raise _bad(f"{where}['top_logprobs']", alternatives, "a list of alternatives")
    return iter(alternatives)


def _read(entry: Mapping[str, Any], where: str) -> tuple[str, float | None, RawBytes, int | None]:
    if not isinstance(entry, Mapping):
        raise _bad(where, entry, "a dict with 'token' and 'logprob'")
    token, logprob, raw = entry.get("token"), entry.get("logprob"), entry.get("bytes", ...)
    if not isinstance(token, str):
        raise _bad(f"{where}['token']", token, "a string")
    try:
        number = None if logprob is None else _number(logprob)
    except (TypeError, OverflowError):
        raise _bad(f"{where}['logprob']", logprob, "a number or None") from None
    if raw is not None and raw is not ...:
        try:
            raw = bytes(iter(raw))
        except (TypeError, ValueError):
            raise _bad(f"{where}['bytes']", raw, "a list of integers from 0 to 255, or None") from None
    token_id = entry.get("id")
    return token, number, raw, token_id if isinstance(token_id, int) else None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int | np.integer | np.floating):
        raise TypeError
    return float(value)


def _bad(where: str, value: object, expected: str) -> SettingError:
    text = repr(value)
    text = text if len(text) <= 80 else f"{text[:79]}…"
    return SettingError(f"{where} must be {expected}, not {text}.", setting=where, value=value)
