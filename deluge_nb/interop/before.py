"""Find the text that the tokens of a response follow, as far as the response or its prompt tells."""

from __future__ import annotations

import contextlib
from typing import Any

from ..errors import SettingError
from ..logprobs.table import Logprobs
from ..prompts import as_prompt


def known_before(answer: Any) -> str:
    """Return the text before the tokens of a response, a table or a view; empty where none is known.

    Examples
    --------
    >>> from deluge_nb import APIResponse, RawPrompt, as_logprobs
    >>> table = as_logprobs([{"token": " greener", "logprob": -0.1}])
    >>> known_before(APIResponse("local", logprobs=table, prompt=RawPrompt("The grass is")))
    'The grass is'
    """
    before = getattr(answer, "before", None)
    if isinstance(before, str):
        return before
    table = getattr(answer, "logprobs", None)
    if not isinstance(table, Logprobs):
        return ""
    return before_of(getattr(answer, "prompt", None), table, getattr(answer, "completion", None))


def before_of(prompt: Any, table: Logprobs, completion: Any = None) -> str:
    """Return what a prompt puts directly before the tokens of its answer, without what the tokens repeat.

    Parameters
    ----------
    prompt
        Raw text is continued as a whole; of a chat only the beginning of the answer is.
    table
        The tokens of the answer.
    completion
        The text of the answer, if known.
    """
    with contextlib.suppress(SettingError):
        read = as_prompt(prompt)
        if read.raw is not None:
            return _without_overlap(read.raw, table, completion)
        prefill = read.prefill or ""
        # Some servers send the tokens of the beginning, too.
        return "" if table[: len(prefill)].text.startswith(prefill) else prefill
    return ""


def _without_overlap(before: str, table: Logprobs, completion: Any) -> str:
    """Return a text without the characters that the first token holds although they stand before the completion."""
    first = table[:1].text
    if not isinstance(completion, str) or completion.startswith(first):
        return before
    for size in range(1, len(first) + 1):
        if completion.startswith(first[size:]) and before.endswith(first[:size]):
            return before[:-size]
    return before
