"""Recognise how an answer ended: by a token, which is never text of it, or early."""

from __future__ import annotations

import re
from functools import lru_cache

from .normalize import LEAKED_SPACES

# </s>, <eos>, <|im_end|>, <|end▁of▁sentence|>, [|endofturn|] and the like: a word in angle brackets, with or without
# bars, or in square ones with them; and [EOS].
_SPECIAL = re.compile(r"\s*(?:<[|｜]?\s*(/?[^<>|｜\s][^<>|｜]*?)\s*[|｜]?>|\[\|(\w+)\|\]|\[(EOS|eos)\])\s*")
# Any mark of a template, such as <|user|>, with which some models end their turn, <turn|> and [/INST].
_MARK = re.compile(r"\s*(?:<[|｜]?[^<>\s]*[|｜]>|<[|｜][^<>\s]*>|\[/?[A-Z_]+\])\s*")
_PARTS = re.compile(r"[^a-z0-9]+")
_ENDS = frozenset({"eos", "eot", "eom", "eod", "eog", "eoa", "return", "stop"})
# What an end may be the end of. After the end of a prompt, a header or a thought the answer is still to come.
_WHOLES = (
    *("answer", "assistant", "chat", "completion", "conversation", "doc", "document", "generation", "im", "message"),
    *("msg", "output", "response", "sentence", "seq", "sequence", "solution", "text"),
    *("turn", "utterance"),
)
_END_OF = frozenset({"end", "of", "id", "token", *_WHOLES})
_JOINED = frozenset(f"endof{whole}" for whole in _WHOLES)

INTERRUPTED = "interrupted"
"""Finish reason of an answer that the user ended."""


def is_complete(finish_reason: str | None) -> bool:
    """Return whether an answer may be taken for whole: neither a limit of tokens nor the user ended it.

    Examples
    --------
    >>> from deluge_nb.text.end_tokens import is_complete
    >>> [is_complete(reason) for reason in ("stop", "length", "interrupted", None)]
    [True, False, False, True]
    """
    return finish_reason not in ("length", INTERRUPTED)


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
    special = _SPECIAL.fullmatch(text.translate(LEAKED_SPACES))
    if special is None:
        return False
    if special[3] is not None:
        return True
    word = (special[1] or special[2]).lower()
    if word == "/s":
        return True
    parts = [part for part in _PARTS.split(word) if part]
    is_barred = "|" in text or "｜" in text
    if any(part in _ENDS for part in parts):
        # <return> and <stop> are words of markup; between bars they are tokens.
        return is_barred or not {"return", "stop"}.issuperset(part for part in parts if part in _ENDS)
    if any(part in _JOINED for part in parts):
        return True
    return "end" in parts and _END_OF.issuperset(parts) and (is_barred or len(parts) > 1)


@lru_cache(maxsize=1 << 14)
def is_mark(text: str) -> bool:
    """Return whether a token's text is a mark of a chat template: the last token of an answer is then no text of it.

    Examples
    --------
    >>> from deluge_nb.text.end_tokens import is_mark
    >>> [is_mark(text) for text in ("<|user|>", "<turn|>", "[/INST]", "<b>", "[a]")]
    [True, True, True, False, False]
    """
    return _MARK.fullmatch(text) is not None
