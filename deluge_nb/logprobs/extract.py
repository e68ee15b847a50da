"""One number out of a table: the probability of a given answer at a given token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LogprobsMissingError, SettingError
from ..text.matching import Matcher, is_match
from .values import is_known, log_sum

if TYPE_CHECKING:
    from .table import Logprobs

Entry = Mapping[str, Any]


def extract_prob(
    token: str,
    logprobs: Logprobs | Sequence[Entry] | None,
    use_top_logprobs: bool = False,
    normalize_top_logprobs: bool = True,
    use_complement: bool = False,
    token_index: int = 0,
    token_match_fn: Matcher | None = is_match,
) -> float:
    """The probability of an answer at one token of a completion.

    Parameters
    ----------
    token
        The answer that is looked for, such as ``"yes"`` or ``"A"``.
    logprobs
        A response's ``logprobs``, or the documented list of dicts.
    use_top_logprobs
        Look at everything the model weighed: add up all alternatives that match, and the chosen token where the list
        does not hold it. Otherwise only the chosen token is looked at.
    normalize_top_logprobs
        With ``use_top_logprobs``: divide by the sum over all that is listed. This makes answers comparable and hides
        how much was not listed; without it the result is the probability that is accounted for, a lower bound.
    use_complement
        Where nothing matches, return 1 minus the probability of the chosen token in place of 0. That assumes that there
        are two answers and the chosen token is the other one.
    token_index
        Which token of the completion; 0 is the first.
    token_match_fn
        Called with a token's text and ``token``; :func:`is_match` if None.

    Returns
    -------
    float
        From 0 to 1. Tokens whose log-probability the provider withheld (-9999, null) count 0.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities, or those that the answer hangs on were withheld.
    SettingError
        When ``token_index`` is not a position of the completion.
    """
    entry = entry_at(logprobs, token_index)
    matches = is_match if token_match_fn is None else token_match_fn
    chosen = _known(entry.get("logprob"))
    if not use_top_logprobs:
        if matches(entry["token"], token):
            return 0.0 if chosen is None else math.exp(chosen)
        return _complement(chosen, token_index) if use_complement else 0.0
    weighed = candidates(entry)
    found = [logprob for text, logprob, _ in weighed if matches(text, token)]
    total = 0.0
    if normalize_top_logprobs and entry.get("top_logprobs"):
        total = log_sum([logprob for _, logprob, _ in weighed])
        if total == -math.inf:
            raise _withheld(token_index)
    if not found and use_complement:
        return _complement(None if chosen is None else min(chosen - total, 0.0), token_index)
    return min(math.exp(min(log_sum(found) - total, 0.0)), 1.0)


def entry_at(logprobs: Logprobs | Sequence[Entry] | None, index: int) -> Entry:
    """One token of a completion, for a question that needs it.

    Raises
    ------
    LogprobsMissingError
        When there is no table, or none with tokens.
    SettingError
        When the index is not a position in it.
    """
    if logprobs is None:
        raise LogprobsMissingError(
            "There are no log-probabilities (logprobs is None): ask for them with SamplingParams(logprobs=True), and "
            "see the response's error_message and note."
        )
    if isinstance(logprobs, str | bytes | Mapping) or not isinstance(logprobs, Sequence):
        raise SettingError(
            f"logprobs must be a response's logprobs or a list of dicts, not {type(logprobs).__name__}.",
            setting="logprobs",
            value=logprobs,
        )
    if not logprobs:
        raise LogprobsMissingError("There are no log-probabilities to look at: the completion has no tokens.")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(logprobs):
        raise SettingError(
            f"token_index must be from 0 to {len(logprobs) - 1}, for the completion has {len(logprobs)} tokens, not "
            f"{index!r}.",
            setting="token_index",
            value=index,
        )
    return logprobs[index]


def candidates(entry: Entry) -> list[tuple[str, float, Sequence[int] | None]]:
    """All that is known of one position, as (text, logprob, bytes) with ``-inf`` for what was withheld.

    The alternatives, and the chosen token where they do not hold it.
    """
    listed = entry.get("top_logprobs") or []
    every = listed if any(_same(entry, other) for other in listed) else [*listed, entry]
    known = ((other["token"], _known(other.get("logprob")), other.get("bytes")) for other in every)
    return [(text, -math.inf if logprob is None else logprob, raw) for text, logprob, raw in known]


def _complement(logprob: float | None, index: int) -> float:
    if logprob is None:
        raise _withheld(index)
    return -math.expm1(logprob) + 0.0


def _known(logprob: float | None) -> float | None:
    return min(float(logprob), 0.0) if logprob is not None and is_known(logprob) else None


def _same(left: Entry, right: Entry) -> bool:
    """Whether two entries are the same token: halves of different emoji share a text."""
    a, b = left.get("bytes"), right.get("bytes")
    return left["token"] == right["token"] and (a is None or b is None or list(a) == list(b))


def _withheld(index: int) -> LogprobsMissingError:
    return LogprobsMissingError(
        f"The provider withheld the log-probabilities at token {index} (-9999 or null); ask for more top_logprobs or "
        "look at another token.",
        position=index,
    )
