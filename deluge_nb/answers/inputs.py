"""Validate the arguments that ``classify`` and ``score_llm`` share: inputs, labels, template and client."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import SettingError, invalid_argument
from ..prompts import (
    Conversation,
    Message,
    Prompt,
    RawPrompt,
    as_prompt,
    as_rows,
    check_characters,
    check_no_table,
    check_present,
    is_missing,
    to_list,
)
from ..text.counts import pluralize
from ..text.matching import Labels

if TYPE_CHECKING:
    import pandas

Input = str | Sequence[Any] | Mapping[str, Any]
Template = str | RawPrompt | Conversation
AnswerSet = Mapping[str, str | Iterable[str]] | Iterable[str]
"""A set of answers: texts, or a dict from each answer to its spellings."""

# How to go on after an interrupt, as the end of a note.
RESUME = "; resume=client.interrupted in the same call asks for the rest"
READ = ", and classify_responses(client.interrupted, labels) reads them without asking"

# A name in any script: its vowel signs and accents are no letters of their own.
_PLACEHOLDER = re.compile(r"\{(\d*|[^\W\d](?:\w|[^\x00-\x7f\s])*)\}")
_TEMPLATES = "a text, a RawPrompt or a Conversation"
# Characters of a template that an error message shows: about one line.
_EXCERPT = 80


class Inputs(NamedTuple):
    """Inputs of a call, and the index of the Series that held them, if it was one."""

    values: list[Any]
    index: pandas.Index | None


def read_inputs(inputs: Iterable[Any], setting: str = "inputs", entries: str = "inputs") -> Inputs:
    """Return the inputs of a call as a list, with their index.

    Parameters
    ----------
    inputs
        A list, a Series, or anything else that is iterable.
    setting, entries
        Names of the parameter and of its entries in error messages.

    Raises
    ------
    SettingError
        When the value is a lone input, a data frame, or no list.
    """
    values = as_rows(inputs, setting, entries)
    # A Series exists only where pandas has been imported.
    pandas = sys.modules.get("pandas")
    return Inputs(values, inputs.index if pandas is not None and isinstance(inputs, pandas.Series) else None)


def check_client(client: object, setting: str) -> None:
    """Raise an error for a model's name, or another value, in place of a client.

    Parameters
    ----------
    client
        The value to check.
    setting
        Name of the parameter in error messages.

    Raises
    ------
    SettingError
        When the value is no client.
    """
    if isinstance(client, str):
        raise SettingError(
            f"{setting} must be a client, not the name of a model: make one with LLMClient({client!r}).",
            setting=setting,
            value=client,
        )
    if isinstance(client, type) or not hasattr(client, "process_prompts_sync"):
        raise invalid_argument(setting, client, 'a client, such as LLMClient("local")')


def read_answer_sets(
    labels: AnswerSet | Iterable[AnswerSet], size: int | None, *, single_tokens: bool = False
) -> tuple[list[Labels], list[str]]:
    """Return the set of answers of each input, and the names of the answers if all inputs share one set.

    Parameters
    ----------
    labels
        One set of answers, or a list with one set for each input.
    size
        The number of inputs; None if all must share one set.
    single_tokens
        Whether every answer is one token of the vocabulary.

    Raises
    ------
    SettingError
        When something other than texts is among the answers, or the number of sets is not that of the inputs.
    """
    entries = _entries(labels, "labels")
    if isinstance(entries, dict) or isinstance(entries[0], str | bytes) or not isinstance(entries[0], Iterable):
        shared = Labels(_answers(entries, "labels"), single_tokens=single_tokens)
        return [shared] * (1 if size is None else size), shared.names
    if size is None:
        raise SettingError("labels must be one set of answers for all rows.", setting="labels", value=entries)
    if len(entries) != size:
        raise SettingError(
            f"labels must be one set of answers, or one for each of the {size} inputs, not {len(entries)}.",
            setting="labels",
            value=len(entries),
        )
    known: dict[str, Labels] = {}
    sets = []
    for row, entry in enumerate(entries):
        where = f"labels[{row}]"
        answers = _answers(_entries(entry, where), where)
        # Equal sets are one, so that their inputs share the measurements without content.
        sets.append(known.setdefault(repr(answers), Labels(answers, single_tokens=single_tokens)))
    return sets, sets[0].names if len(known) == 1 else []


def _entries(labels: Any, where: str) -> dict[Any, Any] | list[Any]:
    """Return a set of answers as a dict or a list; a set in sorted order, because its own order is random."""
    check_no_table(labels, where, ".unique()")
    if isinstance(labels, str | bytes):
        raise SettingError(
            f"{where} must be a list of answers, not the single text {labels!r}: write [{labels!r}, …].",
            setting=where,
            value=labels,
        )
    if not isinstance(labels, Iterable):
        raise invalid_argument(where, labels, "a list of answers, or a dict from each answer to its spellings")
    entries = dict(labels) if isinstance(labels, Mapping) else to_list(labels)
    if not entries:
        raise invalid_argument(where, labels, "a list of at least one answer")
    if isinstance(entries, list) and isinstance(labels, set | frozenset) and all(isinstance(e, str) for e in entries):
        entries.sort()
    return entries


def _answers(entries: dict[Any, Any] | list[Any], where: str) -> dict[str, list[str]]:
    """Return the spellings of each answer, repeated ones once."""
    for position, name in enumerate(entries):
        _check_text(name, f"{where}[{position}]")
    if isinstance(entries, list):
        return {_plain(name): [_plain(name)] for name in entries}
    spellings: dict[str, list[str]] = {}
    for name, forms in entries.items():
        at = f"{where}[{name!r}]"
        texts = [forms] if isinstance(forms, str) else _entries(forms, at)
        for position, text in enumerate(texts):
            _check_text(text, f"{at}[{position}]")
        spellings[_plain(name)] = list(dict.fromkeys(map(_plain, texts)))
    return spellings


def _check_text(value: object, where: str) -> None:
    if not isinstance(value, str):
        check_present(value, where)
        remedy = f"; write {str(value)!r}" if isinstance(value, int | float) else ""
        raise SettingError(
            f"{where} must be a text, not {value!r} ({type(value).__name__}){remedy}.", setting=where, value=value
        )
    check_characters(value, where)


def _plain(text: str) -> str:
    """Return a text without its subclass, such as NumPy's or an enumeration's."""
    return str.__str__(text)


def fill_prompt(values: Any, template: Template | None, where: str, setting: str = "template") -> Prompt:
    """Return the prompt of one input: the template with its values, or the input itself.

    Parameters
    ----------
    values
        The input.
    template
        The template, or None.
    where, setting
        The input and the template in error messages, as the user passed them.

    Raises
    ------
    SettingError
        When template and input do not fit together.
    """
    check_present(values, where)
    if template is None:
        return as_prompt(values, where)
    if isinstance(template, str):
        return as_prompt(fill_template(template, values, where, setting), where)
    if isinstance(template, RawPrompt):
        return as_prompt(RawPrompt(fill_template(template.text, values, where, setting)), where)
    if not isinstance(template, Conversation):
        raise invalid_argument(setting, template, _TEMPLATES)
    parts = [text for message in template.messages for text in _texts_of(message.content)]
    if template.prefill is not None:
        parts.append(template.prefill)
    texts = iter(_fill_parts(parts, values, where, setting))
    messages = tuple(Message(message.role, _with_texts(message.content, texts)) for message in template.messages)
    return as_prompt(Conversation(messages, next(texts, None), template.gap), where)


def template_texts(template: Template) -> list[str]:
    """Return the texts of a template, in which placeholders are filled.

    Raises
    ------
    SettingError
        When the value is no template.
    """
    if isinstance(template, Conversation):
        texts = [text for message in template.messages for text in _texts_of(message.content)]
        return [*texts, template.prefill or ""]
    if not isinstance(template, str | RawPrompt):
        raise invalid_argument("template", template, _TEMPLATES)
    return [template.text if isinstance(template, RawPrompt) else template]


def placeholders(template: Template) -> set[str]:
    """Return the names between braces that a template may take values for."""
    return {match[1] for text in template_texts(template) for match in _PLACEHOLDER.finditer(text)}


def check_placeholders(template: Template) -> None:
    """Raise an error for a template that takes no value at all, whatever the names of the values are.

    Raises
    ------
    SettingError
        When the template has no placeholder.
    """
    if not placeholders(template):
        raise _without_placeholder("\n".join(template_texts(template)), [], "data", "template", "text")


def _texts_of(content: str | list[dict[str, Any]]) -> list[str]:
    """Return the texts of a message; its other parts, such as pictures, have no placeholders."""
    return [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]


def _with_texts(content: str | list[dict[str, Any]], texts: Iterator[str]) -> str | list[dict[str, Any]]:
    """Return the content of a message with the next texts in place of its own."""
    if isinstance(content, str):
        return next(texts)
    return [{**part, "text": next(texts)} if "text" in part else part for part in content]


def fill_template(template: str, values: Input, where: str = "inputs", setting: str = "scoring_prompt_template") -> str:
    """Replace the placeholders of a template by an input's values; values are never read as templates.

    Parameters
    ----------
    template
        The text with placeholders.
    values
        The values of one input.
    where, setting
        The input and the template in error messages, as the user passed them.

    Returns
    -------
    str
        The filled template.

    Raises
    ------
    SettingError
        When the template has no placeholder, or asks for a value that the input does not have.
    """
    if not isinstance(template, str):
        raise invalid_argument(setting, template, "a text")
    return _fill_parts([template], values, where, setting)[0]


def _fill_parts(parts: Sequence[str], values: Any, where: str, setting: str) -> list[str]:
    """Fill the parts of one template; a part without placeholders is text, but one part must have some."""
    if isinstance(values, str):
        values = (values,)
    else:
        check_present(values, where)
    if not isinstance(values, (tuple, Mapping, Sequence)) or isinstance(values, bytes):
        raise SettingError(
            f"{where} must be a text, a tuple or a dict, not {type(values).__name__}.", setting=where, value=values
        )
    is_named = not isinstance(values, tuple) and isinstance(values, Mapping)
    by_name = dict(values) if is_named else {str(i): value for i, value in enumerate(values)}
    texts, is_filled, numbers = list[str](), False, itertools.count()
    for part in parts:
        pieces = list(_pieces(part))
        for place in range(1, len(pieces), 2):
            name = pieces[place] or str(next(numbers))
            if name in by_name:
                value, is_filled = by_name[name], True
                if is_missing(value):
                    check_present(value, where if len(by_name) == 1 else f"{where}[{repr(name) if is_named else name}]")
                pieces[place] = str(value)
            elif not name.isdigit() and not is_named:
                pieces[place] = f"{{{name}}}"
            else:
                available = ", ".join(map(repr, by_name)) if is_named else pluralize(len(by_name), "value")
                raise SettingError(
                    f"{setting} asks for {{{name}}}, and {where} has {available or 'none'}.",
                    setting=where,
                    value=values,
                )
        texts.append("".join(pieces))
    if not is_filled:
        whole = "\n".join(parts)
        placeholders = list(_PLACEHOLDER.finditer(whole))
        raise _without_placeholder(whole, placeholders, where, setting, next(iter(by_name), "0") if is_named else "0")
    return texts


@lru_cache(256)
def _pieces(template: str) -> tuple[str, ...]:
    """Return the texts of a template and between them the names of placeholders, the same for thousands of inputs."""
    return tuple(_PLACEHOLDER.split(template))


def _without_placeholder(
    template: str, named: list[re.Match[str]], where: str, setting: str, example: object
) -> SettingError:
    """Return the error of a template that takes no value; only a dict can fill the named placeholders it has."""
    if named:
        position, placeholder = named[0].start(), named[0][0]
        reason = f" for {where}: write {{0}} in place of {placeholder}, or pass a dict with {named[0][1]!r}"
    else:
        position, reason = max(template.find("{"), 0), ", so every question would be the same"
    return SettingError(
        f"{setting} has no placeholder such as {{{example}}}{reason}: {_excerpt(template, position)!r}.",
        setting=setting,
        value=template,
    )


def _excerpt(template: str, position: int) -> str:
    """Return a part of a template that shows the given position, with … where it is cut."""
    start = max(0, min(position - _EXCERPT // 2, len(template) - _EXCERPT))
    end = start + _EXCERPT
    return "…" * (start > 0) + template[start:end] + "…" * (end < len(template))
