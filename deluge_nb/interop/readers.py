"""Tables from what other libraries return, told apart by their shape; none of them is imported.

Attributes and parsed JSON are read alike. What an object holds inside another (a choice in a completion, a message in a
generation) is read the same way, so that any of them can be given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import LogprobsMissingError, SettingError
from ..logprobs.table import Logprobs
from . import transformers_output
from .entries import (
    as_sequence,
    entries_from_candidates,
    entries_from_columns,
    entries_from_ranks,
    entry_of,
    get_field,
    has_field,
    type_name,
)
from .tokenizer import TokenTexts

_ASK = "ask for them with logprobs=True"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the caller said of how to read."""

    choice: int = 0
    pieces: TokenTexts | None = None
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
    return _read(response, _Wish(choice, None if tokenizer is None else TokenTexts(tokenizer), top))


# Any object ---------------------------------------------------------------------------------------------------------


def _read(value: Any, wish: _Wish) -> Logprobs:
    if isinstance(value, Logprobs):
        return value
    if value is None:
        raise LogprobsMissingError(f"There are no log-probabilities: this is None; {_ASK}.")
    if isinstance(value, list | tuple):
        return _of_list(value, wish)
    for marks, read in _SHAPES:
        if all(has_field(value, mark) for mark in marks):
            return read(value, wish)
    raise _foreign(value)


def _of_list(values: Sequence[Any], wish: _Wish) -> Logprobs:
    if not values or has_field(values[0], "token"):
        return _of_entries(values)
    if any(has_field(one, "delta") for value in values for one in as_sequence(get_field(value, "choices"))):
        return _of_stream(values, wish)
    if len(values) == 1:
        return _read(values[0], wish)
    raise SettingError(
        f"A list of dicts must have 'token' and 'logprob' in each, and responses are read one at a time, not as a list "
        f"of {len(values)} (the first is {type_name(values[0])}).",
        setting="logprobs",
        value=values,
    )


def _of_entries(entries: Iterable[Any]) -> Logprobs:
    return Logprobs.from_entries(map(entry_of, entries))


# OpenAI, and who speaks its language ---------------------------------------------------------------------------------


def _of_completion(value: Any, wish: _Wish) -> Logprobs:
    return _of_choice(_chosen(get_field(value, "choices"), value, wish), wish)


def _of_choice(value: Any, wish: _Wish) -> Logprobs:
    """A response that has ``logprobs`` of its own: a choice, lm-deluge's response, Ollama's, vLLM's output."""
    table = get_field(value, "logprobs")
    if table is None:
        why = get_field(value, "error_message") or get_field(value, "note")
        raise _missing(value, _ASK, why if isinstance(why, str) else None)
    return _of_field(table, value, wish)


def _of_field(table: Any, owner: Any, wish: _Wish) -> Logprobs:
    """The value of a ``logprobs`` field."""
    if isinstance(table, Logprobs):
        return table
    if has_field(table, "tokens"):
        return _of_columns(table, wish)
    if has_field(table, "content") or has_field(table, "refusal"):
        return _of_content(table, wish)
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        ids = get_field(owner, "token_ids")
        if ids is not None and not (table and has_field(table[0], "token")):
            return Logprobs.from_entries(entries_from_ranks(as_sequence(ids), table, wish.pieces))
        return _of_entries(table)
    raise SettingError(
        f"The logprobs of {type_name(owner)} must be a list of tokens or an object that has one, not "
        f"{type_name(table)}.",
        setting="logprobs",
        value=table,
    )


def _of_content(table: Any, _: _Wish) -> Logprobs:
    entries = _content_of(table)
    if entries is None:
        raise _missing(table, _ASK)
    if not isinstance(entries, list | tuple):  # a message: its content is text
        raise _foreign(table)
    return _of_entries(entries)


def _content_of(table: Any) -> Any:
    """The tokens of the answer, or of the refusal that stands in its place."""
    content = get_field(table, "content")
    return content or get_field(table, "refusal") or content


def _of_stream(chunks: Sequence[Any], wish: _Wish) -> Logprobs:
    tables = [
        get_field(one, "logprobs")
        for chunk in chunks
        for one in as_sequence(get_field(chunk, "choices"))
        if (get_field(one, "index") or 0) == wish.choice
    ]
    if not tables:
        raise SettingError(f"No chunk is of choice={wish.choice}.", setting="choice", value=wish.choice)
    if not any(table is not None for table in tables):
        raise _missing(chunks[0], _ASK)
    return _of_entries(entry for table in tables if table is not None for entry in as_sequence(_content_of(table)))


def _of_columns(table: Any, _: _Wish) -> Logprobs:
    """Parallel lists: the old completions API, and the servers that give its table in a chat as well."""
    if get_field(table, "tokens") is None and get_field(table, "token_logprobs") is None:
        raise _missing(table, "ask for them with logprobs=5")
    return Logprobs.from_entries(entries_from_columns(table))


def _of_responses(value: Any, _: _Wish) -> Logprobs:
    parts = [
        part for item in as_sequence(get_field(value, "output")) for part in as_sequence(get_field(item, "content"))
    ]
    entries = [entry for part in parts for entry in as_sequence(get_field(part, "logprobs"))]
    if not entries:
        raise _missing(value, "ask for them with include=['message.output_text.logprobs']")
    return _of_entries(entries)


# LangChain ----------------------------------------------------------------------------------------------------------


def _of_message(value: Any, wish: _Wish) -> Logprobs:
    table = get_field(get_field(value, "response_metadata"), "logprobs")
    if table is not None:
        return _of_field(table, value, wish)
    # Of what the Responses API sends, LangChain keeps the texts only.
    raise _missing(value, "ask for them with model.bind(logprobs=True) and use_responses_api=False")


def _of_generation(value: Any, wish: _Wish) -> Logprobs:
    table = get_field(get_field(value, "generation_info"), "logprobs")
    if table is not None:
        return _of_field(table, value, wish)
    if has_field(value, "message"):
        return _of_message(get_field(value, "message"), wish)
    raise _missing(value, "ask for them with model.bind(logprobs=5)")


def _of_generations(value: Any, wish: _Wish) -> Logprobs:
    groups = as_sequence(get_field(value, "generations"))
    flat = [one for group in groups for one in (group if isinstance(group, list) else [group])]
    return _read(_chosen(flat, value, wish), wish)


# vLLM, llama.cpp, Google, Transformers -------------------------------------------------------------------------------


def _of_request(value: Any, wish: _Wish) -> Logprobs:
    output = _chosen(get_field(value, "outputs"), value, wish)
    if get_field(output, "logprobs") is None:
        raise _missing(output, "ask for them with SamplingParams(logprobs=5)")
    return _of_choice(output, wish)


def _of_probabilities(value: Any, _: _Wish) -> Logprobs:
    return _of_entries(as_sequence(get_field(value, "completion_probabilities")))


def _of_candidates(value: Any, wish: _Wish) -> Logprobs:
    candidate = _chosen(get_field(value, "candidates"), value, wish)
    result = get_field(candidate, "logprobs_result", "logprobsResult")
    chosen = as_sequence(get_field(result, "chosen_candidates", "chosenCandidates"))
    if not chosen:
        raise _missing(candidate, "ask for them with response_logprobs=True and logprobs=5")
    return Logprobs.from_entries(
        entries_from_candidates(chosen, as_sequence(get_field(result, "top_candidates", "topCandidates")))
    )


def _of_scores(value: Any, wish: _Wish) -> Logprobs:
    # Logits are the model's own; scores are what temperature and truncation have left of them.
    steps = get_field(value, "logits", "scores")
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
    sequences = get_field(value, "sequences")
    _in_range(len(sequences), value, wish)
    return transformers_output.table_of(
        sequences, steps, get_field(value, "beam_indices"), wish.choice, pieces=wish.pieces, top=wish.top
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
    (("tokens", "token_logprobs"), _of_columns),
    (("content", "refusal"), _of_content),
)


# What there is not ----------------------------------------------------------------------------------------------------


def _chosen(values: Any, owner: Any, wish: _Wish) -> Any:
    if not isinstance(values, Sequence) or not values:
        raise LogprobsMissingError(f"There are no log-probabilities: {type_name(owner)} holds no completion.")
    _in_range(len(values), owner, wish)
    return values[wish.choice]


def _in_range(count: int, owner: Any, wish: _Wish) -> None:
    if wish.choice >= count:
        raise SettingError(
            f"choice={wish.choice} is not there: {type_name(owner)} holds {count}, counted from 0.",
            setting="choice",
            value=wish.choice,
        )


def _foreign(value: Any) -> SettingError:
    return SettingError(
        f"Log-probabilities are read from a response, its logprobs or a list of dicts, not {type_name(value)}.",
        setting="logprobs",
        value=value,
    )


def _missing(owner: Any, how: str, why: str | None = None) -> LogprobsMissingError:
    told = f" ({why})" if why else ""
    return LogprobsMissingError(f"There are no log-probabilities in {type_name(owner)}{told}; {how}.")
