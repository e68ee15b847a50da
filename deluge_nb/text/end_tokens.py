"""Recognise tokens that end an answer; they are never text of it."""

from __future__ import annotations

import re
from functools import lru_cache

# </s>, <eos>, <|im_end|>, <|end▁of▁sentence|> and the like: a word in angle brackets, with or without bars, or [EOS].
_SPECIAL = re.compile(r"\s*(?:<[|｜]?\s*(/?[^<>|｜\s][^<>|｜]*?)\s*[|｜]?>|\[(/?[A-Za-z_]+)\])\s*")
_PARTS = re.compile(r"[^a-z0-9]+")
_ENDS = frozenset({"eos", "eot", "eom", "eod", "eog", "eoa", "endoftext", "endofturn", "endofprompt", "return", "stop"})


@lru_cache(maxsize=1 << 14)
def is_end_token(text: str) -> bool:
    """Return whether a token's text is the mark with which a model ends its answer.

    Examples
    --------
    >>> from deluge_nb.text.end_tokens import is_end_token
    >>> [is_end_token(text) for text in ("</s>", "<end_of_turn>", "<|im_end|>", "<b>", "end")]
    [True, True, True, False, False]
    """
    if len(text) < 4:
        return False
    special = _SPECIAL.fullmatch(text)
    if special is None:
        return False
    word = (special[1] or special[2]).lower()
    if special[2] is not None:
        return word == "eos"
    if word == "/s":
        return True
    parts = [part for part in _PARTS.split(word) if part]
    is_barred = "|" in text or "｜" in text
    if any(part in _ENDS for part in parts):
        # <return> and <stop> are words of markup; between bars they are tokens.
        return is_barred or not {"return", "stop"}.issuperset(part for part in parts if part in _ENDS)
    if is_barred and any(part.startswith("endof") for part in parts):
        return True
    return "end" in parts and (is_barred or len(parts) > 1)
