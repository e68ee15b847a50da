"""Read the probability of a given answer at a given token of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LogprobsMissingError, SettingError, invalid_argument
from ..text.counts import pluralize
from ..text.matching import Matcher, is_match
from ..text.partial import exact_text
from .values import OTHER_TEXT, is_known, log_sum

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
    """Return the probability of an answer at one token of a completion.

    Parameters
    ----------
    token
        Answer to look for, such as ``"yes"`` or ``"A"``.
    logprobs
        ``logprobs`` of a response, or the documented list of dicts.
    use_top_logprobs
        Add up the probabilities of all alternatives that match, and of the chosen token if the list does not contain
        it. Otherwise only the chosen token is read.
    normalize_top_logprobs
        With ``use_top_logprobs``: divide by the sum over the list. This makes answers comparable, but hides how much
        probability was not listed. Without it the result is the listed probability, a lower bound.
    use_complement
        If nothing matches, return 1 minus the probability of the chosen token instead of 0. This assumes that there are
        two answers and the chosen token is the other one.
    token_index
        Position of the token in the completion; 0 is the first.
    token_match_fn
        Function of a token's text and ``token``; :func:`is_match` if None.

    Returns
    -------
    float
        From 0 to 1. Tokens without a log-probability (-9999, null, or a number above 0) count as 0.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities, they are those of another text than the answer's, or the ones that decide
        the answer were withheld.
    SettingError
        When ``token`` is no text, or ``token_index`` is not a position of the completion.

    Examples
    --------
    >>> from deluge_nb import extract_prob
    >>> top = [("Yes", -0.4), ("No", -1.6), (" yes", -3.0)]
    >>> top_logprobs = [{"token": token, "logprob": logprob} for token, logprob in top]
    >>> logprobs = [{"token": "Yes", "logprob": -0.4, "top_logprobs": top_logprobs}]
    >>> round(extract_prob("yes", logprobs), 2)
    0.67
    >>> round(extract_prob("yes", logprobs, use_top_logprobs=True), 2)
    0.78
    """
    if not isinstance(token, str):
        raise invalid_argument("token", token, 'the text of an answer, such as "yes"')
    entry = entry_at(logprobs, token_index)
    matches = is_match if token_match_fn is None else token_match_fn
    # Half a character has its bytes in the text that is matched, unless you match it yourself.
    spell = exact_text if matches is is_match else _as_sent
    chosen = _known(entry.get("logprob"))
    if not use_top_logprobs:
        if matches(spell(entry["token"], entry.get("bytes")), token):
            return 0.0 if chosen is None else math.exp(chosen)
        return _complement(chosen, token_index) if use_complement else 0.0
    listed = candidates(entry)
    matching = [logprob for text, logprob, raw in listed if matches(spell(text, raw), token)]
    total = 0.0
    if normalize_top_logprobs and entry.get("top_logprobs"):
        total = log_sum([logprob for _, logprob, _ in listed])
        if total == -math.inf:
            raise _withheld(token_index)
    if not matching and use_complement:
        return _complement(None if chosen is None else min(chosen - total, 0.0), token_index)
    return min(math.exp(min(log_sum(matching) - total, 0.0)), 1.0)


def entry_at(logprobs: Logprobs | Sequence[Entry] | None, index: int) -> Entry:
    """Return the entry of one token of a completion.

    Raises
    ------
    LogprobsMissingError
        When there is no table, it has no tokens, or they are those of another text.
    SettingError
        When ``logprobs`` is not a sequence of entries, or the index is not a position in it.
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
        raise LogprobsMissingError("There are no log-probabilities: the completion has no tokens.")
    if not getattr(logprobs, "matches_text", True):
        raise LogprobsMissingError(OTHER_TEXT)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(logprobs):
        raise SettingError(
            f"token_index must be from 0 to {len(logprobs) - 1}, for the completion has "
            f"{pluralize(len(logprobs), 'token')}, not {index!r}.",
            setting="token_index",
            value=index,
        )
    return logprobs[index]


def alternatives_of(table: Logprobs, row: int) -> tuple[list[int], list[float]]:
    """Return the alternatives of a row as sent: their indices in the vocabulary, and their log-probabilities (nats).

    Without the dicts of ``table.top``, for callers that read thousands of rows.
    """
    listed = slice(*table._offsets[row : row + 2].tolist())
    return table._alternative[listed].tolist(), table._alternative_logprob[listed].tolist()


def candidates(entry: Entry) -> list[tuple[str, float, Sequence[int] | None]]:
    """Return the tokens of known probability at a position: its alternatives, and the chosen token if not among them.

    Each is (text, log-probability in nats, bytes); the log-probability is ``-inf`` where it was withheld.
    """
    listed = _without_repeats(entry.get("top_logprobs") or [])
    entries = listed if any(_same(entry, other) for other in listed) else [*listed, entry]
    known = ((other["token"], _known(other.get("logprob")), other.get("bytes")) for other in entries)
    return [(text, -math.inf if logprob is None else logprob, raw) for text, logprob, raw in known]


def _as_sent(text: str, _: object) -> str:
    return text


def _without_repeats(listed: Sequence[Entry]) -> Sequence[Entry]:
    """Return a list without entries that repeat another to the last digit, as some servers list the drawn token."""
    if len({other.get("logprob") for other in listed}) == len(listed):
        return listed
    unique: dict[tuple[Any, ...], Entry] = {}
    for other in listed:
        raw = other.get("bytes")
        key = (other["token"], None if raw is None else bytes(raw), other.get("id"), other.get("logprob"))
        unique.setdefault(key, other)
    return list(unique.values())


def _complement(logprob: float | None, index: int) -> float:
    if logprob is None:
        raise _withheld(index)
    return -math.expm1(logprob) + 0.0


def _known(logprob: float | None) -> float | None:
    return min(float(logprob), 0.0) if logprob is not None and is_known(logprob) else None


def _same(left: Entry, right: Entry) -> bool:
    """Compare two entries by text and by bytes, as halves of different emoji have the same text."""
    a, b = left.get("bytes"), right.get("bytes")
    return left["token"] == right["token"] and (a is None or b is None or list(a) == list(b))


def _withheld(index: int) -> LogprobsMissingError:
    return LogprobsMissingError(
        f"The provider withheld the log-probabilities at token {index} (-9999 or null); ask for more top_logprobs, or "
        "read another token.",
        position=index,
    )
