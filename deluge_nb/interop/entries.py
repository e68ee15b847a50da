"""Entries of the documented structure, out of the forms in which other libraries have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import SettingError
from .tokenizer import TokenTexts

Entry = dict[str, Any]

# OpenAI's old completions spell a token that is no whole character as bytes:\xf0\x9f.
_SPELT_BYTES = re.compile(r"bytes:(?=.*\\x[0-9a-fA-F]{2})", re.DOTALL)
_OCTET = re.compile(rb"\\x([0-9a-fA-F]{2})")
_FIELDS = ("token", "logprob", "bytes", "id", "top_logprobs")
_LONGEST = 5


def has_field(value: Any, name: str) -> bool:
    """Whether an object has an attribute, or a dict a key."""
    return name in value if isinstance(value, Mapping) else hasattr(value, name)


def get_field(value: Any, *names: str) -> Any:
    """The first of some attributes of an object, or keys of a dict, that is not None."""
    for name in names:
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if found is not None:
            return found
    return None


def as_sequence(value: Any) -> Sequence[Any]:
    """A list as it is, and nothing in place of whatever is none."""
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def type_name(value: Any) -> str:
    """A value by its type, and a dict by its keys."""
    if type(value) is not dict:
        return type(value).__name__
    keys = [repr(key) for key in list(value)[:_LONGEST]]
    more = ", …" if len(value) > _LONGEST else ""
    return f"a dict with {', '.join(keys)}{more}" if keys else "an empty dict"


def entry_of(value: Any) -> Any:
    """An entry and its alternatives as dicts; what is no entry as it came."""
    found = _fields(value)
    if not isinstance(found, Mapping):
        return found
    alternatives = found.get("top_logprobs")
    if all(isinstance(one, Mapping) for one in as_sequence(alternatives)):
        return found
    return {**found, "top_logprobs": [_fields(one) for one in as_sequence(alternatives)]}


def _fields(value: Any) -> Any:
    if isinstance(value, Mapping) or not hasattr(value, "token"):
        return value
    return {name: getattr(value, name) for name in _FIELDS if hasattr(value, name)}


def entries_from_columns(table: Any) -> Iterator[Entry]:
    """Parallel lists of tokens, log-probabilities and dicts from alternatives to theirs.

    Raises
    ------
    SettingError
        When there are not as many tokens as log-probabilities.
    """
    tokens, logprobs = as_sequence(get_field(table, "tokens")), as_sequence(get_field(table, "token_logprobs"))
    if len(tokens) != len(logprobs):
        raise _uneven("tokens", len(tokens), "token_logprobs", len(logprobs))
    ids, weighed = as_sequence(get_field(table, "token_ids")), get_field(table, "top_logprobs")
    rows = [weighed] if isinstance(weighed, Mapping) else as_sequence(weighed)
    for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=True)):
        listed = rows[place] if place < len(rows) else None
        if isinstance(listed, Mapping):
            listed = _sorted(_spelt(text, number) for text, number in listed.items())
        own = {"id": ids[place]} if len(ids) == len(tokens) else {}
        yield {**_spelt(token, logprob), **own, "top_logprobs": listed}


def _spelt(token: Any, logprob: Any) -> Entry:
    entry: Entry = {"token": token, "logprob": logprob}
    if isinstance(token, str) and (prefix := _SPELT_BYTES.match(token)):
        entry["bytes"] = _OCTET.sub(_octet, token[prefix.end() :].encode("utf-8", "replace"))
    return entry


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def entries_from_ranks(ids: Sequence[int], rows: Sequence[Any], pieces: TokenTexts | None) -> Iterator[Entry]:
    """For each of the ids a dict from token ids to (logprob, rank, decoded_token), as vLLM has them.

    Raises
    ------
    SettingError
        When there are not as many dicts as ids, or one is no such dict.
    """
    if len(ids) != len(rows):
        raise _uneven("token_ids", len(ids), "logprobs", len(rows))
    for place, (token_id, row) in enumerate(zip(ids, rows, strict=True)):
        try:
            weighed = {int(one): found for one, found in (row or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise SettingError(
                f"logprobs[{place}] must be a dict from token ids, not {type_name(row)}.", setting="logprobs", value=row
            ) from None
        listed = [_identified(one, found, pieces) for one, found in weighed.items()]
        yield {**_identified(token_id, weighed.get(token_id), pieces), "top_logprobs": _sorted(listed)}


def _identified(token_id: int, found: Any, pieces: TokenTexts | None) -> Entry:
    if pieces is not None:
        text, raw = pieces[token_id]
        return {"token": text, "logprob": get_field(found, "logprob"), "bytes": raw, "id": token_id}
    text = get_field(found, "decoded_token")
    # As vLLM spells a token that it did not decode.
    return {
        "token": f"token_id:{token_id}" if text is None else text,
        "logprob": get_field(found, "logprob"),
        "id": token_id,
    }


def entries_from_candidates(chosen: Sequence[Any], weighed: Sequence[Any]) -> Iterator[Entry]:
    """Two lists of candidates, as Google has them: what was chosen, and what could have been."""
    for place, one in enumerate(chosen):
        others = as_sequence(get_field(weighed[place], "candidates")) if place < len(weighed) else ()
        yield {**_candidate(one), "top_logprobs": [_candidate(other) for other in others]}


def _candidate(value: Any) -> Entry:
    return {
        "token": get_field(value, "token"),
        "logprob": get_field(value, "log_probability", "logProbability"),
        "id": get_field(value, "token_id", "tokenId"),
    }


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=_likeliness, reverse=True)


def _likeliness(entry: Entry) -> float:
    logprob = entry["logprob"]
    return float(logprob) if isinstance(logprob, int | float) and logprob == logprob else float("-inf")


def _uneven(first: str, count: int, second: str, other: int) -> SettingError:
    return SettingError(
        f"{first} and {second} must be lists of one length, not of {count} and {other}.", setting="logprobs"
    )
