"""Read log-probabilities from the responses of other libraries, recognised by their fields; no library is imported.

Objects with attributes and parsed JSON are read in the same way. Parts of a response (a choice of a completion, the
message of a generation) are read like the whole response.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
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
from .streams import number_choices, parse_reply, read_stream
from .tokenizer import TokenTexts

_REMEDY = "ask for them with logprobs=True"


@dataclass(frozen=True, slots=True)
class _Options:
    """Options of :func:`as_logprobs`."""

    choice: int = 0
    texts: TokenTexts | None = None
    top: int = 20


def as_logprobs(response: Any, *, choice: int = 0, tokenizer: Any = None, top: int = 20) -> Logprobs:
    """Return the table of log-probabilities in a response of this or another library.

    Parameters
    ----------
    response
        A response of this package, its ``to_dict()`` or a finished stream; a response of the OpenAI SDK (chat,
        Responses, old completions), lm-deluge, LiteLLM, LangChain (message, generation, result), llama-cpp-python,
        llama.cpp's server (also with ``post_sampling_probs``), Ollama, vLLM or Google's SDK; the chunks of a stream of
        these in a list; the output of Transformers' ``generate``; any of these as parsed JSON, as JSON text or as an
        HTTP response with ``.json()``; the documented list of dicts; an Arrow table of :meth:`Logprobs.to_arrow`; or a
        table, which is returned unchanged. A list of one response is read as that response.
    choice
        Index of the completion, where there are several.
    tokenizer
        The model's tokenizer. Needed for the output of Transformers, which has only token ids; with vLLM it gives the
        true bytes of tokens that are not whole characters.
    top
        Number of alternatives to keep per token of Transformers' output, whose distributions cover the whole
        vocabulary.

    Returns
    -------
    Logprobs
        One row per token, natural logarithms. Alternatives from a dict or a distribution are sorted, likeliest first.

    Raises
    ------
    LogprobsMissingError
        When the response has no log-probabilities; the message says how to ask for them.
    SettingError
        When the response has none of these forms, or has no such choice.

    Examples
    --------
    >>> from deluge_nb import as_logprobs
    >>> tokens = [{"token": "Oslo", "logprob": -0.25, "bytes": None, "top_logprobs": []}]
    >>> table = as_logprobs({"choices": [{"logprobs": {"content": tokens}}]})
    >>> table.text, table.logprob
    ('Oslo', array([-0.25]))
    """
    for name, value in (("choice", choice), ("top", top)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SettingError(f"{name} must be an integer from 0, not {value!r}.", setting=name, value=value)
    return _read(response, _Options(choice, None if tokenizer is None else TokenTexts(tokenizer), top))


# Any object ---------------------------------------------------------------------------------------------------------


def _read(value: Any, options: _Options) -> Logprobs:
    if isinstance(value, Logprobs):
        return value
    if value is None:
        raise LogprobsMissingError(f"There are no log-probabilities in None; {_REMEDY}.")
    if isinstance(value, str | bytes | bytearray):
        reply = parse_reply(value)
        if reply is None:
            raise _unknown_form_error(value)
        return _read(reply, options)
    if isinstance(value, list | tuple):
        return _from_list(value, options)
    if has_field(value, "to_pylist") and has_field(value, "schema"):
        return _from_arrow(value)
    for fields, read in _READERS:
        if all(has_field(value, field) for field in fields):
            return read(value, options)
    raise _unknown_form_error(value)


def _from_arrow(value: Any) -> Logprobs:
    """Read the Arrow table that a table of this package becomes, with what its schema says of the numbers."""
    metadata = value.schema.metadata or {}
    known = {
        name: json.loads(metadata[name.encode()]) for name in ("vocab_size", "rounding") if name.encode() in metadata
    }
    return Logprobs.from_entries(value.to_pylist(), **known)


def _from_list(values: Sequence[Any], options: _Options) -> Logprobs:
    if not values or has_field(values[0], "token") or has_field(values[0], "probs"):
        return _from_entries(values)
    if any(has_field(choice, "delta") for chunk in values for choice in as_sequence(get_field(chunk, "choices"))):
        return _from_chunks(values, options)
    if isinstance(values[0], list | tuple | str | bytes):
        raise SettingError(
            "Log-probabilities are read from a list of dicts with 'token' and 'logprob', not from a list of "
            f"{type_name(values[0])}s: write {{'token': 'a', 'logprob': -0.1}} for each token.",
            setting="logprobs",
            value=values,
        )
    if len(values) == 1:
        return _read(values[0], options)
    table = read_stream(values, partial(_read, options=options))
    if table is not None:
        return table
    raise SettingError(
        "Log-probabilities are read from one response at a time, or a list of dicts with 'token' and 'logprob', not "
        f"from a list of {len(values)} (the first is {type_name(values[0])}).",
        setting="logprobs",
        value=values,
    )


def _from_entries(entries: Iterable[Any]) -> Logprobs:
    return Logprobs.from_entries(map(entry_of, entries))


def _from_stream(value: Any, options: _Options) -> Logprobs:
    """Read a stream of this package."""
    if value.response is None:
        raise SettingError("The stream has not ended; read it to its end first.", setting="response", value=value)
    return _read(value.response, options)


def _from_saved(value: Any, options: _Options) -> Logprobs:
    """Read a response of this package as plain JSON, whose further choices stand in a list of their own."""
    return _from_choice(_select_choice([value, *as_sequence(get_field(value, "choices"))], value, options), options)


def _from_http(value: Any, options: _Options) -> Logprobs:
    """Read the reply of a server, as an HTTP library returns it."""
    try:
        body = value.json()
    except ValueError:  # an event stream
        body = get_field(value, "text")
    if not isinstance(body, dict | list | str):
        raise SettingError(
            f"The reply's json() gave {type_name(body)}; pass the JSON itself, with aiohttp `await response.json()`.",
            setting="logprobs",
            value=value,
        )
    return _read(body, options)


# OpenAI and compatible servers ---------------------------------------------------------------------------------------


def _from_choices(value: Any, options: _Options) -> Logprobs:
    return _from_choice(_select_choice(get_field(value, "choices"), value, options), options)


def _from_choice(value: Any, options: _Options) -> Logprobs:
    """Read an object with a ``logprobs`` field: a choice, a response of lm-deluge or Ollama, an output of vLLM."""
    table = get_field(value, "logprobs")
    if table is None:
        reason = get_field(value, "error_message") or get_field(value, "note")
        raise _missing_error(value, _REMEDY, reason if isinstance(reason, str) else None)
    return _from_field(table, value, options)


def _from_field(table: Any, owner: Any, options: _Options) -> Logprobs:
    """Read the value of a ``logprobs`` field."""
    if isinstance(table, Logprobs):
        return table
    if has_field(table, "tokens"):
        return _from_columns(table, options)
    if has_field(table, "content") or has_field(table, "refusal"):
        return _from_content(table, options)
    if isinstance(table, Sequence) and not isinstance(table, str | bytes):
        ids = get_field(owner, "token_ids")
        if ids is not None and not (table and has_field(table[0], "token")):
            return Logprobs.from_entries(entries_from_ranks(as_sequence(ids), table, options.texts))
        return _from_entries(table)
    raise SettingError(
        f"The logprobs of {type_name(owner)} must be a list of tokens or an object that has one, not "
        f"{type_name(table)}.",
        setting="logprobs",
        value=table,
    )


def _from_content(table: Any, _: _Options) -> Logprobs:
    entries = _entries_of_content(table)
    if entries is None:
        raise _missing_error(table, _REMEDY)
    if not isinstance(entries, list | tuple):  # a message: its content is text
        raise _unknown_form_error(table)
    return _from_entries(entries)


def _entries_of_content(table: Any) -> Any:
    """Return the tokens of the answer, or of the refusal in its place."""
    content = get_field(table, "content")
    return content or get_field(table, "refusal") or content


def _from_chunks(chunks: Sequence[Any], options: _Options) -> Logprobs:
    tables = [get_field(choice, "logprobs") for index, choice in number_choices(chunks) if index == options.choice]
    if not tables:
        raise SettingError(
            f"choice={options.choice} is not there: no chunk of the stream has this index.",
            setting="choice",
            value=options.choice,
        )
    if not any(table is not None for table in tables):
        raise _missing_error(chunks[0], _REMEDY)
    return _from_entries(
        entry for table in tables if table is not None for entry in as_sequence(_entries_of_content(table))
    )


def _from_columns(table: Any, _: _Options) -> Logprobs:
    """Read parallel lists: the old completions API, and servers that use its format in chats."""
    if get_field(table, "tokens") is None and get_field(table, "token_logprobs") is None:
        raise _missing_error(table, "ask for them with logprobs=5")
    return Logprobs.from_entries(entries_from_columns(table))


def _from_responses_api(value: Any, _: _Options) -> Logprobs:
    parts = [
        part for item in as_sequence(get_field(value, "output")) for part in as_sequence(get_field(item, "content"))
    ]
    entries = [entry for part in parts for entry in as_sequence(get_field(part, "logprobs"))]
    if not entries:
        raise _missing_error(value, "ask for them with include=['message.output_text.logprobs']")
    return _from_entries(entries)


# LangChain ----------------------------------------------------------------------------------------------------------


def _from_langchain_message(value: Any, options: _Options) -> Logprobs:
    table = get_field(get_field(value, "response_metadata"), "logprobs")
    if table is not None:
        return _from_field(table, value, options)
    # LangChain keeps only the texts of the Responses API.
    raise _missing_error(value, "ask for them with model.bind(logprobs=True) and use_responses_api=False")


def _from_langchain_generation(value: Any, options: _Options) -> Logprobs:
    table = get_field(get_field(value, "generation_info"), "logprobs")
    if table is not None:
        return _from_field(table, value, options)
    if has_field(value, "message"):
        return _from_langchain_message(get_field(value, "message"), options)
    raise _missing_error(value, "ask for them with model.bind(logprobs=5)")


def _from_langchain_result(value: Any, options: _Options) -> Logprobs:
    groups = as_sequence(get_field(value, "generations"))
    flat = [item for group in groups for item in (group if isinstance(group, list) else [group])]
    return _read(_select_choice(flat, value, options), options)


# vLLM, llama.cpp, Google, Transformers -------------------------------------------------------------------------------


def _from_vllm(value: Any, options: _Options) -> Logprobs:
    output = _select_choice(get_field(value, "outputs"), value, options)
    if get_field(output, "logprobs") is None:
        raise _missing_error(output, "ask for them with SamplingParams(logprobs=5)")
    return _from_choice(output, options)


def _from_llamacpp(value: Any, _: _Options) -> Logprobs:
    return _from_entries(as_sequence(get_field(value, "completion_probabilities")))


def _from_google(value: Any, options: _Options) -> Logprobs:
    candidate = _select_choice(get_field(value, "candidates"), value, options)
    result = get_field(candidate, "logprobs_result", "logprobsResult")
    chosen = as_sequence(get_field(result, "chosen_candidates", "chosenCandidates"))
    if not chosen:
        raise _missing_error(candidate, "ask for them with response_logprobs=True and logprobs=5")
    return Logprobs.from_entries(
        entries_from_candidates(chosen, as_sequence(get_field(result, "top_candidates", "topCandidates")))
    )


def _from_transformers(value: Any, options: _Options) -> Logprobs:
    # Logits are the model's own; temperature and truncation have changed the scores.
    steps = get_field(value, "logits", "scores")
    if steps is None:
        raise _missing_error(
            value, "call generate with return_dict_in_generate=True and output_logits=True (or output_scores=True)"
        )
    if options.texts is None:
        raise SettingError(
            f"{type(value).__name__} has token ids and no texts: pass the model's tokenizer, as_logprobs(output, "
            "tokenizer=tokenizer).",
            setting="tokenizer",
        )
    sequences = get_field(value, "sequences")
    _check_choice(len(sequences), value, options)
    return transformers_output.sequence_table(
        sequences, steps, get_field(value, "beam_indices"), options.choice, texts=options.texts, top=options.top
    )


# Fields by which each form is recognised, the most specific first.
_READERS: tuple[tuple[tuple[str, ...], Callable[[Any, _Options], Logprobs]], ...] = (
    (("sequences",), _from_transformers),
    (("response", "aclose"), _from_stream),
    (("version", "completion", "logprobs"), _from_saved),
    (("choices",), _from_choices),
    (("output", "object"), _from_responses_api),
    (("generations",), _from_langchain_result),
    (("generation_info",), _from_langchain_generation),
    (("response_metadata",), _from_langchain_message),
    (("outputs",), _from_vllm),
    (("candidates",), _from_google),
    (("completion_probabilities",), _from_llamacpp),
    (("logprobs",), _from_choice),
    (("tokens", "token_logprobs"), _from_columns),
    (("json",), _from_http),
    (("content",), _from_content),
)


# Errors --------------------------------------------------------------------------------------------------------------


def _select_choice(values: Any, owner: Any, options: _Options) -> Any:
    if not isinstance(values, Sequence) or not values:
        raise LogprobsMissingError(f"There are no log-probabilities: {type_name(owner)} holds no completion.")
    _check_choice(len(values), owner, options)
    return values[options.choice]


def _check_choice(count: int, owner: Any, options: _Options) -> None:
    if options.choice >= count:
        raise SettingError(
            f"choice={options.choice} is not there: {type_name(owner)} holds {count}, counted from 0.",
            setting="choice",
            value=options.choice,
        )


def _unknown_form_error(value: Any) -> SettingError:
    return SettingError(
        f"Log-probabilities are read from a response, its logprobs or a list of dicts, not {type_name(value)}.",
        setting="logprobs",
        value=value,
    )


def _missing_error(owner: Any, remedy: str, reason: str | None = None) -> LogprobsMissingError:
    cause = f" ({reason})" if reason else ""
    return LogprobsMissingError(f"There are no log-probabilities in {type_name(owner)}{cause}; {remedy}.")
