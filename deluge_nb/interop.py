"""Tables from what other libraries return, told apart by their shape; none of them is imported.

Attributes and parsed JSON are read alike. What an object holds inside another (a choice in a completion, a message in a
generation) is read the same way, so that any of them can be given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import _scores
from ._pieces import Pieces
from .errors import LogprobsMissingError, SettingError
from .logprobs import Logprobs

_ASK = "ask for them with logprobs=True"
# OpenAI's old completions spell a token that is no whole character as bytes:\xf0\x9f.
_SPELT_BYTES = re.compile(r"bytes:(?=.*\\x[0-9a-fA-F]{2})", re.DOTALL)
_OCTET = re.compile(rb"\\x([0-9a-fA-F]{2})")
_LONGEST = 5


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the caller said of how to read."""

    choice: int = 0
    pieces: Pieces | None = None
    top: int = 20


def as_logprobs(response: Any, *, choice: int = 0, tokenizer: Any = None, top: int = 20) -> Logprobs:
    """The table in what another library returned.

    Parameters
    ----------
    response
        A response of this package, of the OpenAI SDK (chat, its stream's chunks in a list, Responses, old completions),
        lm-deluge, LiteLLM, LangChain (message, generation, result), llama-cpp-python, Ollama, vLLM or Google's SDK;
        the output of Transformers' ``generate``; any of these as parsed JSON; the documented list of dicts; or a table,
        which is given back. A list of one response will do.
    choice
        Which completion to take, where there are several.
    tokenizer
        The model's tokenizer: needed for the output of Transformers, which has token ids only; with vLLM it gives the
        true bytes of tokens that are no whole character.
    top
        How many alternatives to keep of each of Transformers' distributions, which cover the whole vocabulary.

    Returns
    -------
    Logprobs
        One row per token. Alternatives that came as a dict or a distribution are sorted, likeliest first.

    Raises
    ------
    LogprobsMissingError
        When the response has none; says how they are asked for.
    SettingError
        When it is none of these, or has no such choice.
    """
    for name, value in (("choice", choice), ("top", top)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SettingError(f"{name} must be an integer from 0, not {value!r}.", setting=name, value=value)
    return _read(response, _Wish(choice, None if tokenizer is None else Pieces(tokenizer), top))


# Any object ---------------------------------------------------------------------------------------------------------


def _read(value: Any, wish: _Wish) -> Logprobs:
    if isinstance(value, Logprobs):
        return value
    if value is None:
        raise LogprobsMissingError(f"There are no log-probabilities: this is None; {_ASK}.")
    if isinstance(value, list | tuple):
        return _of_list(value, wish)
    for marks, read in _SHAPES:
        if all(_has(value, mark) for mark in marks):
            return read(value, wish)
    raise SettingError(
        f"Log-probabilities are read from a response, its logprobs or a list of dicts, not {_named(value)}.",
        setting="logprobs",
        value=value,
    )


def _of_list(values: Sequence[Any], wish: _Wish) -> Logprobs:
    if not values or _has(values[0], "token"):
        return _of_entries(values)
    if all(_has(value, "choices") for value in values) and any(
        _has(one, "delta") for value in values for one in _get(value, "choices") or ()
    ):
        return _of_stream(values, wish)
    if len(values) == 1:
        return _read(values[0], wish)
    raise SettingError(
        f"A list of dicts must have 'token' and 'logprob' in each, and responses are read one at a time, not as a list "
        f"of {len(values)} (the first is {_named(values[0])}).",
        setting="logprobs",
        value=values,
    )


def _of_entries(entries: Iterable[Any], vocab_size: int | None = None) -> Logprobs:
    return Logprobs.from_entries(map(_entry, entries), vocab_size=vocab_size)


def _entry(entry: Any) -> Any:
    """An entry and its alternatives as dicts."""
    found = _fields(entry)
    if not isinstance(found, Mapping):
        return found
    alternatives = found.get("top_logprobs")
    if isinstance(alternatives, list | tuple) and not all(isinstance(one, Mapping) for one in alternatives):
        return {**found, "top_logprobs": [_fields(one) for one in alternatives]}
    return found


def _fields(entry: Any) -> Any:
    if isinstance(entry, Mapping) or not hasattr(entry, "token"):
        return entry
    names = ("token", "logprob", "bytes", "id", "top_logprobs")
    return {name: getattr(entry, name) for name in names if hasattr(entry, name)}


# OpenAI, and who speaks its language ---------------------------------------------------------------------------------


def _of_completion(value: Any, wish: _Wish) -> Logprobs:
    return _of_choice(_chosen(_get(value, "choices"), value, wish), wish)


def _of_choice(value: Any, wish: _Wish) -> Logprobs:
    """A response that has ``logprobs`` of its own: a choice, lm-deluge's response, Ollama's, vLLM's output."""
    table = _get(value, "logprobs")
    if table is None:
        why = _get(value, "error_message") or _get(value, "note")
        raise _missing(value, _ASK, why if isinstance(why, str) else None)
    return _of_field(table, value, wish)


def _of_field(table: Any, owner: Any, wish: _Wish) -> Logprobs:
    """The value of a ``logprobs`` field."""
    if isinstance(table, Logprobs):
        return table
    if _has(table, "tokens"):
        return _of_columns(table, owner, wish)
    if _has(table, "content") or _has(table, "refusal"):
        entries = _content_of(table)
        if entries is None:
            raise _missing(owner, _ASK)
        return _of_entries(entries)
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        ids = _get(owner, "token_ids")
        if ids is not None and not (table and _has(table[0], "token")):
            return Logprobs.from_entries(_ranked(ids, table, wish))
        return _of_entries(table)
    raise SettingError(
        f"The logprobs of {_named(owner)} must be a list of tokens or an object that has one, not {_named(table)}.",
        setting="logprobs",
        value=table,
    )


def _content_of(table: Any) -> Any:
    content = _get(table, "content")
    return content or _get(table, "refusal") or content


def _of_stream(chunks: Sequence[Any], wish: _Wish) -> Logprobs:
    tables = [
        _get(one, "logprobs")
        for chunk in chunks
        for one in _get(chunk, "choices") or ()
        if (_get(one, "index") or 0) == wish.choice
    ]
    if not tables:
        raise SettingError(f"No chunk is of choice={wish.choice}.", setting="choice", value=wish.choice)
    if not any(table is not None for table in tables):
        raise _missing(chunks[0], _ASK)
    return _of_entries(entry for table in tables if table is not None for entry in _content_of(table) or ())


def _of_columns(table: Any, owner: Any, wish: _Wish) -> Logprobs:
    """Parallel lists: the old completions API, and the servers that give its table in a chat as well."""
    tokens, logprobs, weighed = _get(table, "tokens"), _get(table, "token_logprobs"), _get(table, "top_logprobs")
    if not tokens and not logprobs:
        raise _missing(owner, "ask for them with logprobs=5")
    if not isinstance(tokens, list | tuple) or not isinstance(logprobs, list | tuple) or len(tokens) != len(logprobs):
        raise SettingError(
            "The logprobs of a completion must have tokens and token_logprobs of one length, not "
            f"{_counted(tokens)} and {_counted(logprobs)}.",
            setting="logprobs",
            value=table,
        )
    ids = _get(table, "token_ids")
    rows = [weighed] if isinstance(weighed, Mapping) else list(weighed or ())

    def entries() -> Iterator[dict[str, Any]]:
        for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=True)):
            entry = _spelt(token, logprob)
            if ids is not None and len(ids) == len(tokens):
                entry["id"] = ids[place]
            listed = rows[place] if place < len(rows) else None
            if isinstance(listed, Mapping):
                listed = _sorted(_spelt(text, number) for text, number in listed.items())
            yield {**entry, "top_logprobs": listed}

    return Logprobs.from_entries(entries())


def _spelt(token: Any, logprob: Any) -> dict[str, Any]:
    entry = {"token": token, "logprob": logprob}
    if isinstance(token, str) and (start := _SPELT_BYTES.match(token)):
        octets = token[start.end() :].encode("utf-8", "replace")
        entry["bytes"] = _OCTET.sub(_octet, octets)
    return entry


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def _of_responses(value: Any, wish: _Wish) -> Logprobs:
    parts = [part for item in _get(value, "output") or () for part in _get(item, "content") or ()]
    found = _of_parts(parts)
    if found is None:
        raise _missing(value, "ask for them with include=['message.output_text.logprobs']")
    return found


def _of_parts(parts: Iterable[Any]) -> Logprobs | None:
    """The parts of a message that have log-probabilities, one after the other."""
    entries = [entry for part in parts for entry in _get(part, "logprobs") or ()]
    return _of_entries(entries) if entries else None


# LangChain ----------------------------------------------------------------------------------------------------------


def _of_message(value: Any, wish: _Wish) -> Logprobs:
    table = (_get(value, "response_metadata") or {}).get("logprobs")
    if table is not None:
        return _of_field(table, value, wish)
    content = _get(value, "content")
    found = _of_parts(content) if isinstance(content, list) else None
    if found is None:
        raise _missing(value, "ask for them with model.bind(logprobs=True)")
    return found


def _of_generation(value: Any, wish: _Wish) -> Logprobs:
    table = (_get(value, "generation_info") or {}).get("logprobs")
    if table is not None:
        return _of_field(table, value, wish)
    if _has(value, "message"):
        return _of_message(_get(value, "message"), wish)
    raise _missing(value, "ask for them with model.bind(logprobs=5)")


def _of_generations(value: Any, wish: _Wish) -> Logprobs:
    groups = _get(value, "generations") or ()
    flat = [one for group in groups for one in (group if isinstance(group, list) else [group])]
    return _read(_chosen(flat, value, wish), wish)


# vLLM, llama.cpp, Google, Transformers -------------------------------------------------------------------------------


def _of_request(value: Any, wish: _Wish) -> Logprobs:
    output = _chosen(_get(value, "outputs"), value, wish)
    if _get(output, "logprobs") is None:
        raise _missing(output, "ask for them with SamplingParams(logprobs=5)")
    return _of_choice(output, wish)


def _ranked(ids: Sequence[int], rows: Sequence[Any], wish: _Wish) -> Iterator[dict[str, Any]]:
    """A dict from token ids to (logprob, rank, decoded_token) for each of the ids."""
    if len(ids) != len(rows):
        raise SettingError(
            f"token_ids and logprobs must be of one length, not {len(ids)} and {len(rows)}.",
            setting="logprobs",
            value=rows,
        )
    for token_id, row in zip(ids, rows, strict=True):
        weighed = {int(one): found for one, found in (row or {}).items()}
        listed = [_identified(one, found, wish) for one, found in weighed.items()]
        yield {**_identified(token_id, weighed.get(token_id), wish), "top_logprobs": _sorted(listed)}


def _identified(token_id: int, found: Any, wish: _Wish) -> dict[str, Any]:
    logprob, text = _get(found, "logprob"), _get(found, "decoded_token")
    if wish.pieces is not None:
        text, raw = wish.pieces[token_id]
        return {"token": text, "logprob": logprob, "bytes": raw, "id": token_id}
    # As vLLM spells a token that it did not decode.
    return {"token": f"token_id:{token_id}" if text is None else text, "logprob": logprob, "id": token_id}


def _of_probabilities(value: Any, wish: _Wish) -> Logprobs:
    return _of_entries(_get(value, "completion_probabilities") or ())


def _of_candidates(value: Any, wish: _Wish) -> Logprobs:
    candidate = _chosen(_get(value, "candidates"), value, wish)
    result = _either(candidate, "logprobs_result", "logprobsResult")
    chosen = _either(result, "chosen_candidates", "chosenCandidates")
    if not chosen:
        raise _missing(candidate, "ask for them with response_logprobs=True and logprobs=5")
    weighed = _either(result, "top_candidates", "topCandidates") or []
    lists = [_get(one, "candidates") or () for one in weighed] + [()] * (len(chosen) - len(weighed))
    return Logprobs.from_entries(
        {**_candidate(one), "top_logprobs": [_candidate(other) for other in others]}
        for one, others in zip(chosen, lists, strict=False)
    )


def _candidate(value: Any) -> dict[str, Any]:
    return {
        "token": _get(value, "token"),
        "logprob": _either(value, "log_probability", "logProbability"),
        "id": _either(value, "token_id", "tokenId"),
    }


def _of_scores(value: Any, wish: _Wish) -> Logprobs:
    logits, scores = _get(value, "logits"), _get(value, "scores")
    steps = logits if logits is not None else scores
    if steps is None:
        raise _missing(
            value, "call generate with return_dict_in_generate=True and output_logits=True (or output_scores=True)"
        )
    if wish.pieces is None:
        raise SettingError(
            f"{type(value).__name__} has token ids and no texts: give the model's tokenizer, as_logprobs(output, "
            "tokenizer=tokenizer).",
            setting="tokenizer",
        )
    sequences = _get(value, "sequences")
    _in_range(len(sequences), value, wish)
    return _scores.table_of(
        sequences, steps, _get(value, "beam_indices"), wish.choice, pieces=wish.pieces, top=wish.top
    )


# The fields that tell each shape, the most telling first.
_SHAPES: tuple[tuple[tuple[str, ...], Callable[[Any, _Wish], Logprobs]], ...] = (
    (("sequences",), _of_scores),
    (("choices",), _of_completion),
    (("output", "object"), _of_responses),
    (("generations",), _of_generations),
    (("generation_info",), _of_generation),
    (("response_metadata",), _of_message),
    (("outputs",), _of_request),
    (("candidates",), _of_candidates),
    (("completion_probabilities",), _of_probabilities),
    (("logprobs",), _of_choice),
    (("tokens", "token_logprobs"), lambda value, wish: _of_field(value, value, wish)),
    (("content", "refusal"), lambda value, wish: _of_field(value, value, wish)),
)


# Reading ------------------------------------------------------------------------------------------------------------


def _has(value: Any, name: str) -> bool:
    return name in value if isinstance(value, Mapping) else hasattr(value, name)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _either(value: Any, attribute: str, key: str) -> Any:
    found = _get(value, attribute)
    return _get(value, key) if found is None else found


def _chosen(values: Any, owner: Any, wish: _Wish) -> Any:
    if not isinstance(values, Sequence) or not values:
        raise LogprobsMissingError(f"There are no log-probabilities: {_named(owner)} holds no completion.")
    _in_range(len(values), owner, wish)
    return values[wish.choice]


def _in_range(count: int, owner: Any, wish: _Wish) -> None:
    if wish.choice >= count:
        raise SettingError(
            f"choice must be from 0 to {count - 1}, for {_named(owner)} holds {count}, not {wish.choice}.",
            setting="choice",
            value=wish.choice,
        )


def _sorted(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    def likeliness(entry: dict[str, Any]) -> float:
        logprob = entry["logprob"]
        return float(logprob) if isinstance(logprob, int | float) else float("-inf")

    return sorted(entries, key=likeliness, reverse=True)


def _missing(owner: Any, how: str, why: str | None = None) -> LogprobsMissingError:
    told = f" ({why})" if why else ""
    return LogprobsMissingError(f"There are no log-probabilities in {_named(owner)}{told}; {how}.")


def _named(value: Any) -> str:
    """A value by its type, and a dict by its keys."""
    if not isinstance(value, Mapping):
        return type(value).__name__
    keys = [repr(key) for key in list(value)[:_LONGEST]]
    return f"a {type(value).__name__} of {', '.join(keys)}{', …' if len(value) > _LONGEST else ''}" if keys else "{}"


def _counted(value: Any) -> str:
    return str(len(value)) if isinstance(value, list | tuple) else type(value).__name__
