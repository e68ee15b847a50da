"""The documented list of dicts: its types, and reading it into columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NotRequired, TypedDict

import numpy as np

from ..errors import SettingError
from .columns import Builder, RawBytes


class TopLogprob(TypedDict):
    """One alternative the model weighed. ``logprob`` is in nats; None where the provider sent null."""

    token: str
    logprob: float | None
    bytes: NotRequired[list[int] | None]


class TokenLogprob(TypedDict):
    """One generated token with its alternatives, in the structure of the OpenAI chat API."""

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
    found = entry.get("top_logprobs")
    if found is None:
        return iter(())
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise _bad(f"{where}['top_logprobs']", found, "a list of alternatives")
    return iter(found)


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


def _bad(where: str, value: object, wanted: str) -> SettingError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    return SettingError(f"{where} must be {wanted}, not {shown}.", setting=where, value=value)
