"""Read a table of log-probabilities in which some entries are odd: what can be read is kept, in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import MalformedResponseError, SettingError
from ...interop.entries import align_alternatives, decode_bytes, entries_from_columns
from ...logprobs.columns import Builder, RawBytes, Vocabulary
from ...logprobs.table import Logprobs
from ...logprobs.values import rank_key
from ...text.counts import pluralize
from .contradictions import REPEATED, find_contradiction
from .faults import Faults
from .fitting import as_number

_IDS = "the server sent ids in place of the texts of tokens"


@dataclass(slots=True)
class _Entry:
    """Token of a table; ``text`` is None where it cannot be read."""

    text: str | None
    logprob: float | None = None
    raw: RawBytes = ...
    id: int | None = None
    alternatives: list[_Entry] = field(default_factory=list)


def table_from_columns(table: dict[str, Any], dialect: str, remarks: list[str] | None = None) -> Logprobs:
    """Return the table that parallel lists describe, as in the completions API.

    Raises
    ------
    MalformedResponseError
        When the lists have different lengths, or other values than texts and numbers.
    """
    try:
        entries = list(entries_from_columns(table))
        result = Logprobs.from_entries(entries)
    except SettingError as error:
        raise MalformedResponseError(
            f"The server's answer does not fit the {dialect} dialect: {error}", dialect=dialect, field="logprobs"
        ) from None
    lists = table.get("top_logprobs")
    if remarks is not None and isinstance(lists, list) and len(lists) not in (0, len(entries)):
        remarks.append(
            f"the server sent {len(lists)} lists of alternatives for {pluralize(len(entries), 'token')}; a list is "
            "kept where its token is certain"
        )
    return result


def read_odd_table(
    raw: bytes,
    faults: Faults,
    at: str,
    *,
    refused: bool,
    text: str | None,
    vocabulary: Vocabulary | None,
    vocab_size: int | None,
) -> Logprobs | None:
    """Return what can be read of a table that the strict decode refused; None if there is none.

    Parameters
    ----------
    raw
        JSON of the table.
    refused
        True for the table of a refusal.
    faults, at, text, vocabulary, vocab_size
        As in :func:`read_entries`.
    """
    try:
        value = json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = ...
    if not isinstance(value, dict):
        faults.add(at)
        return None
    if value.get("tokens") is not None or "token_logprobs" in value:
        return read_columns(value, faults, at, text=text, vocabulary=vocabulary, vocab_size=vocab_size)
    name = "refusal" if refused or not value.get("content") else "content"
    if value.get(name) is None:
        name = "content"
    if value.get(name) is not None:
        entries, path = value[name], f"{at}.{name}"
        return read_entries(entries, faults, path, text=text, vocabulary=vocabulary, vocab_size=vocab_size)
    if value and not {"content", "refusal"} & value.keys():
        faults.add(at)
    return None


def read_entries(
    values: Any, faults: Faults, at: str, *, text: str | None, vocabulary: Vocabulary | None, vocab_size: int | None
) -> Logprobs | None:
    """Return the table of a list of tokens as the chat API has it; None if no table can be read.

    Parameters
    ----------
    values
        Parsed JSON in place of the list.
    faults
        Receiver of the fields that did not fit.
    at
        Path of the list in the reply.
    text
        The answer. A single token without a text is what the others leave of it.
    vocabulary, vocab_size
        As in :class:`Logprobs`; new tokens are added to the vocabulary.
    """
    if not isinstance(values, list):
        faults.add(at)
        return None
    entries = [_read_entry(value, faults, f"{at}[{index}]") for index, value in enumerate(values)]
    return _build(entries, faults, at, text, vocabulary, vocab_size)


def read_columns(
    columns: Mapping[str, Any],
    faults: Faults,
    at: str,
    *,
    text: str | None,
    vocabulary: Vocabulary | None,
    vocab_size: int | None,
) -> Logprobs | None:
    """Return the table of parallel lists as the completions API has it; None if no table can be read.

    The parameters are those of :func:`read_entries`.
    """
    tokens, logprobs = columns.get("tokens"), columns.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        # Which number belongs to which token is not known.
        faults.add(f"{at}.token_logprobs" if isinstance(tokens, list) else f"{at}.tokens")
        return None
    lists = columns.get("top_logprobs")
    if not isinstance(lists, list) or len(lists) != len(tokens):
        if lists:
            faults.add(f"{at}.top_logprobs")
        keys = [token if _id_of(token) is None else str(token) for token in tokens]
        lists = align_alternatives(keys, lists if isinstance(lists, list) else [])
    entries: list[_Entry] = []
    for index, (token, logprob, others) in enumerate(zip(tokens, logprobs, lists, strict=True)):
        entry = _Entry(*_read_token(token, faults, f"{at}.tokens[{index}]"))
        entry.raw = decode_bytes(entry.text, None).get("bytes")
        entry.logprob = _read_number(logprob, faults, f"{at}.token_logprobs[{index}]")
        if entry.id is not None and isinstance(others, Mapping):  # its keys are ids, too
            others = [{"token": int(key) if key.isdecimal() else key, "logprob": others[key]} for key in others]
            others.sort(key=lambda other: rank_key(as_number(other["logprob"])), reverse=True)
        entry.alternatives = list(_read_alternatives(others, faults, f"{at}.top_logprobs[{index}]"))
        entries.append(entry)
    return _build(entries, faults, at, text, vocabulary, vocab_size)


def _read_entry(value: Any, faults: Faults, at: str) -> _Entry:
    if not isinstance(value, Mapping):
        faults.add(at)
        return _Entry(None)
    entry = _Entry(*_read_token(value.get("token"), faults, f"{at}.token"))
    entry.logprob = _read_number(value.get("logprob"), faults, f"{at}.logprob")
    entry.raw = _read_bytes(value.get("bytes", ...), faults, f"{at}.bytes")
    if entry.id is None and isinstance(value.get("id"), int) and not isinstance(value.get("id"), bool):
        entry.id = value["id"]
    entry.alternatives = list(_read_alternatives(value.get("top_logprobs"), faults, f"{at}.top_logprobs"))
    return entry


def _read_token(value: Any, faults: Faults, at: str) -> tuple[str | None, float | None, RawBytes, int | None]:
    """Return a token's text, no number and no bytes, and its id if the server sent that in place of the text."""
    if isinstance(value, str):
        return value, None, ..., None
    identity = _id_of(value)
    if identity is None:
        faults.add(at)
        return None, None, ..., None
    if _IDS not in faults.remarks:
        faults.remarks.append(_IDS)
    return f"token_id:{identity}", None, ..., identity


def _id_of(value: Any) -> int | None:
    """Return a value that may be the id of a token; None for any other."""
    is_id = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if is_id else None


def _read_number(value: Any, faults: Faults, at: str) -> float | None:
    number = as_number(value)
    if number is None and value is not None:
        faults.add(at)
    return number


def _read_bytes(value: Any, faults: Faults, at: str) -> RawBytes:
    if value is ... or value is None:
        return value
    try:
        return bytes(value) if isinstance(value, list) else _misfit(faults, at)
    except (TypeError, ValueError):
        return _misfit(faults, at)


def _misfit(faults: Faults, at: str) -> None:
    faults.add(at)


def _read_alternatives(value: Any, faults: Faults, at: str) -> Iterator[_Entry]:
    """Yield the alternatives of a list, or of a dict from texts to numbers, whose likeliest is then first."""
    if value is None:
        return
    if isinstance(value, Mapping):
        entries = [
            _read_entry({"token": name, **(item if isinstance(item, Mapping) else {"logprob": item})}, faults, at)
            for name, item in value.items()
        ]
        yield from sorted(entries, key=lambda entry: rank_key(entry.logprob), reverse=True)
        return
    if not isinstance(value, list):
        faults.add(at)
        return
    for rank, item in enumerate(value):
        entry = _read_entry(item, faults, f"{at}[{rank}]")
        if entry.text is not None:  # without it, there is nothing that its number could be about
            yield entry


def _build(
    entries: Sequence[_Entry],
    faults: Faults,
    at: str,
    text: str | None,
    vocabulary: Vocabulary | None,
    vocab_size: int | None,
) -> Logprobs | None:
    unknown = [index for index, entry in enumerate(entries) if entry.text is None]
    if unknown:
        rest = _text_of_unknown(entries, unknown[0], text) if len(unknown) == 1 else None
        if rest is None:
            faults.add(at)
            return None
        entries[unknown[0]].text = rest
    builder = Builder(vocabulary)
    for entry in entries:
        builder.add_token(entry.text or "", entry.logprob, None if entry.raw is ... else entry.raw, entry.id)
        for other in entry.alternatives:
            builder.add_alternative(other.text or "", other.logprob, other.raw, other.id)
    return build_checked(builder, faults, vocab_size)


def build_checked(builder: Builder, faults: Faults, vocab_size: int | None) -> Logprobs:
    """Return the collected table, with a remark if some tokens were listed twice, or if it contradicts itself."""
    listed = builder.alternatives
    table = Logprobs(builder.vocabulary, *builder.columns(), vocab_size=vocab_size)
    if int(table.top_counts.sum()) < listed:
        faults.remarks.append(REPEATED)
    if contradiction := find_contradiction(table):
        faults.remarks.append(contradiction)
    return table


def _text_of_unknown(entries: Sequence[_Entry], position: int, text: str | None) -> str | None:
    """Return the part of the text that the other tokens leave for one token; None if they do not fit the text."""
    octets = [entry.raw if isinstance(entry.raw, bytes) else (entry.text or "").encode() for entry in entries]
    before, after, whole = b"".join(octets[:position]), b"".join(octets[position + 1 :]), (text or "").encode()
    if len(before) + len(after) >= len(whole) or not (whole.startswith(before) and whole.endswith(after)):
        return None
    return whole[len(before) : len(whole) - len(after)].decode("utf-8", "replace")
