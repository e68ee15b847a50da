"""Separate the reasoning of a whole reply from its answer: the text, and the rows of the table."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ....logprobs.table import Logprobs
from ....logprobs.values import OTHER_TEXT
from ....text.reasoning.whole import has_mark, split_reasoning, strip_marks
from ..alternatives import wants_none, without_alternatives
from .rows import first_row, spells

if TYPE_CHECKING:
    from ...base import Ask, Completion, Dialect

_UNNAMED = "the table begins with tokens that are not in the text; they are in thinking_logprobs"

_UNFINISHED = "the model reasoned and gave no answer"


def as_requested(completion: Completion, ask: Ask, dialect: Dialect) -> Completion:
    """Return a completion as the user requested it: with its reasoning separate, and without further alternatives."""
    completion = separate_thinking(completion, ask)
    return drop_alternatives(completion, dialect) if wants_none(ask.params, ask.endpoint) else completion


def separate_thinking(completion: Completion, ask: Ask) -> Completion:
    """Return a completion whose text and table are the answer's, with the reasoning beside it.

    The answer's rows are the shortest tail of the table that spells the text. A table of which no tail does stays
    whole, and is marked as that of another text.
    """
    if ask.continuation is not None:  # the text is the user's
        return completion
    return _with_note(_separate(completion, ask))


def drop_alternatives(completion: Completion, dialect: Dialect) -> Completion:
    """Return a completion without the alternatives that were not wanted; its body keeps them."""
    tables = [table for table in (completion.thinking_logprobs, completion.logprobs) if table is not None]
    others = tuple(drop_alternatives(other, dialect) for other in completion.others)
    if not any(table.most_alternatives for table in tables):
        return replace(completion, others=others) if others else completion
    raw = completion.raw
    body = json.loads(raw.decode("utf-8", "replace")) if isinstance(raw, bytes) else raw
    return replace(
        completion,
        raw=dialect.with_entries(body, [entry for table in tables for entry in table]),
        logprobs=without_alternatives(completion.logprobs),
        thinking_logprobs=without_alternatives(completion.thinking_logprobs),
        others=others,
    )


def _with_note(completion: Completion) -> Completion:
    if completion.thinking is None or completion.text or completion.tool_calls:
        return completion
    return replace(completion, notes=(*completion.notes, _UNFINISHED))


def _separate(completion: Completion, ask: Ask) -> Completion:
    if completion.others:
        completion = replace(completion, others=tuple(separate_thinking(other, ask) for other in completion.others))
    text = completion.text
    if text:
        thinking, answer = split_reasoning(text)
        if answer is not text:
            refusal = completion.refusal if completion.refusal != text else answer
            completion = replace(
                completion, text=answer, refusal=refusal, thinking=completion.thinking or thinking or None
            )
    table = completion.logprobs
    if table is None and completion.thinking_logprobs is not None and not completion.text:
        return replace(completion, logprobs=completion.thinking_logprobs[:0])
    # A text that was begun by tokens may begin inside a character.
    if table is None or not len(table) or ask.prompt.begun or spells(table, completion.text or ""):
        return completion
    return _split_table(completion, table, ask)


def _split_table(completion: Completion, table: Logprobs, ask: Ask) -> Completion:
    text, is_reasoned = completion.text or "", completion.thinking is not None
    if completion.tool_calls:
        # The rows of a tool call spell nothing of the text, and follow it.
        start = _end_of_thinking(table)
    elif not text and is_reasoned:
        start = len(table) if completion.thinking_logprobs is None else None
    else:
        start = first_row(table, text, ask.params.stop)
        if not text and start:
            # Rows without any text beside them: nothing says whose they are.
            start = None
    if start == 0 or (completion.tool_calls and not start):
        return completion
    if start is None:
        spelt = table.text
        # The text may end earlier: at a string of the server's own, or where a tool call was taken out.
        if not is_reasoned and text and spelt.startswith(text):
            return completion
        return replace(completion, logprobs=table.as_other_text(), notes=(*completion.notes, OTHER_TEXT.rstrip(".")))
    head = table[:start]
    prefill = ask.prompt.prefill
    if not is_reasoned and head.text.strip() in ("", (prefill or "").strip()):
        return completion
    notes = completion.notes
    thinking = completion.thinking
    if not is_reasoned:
        spelt = head.text
        if has_mark(spelt):
            thinking = strip_marks(spelt) or None
        else:
            notes = (*notes, _UNNAMED)
    if completion.thinking_logprobs is not None:
        head = completion.thinking_logprobs
    return replace(completion, logprobs=table[start:], thinking=thinking, thinking_logprobs=head, notes=notes)


def _end_of_thinking(table: Logprobs) -> int:
    """Return the number of rows up to the last one that closes the reasoning."""
    marks = [index for index, token in enumerate(table.tokens) if "/think" in token.lower() or token == "<|end|>"]
    return marks[-1] + 1 if marks else 0
