"""Convert token entries of other libraries to the documented structure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import SettingError
from ..logprobs.values import rank_key
from .tokenizer import TokenTexts

Entry = dict[str, Any]

# OpenAI's old completions spell a token that is not a whole character as bytes:\xf0\x9f.
_SPELT_BYTES = re.compile(r"bytes:(?=.*\\x[0-9a-fA-F]{2})", re.DOTALL)
_OCTET = re.compile(rb"\\x([0-9a-fA-F]{2})")
_FIELDS = ("token", "logprob", "bytes", "id", "top_logprobs")
# Keys of a dict that an error message shows.
_MAX_KEYS = 5


def has_field(value: Any, name: str) -> bool:
    """Return whether an object has an attribute, or a dict a key."""
    return name in value if isinstance(value, Mapping) else hasattr(value, name)


def get_field(value: Any, *names: str) -> Any:
    """Return the first of some attributes of an object, or keys of a dict, that is not None."""
    for name in names:
        field = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if field is not None:
            return field
    return None


def as_sequence(value: Any) -> Sequence[Any]:
    """Return the value if it is a sequence (not text), else an empty tuple."""
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def type_name(value: Any) -> str:
    """Describe a value for an error message by its type, a dict by its keys."""
    if type(value) is not dict:
        return type(value).__name__
    keys = [repr(key) for key in list(value)[:_MAX_KEYS]]
    more = ", …" if len(value) > _MAX_KEYS else ""
    return f"a dict with {', '.join(keys)}{more}" if keys else "an empty dict"


def entry_of(value: Any) -> Any:
    """Return an entry and its alternatives as dicts; other values unchanged."""
    entry = _as_dict(value)
    if not isinstance(entry, Mapping):
        return entry
    if "logprob" not in entry and ("prob" in entry or "probs" in entry):
        return _from_probabilities(entry)
    alternatives = as_sequence(entry.get("top_logprobs"))
    if all(isinstance(alternative, Mapping) for alternative in alternatives):
        return entry
    return {**entry, "top_logprobs": [_as_dict(alternative) for alternative in alternatives]}


def _from_probabilities(entry: Mapping[str, Any]) -> Entry:
    """Return an entry of llama.cpp's server that has probabilities: with post_sampling_probs, or of older versions."""
    alternatives = [_with_logarithm(other) for other in as_sequence(get_field(entry, "top_probs", "probs"))]
    chosen = _with_logarithm(entry)
    if "prob" not in entry:
        known = {other["token"]: other["logprob"] for other in alternatives}
        chosen["logprob"] = known.get(chosen["token"])
    return {**chosen, "top_logprobs": alternatives}


def _with_logarithm(value: Any) -> Entry:
    probability = get_field(value, "prob")
    is_number = isinstance(probability, int | float) and not isinstance(probability, bool) and probability >= 0
    entry: Entry = {name: get_field(value, name) for name in ("bytes", "id") if has_field(value, name)}
    return entry | {
        "token": get_field(value, "token", "tok_str", "content"),
        "logprob": None if not is_number else math.log(probability) if probability else -math.inf,
    }


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping) or not hasattr(value, "token"):
        return value
    return {name: getattr(value, name) for name in _FIELDS if hasattr(value, name)}


def entries_from_columns(table: Any) -> Iterator[Entry]:
    """Yield entries from parallel lists: tokens, their log-probabilities, and a dict of alternatives for each.

    Where there are fewer dicts than tokens, each stands with the token that it lists, if that is certain; else none is
    kept.

    Raises
    ------
    SettingError
        When there are not as many tokens as log-probabilities.
    """
    tokens, logprobs = as_sequence(get_field(table, "tokens")), as_sequence(get_field(table, "token_logprobs"))
    if len(tokens) != len(logprobs):
        raise _uneven("tokens", len(tokens), "token_logprobs", len(logprobs))
    ids, top = as_sequence(get_field(table, "token_ids")), get_field(table, "top_logprobs")
    lists = align_alternatives(tokens, [top] if isinstance(top, Mapping) else as_sequence(top))
    for position, (token, logprob, alternatives) in enumerate(zip(tokens, logprobs, lists, strict=True)):
        if isinstance(alternatives, Mapping):
            alternatives = _sort(decode_bytes(text, number) for text, number in alternatives.items())
        id_field = {"id": ids[position]} if len(ids) == len(tokens) else {}
        yield {**decode_bytes(token, logprob), **id_field, "top_logprobs": alternatives}


def align_alternatives(tokens: Sequence[Any], lists: Sequence[Any]) -> Sequence[Any]:
    """Return one list of alternatives for each token, None where there is none.

    Fewer lists than tokens are assigned, in order, to tokens that they list; if that is possible in several ways or in
    none, it is not known which token each belongs to, and none is returned.

    Examples
    --------
    >>> from deluge_nb.interop.entries import align_alternatives
    >>> align_alternatives(["A", "B", "C"], [{"A": -0.5}, {"C": -0.1, "D": -2.0}])
    [{'A': -0.5}, None, {'C': -0.1, 'D': -2.0}]
    >>> align_alternatives(["A", "A"], [{"A": -0.5}])
    [None, None]
    """
    if len(lists) == len(tokens):
        return lists
    nothing = [None] * len(tokens)
    earliest = _assign(tokens, lists)
    last = len(tokens) - 1
    latest = [last - position for position in reversed(_assign(tokens[::-1], lists[::-1]) or ())]
    if not earliest or earliest != latest:
        return nothing
    known = dict(zip(earliest, lists, strict=True))
    return [known.get(position) for position in range(len(tokens))]


def _assign(tokens: Sequence[Any], lists: Sequence[Any]) -> list[int] | None:
    """Return for each list the first token, after that of the list before, that it may belong to."""
    positions: list[int] = []
    start = 0
    for alternatives in lists:
        may_be_any = not isinstance(alternatives, Mapping) or not alternatives
        match = next((at for at in range(start, len(tokens)) if may_be_any or tokens[at] in alternatives), None)
        if match is None:
            return None
        positions.append(match)
        start = match + 1
    return positions


def decode_bytes(token: Any, logprob: Any) -> Entry:
    """Return an entry, with the bytes of a token that is spelt as bytes."""
    entry: Entry = {"token": token, "logprob": logprob}
    if isinstance(token, str) and (prefix := _SPELT_BYTES.match(token)):
        entry["bytes"] = _OCTET.sub(_octet, token[prefix.end() :].encode("utf-8", "replace"))
    return entry


def _octet(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def entries_from_ranks(ids: Sequence[int], rows: Sequence[Any], texts: TokenTexts | None) -> Iterator[Entry]:
    """Yield entries from vLLM's form: for each id a dict from token ids to (logprob, rank, decoded_token).

    Raises
    ------
    SettingError
        When there are not as many dicts as ids, or one is no such dict.
    """
    if len(ids) != len(rows):
        raise _uneven("token_ids", len(ids), "logprobs", len(rows))
    for position, (token_id, row) in enumerate(zip(ids, rows, strict=True)):
        try:
            records = {int(other): record for other, record in (row or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise SettingError(
                f"logprobs[{position}] must be a dict from token ids, not {type_name(row)}.",
                setting="logprobs",
                value=row,
            ) from None
        alternatives = _sort(_from_rank(other, record, texts) for other, record in records.items())
        yield {**_from_rank(token_id, records.get(token_id), texts), "top_logprobs": alternatives}


def _from_rank(token_id: int, record: Any, texts: TokenTexts | None) -> Entry:
    if texts is not None:
        text, raw = texts[token_id]
        return {"token": text, "logprob": get_field(record, "logprob"), "bytes": raw, "id": token_id}
    text = get_field(record, "decoded_token")
    # vLLM itself writes token_id:5 for a token that it did not decode.
    return {
        "token": f"token_id:{token_id}" if text is None else text,
        "logprob": get_field(record, "logprob"),
        "id": token_id,
    }


def entries_from_candidates(chosen: Sequence[Any], top: Sequence[Any]) -> Iterator[Entry]:
    """Yield entries from Google's form: a list of chosen candidates, and lists of their alternatives."""
    for position, candidate in enumerate(chosen):
        others = as_sequence(get_field(top[position], "candidates")) if position < len(top) else ()
        yield {**_from_candidate(candidate), "top_logprobs": [_from_candidate(other) for other in others]}


def _from_candidate(value: Any) -> Entry:
    return {
        "token": get_field(value, "token"),
        "logprob": get_field(value, "log_probability", "logProbability"),
        "id": get_field(value, "token_id", "tokenId"),
    }


def _sort(entries: Iterable[Entry]) -> list[Entry]:
    """Return alternatives with the likeliest first, unknown log-probabilities last."""
    return sorted(entries, key=lambda entry: rank_key(entry["logprob"]), reverse=True)


def _uneven(first: str, count: int, second: str, other: int) -> SettingError:
    return SettingError(
        f"{first} and {second} must be lists of the same length, not of {count} and {other}.", setting="logprobs"
    )
