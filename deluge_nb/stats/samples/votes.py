"""Agreement of repeated samples: the answer of the majority, and the confidence interval of its share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import SettingError, invalid_argument
from ...prompts import is_missing
from ...text.end_tokens import is_complete
from ...text.matching import Labels
from ..core.records import Result
from ..core.validation import between
from ..labels.distribution import LabelSet
from ..scoring.intervals import wilson_interval


@dataclass(frozen=True, slots=True, eq=False)
class MajorityVote(Result):
    """The most frequent of repeated answers.

    ``answer`` is None on a tie, and where no answer counts. ``share`` is the part of the ``n`` answers that agree with
    the most frequent one (None where ``n`` is 0), and ``low`` and ``high`` are the ends of its confidence interval.
    ``counts`` has all answers, the most frequent first. ``missing`` answers are not in ``n``.
    """

    answer: Any
    share: float | None
    low: float
    high: float
    counts: dict[Any, int]
    n: int
    missing: int


def majority_vote(answers: Iterable[Hashable], *, level: float = 0.95) -> MajorityVote:
    """Return the most frequent of repeated answers, with Wilson's confidence interval of its share.

    The share measures how consistent a model is, which is not the probability that it is right.

    Parameters
    ----------
    answers
        Answers of any kind that can be compared, at least one. None, NaN, NaT and NA are no answers.
    level
        The confidence level, between 0 and 1.

    Returns
    -------
    MajorityVote
        Shares from 0 to 1.

    Raises
    ------
    ValueError
        If there are no answers, an answer cannot be counted, or the level is not between 0 and 1.

    Notes
    -----
    The interval is that of one answer's share. It is a little too narrow for the largest of many shares, because the
    most frequent answer was picked after the fact.

    References
    ----------
    X. Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2023.

    Examples
    --------
    >>> from deluge_nb.stats import majority_vote
    >>> vote = majority_vote(["18", "18", "26", None, "18"])
    >>> vote.answer, vote.share, vote.n, vote.missing
    ('18', 0.75, 4, 1)
    >>> round(vote.low, 3), round(vote.high, 3)
    (0.301, 0.954)
    >>> majority_vote(["yes", "no"]).answer is None
    True
    """
    between(level, "level", 0, 1, ends=False)
    if isinstance(answers, str | bytes | Mapping) or not isinstance(answers, Iterable):
        raise invalid_argument("answers", answers, "a list of answers")
    values = list(answers.tolist() if hasattr(answers, "tolist") else answers)
    if not values:
        raise SettingError("answers must not be empty: there is nothing to count.", setting="answers", value=[])
    counts: Counter[Any] = Counter()
    for position, value in enumerate(values):
        if is_missing(value):
            continue
        try:
            counts[value] += 1
        except TypeError:
            raise invalid_argument(
                f"answers[{position}]", value, "a value that can be counted, such as a text, a number or a tuple"
            ) from None
    return _count_votes(counts, len(values) - counts.total(), level)


def self_consistency(
    responses: Iterable[Any], labels: LabelSet | Callable[[str], Hashable], *, level: float = 0.95
) -> MajorityVote:
    """Return the answer that most of several responses to one prompt give, with the interval of its share.

    Parameters
    ----------
    responses
        Texts, or objects with the attribute ``completion``, such as responses of the client. None, a failed response
        and a text without an answer count as missing.
    labels
        The answers, or a dict from each answer to its spellings: the first that occurs in a text as a whole word
        counts. Or a function from a text to its answer, and None for none: use one where a text names other answers
        before its own.
    level
        The confidence level, between 0 and 1.

    Returns
    -------
    MajorityVote
        Shares from 0 to 1; see :func:`majority_vote`.

    Raises
    ------
    ValueError
        If there are no responses, one has no text, two labels are the same, or the function returns a list.

    References
    ----------
    X. Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2023.

    Examples
    --------
    >>> from deluge_nb.stats import self_consistency
    >>> texts = ["Yes, it does.", "I think so: yes.", "No.", "Hard to say."]
    >>> vote = self_consistency(texts, ["yes", "no"])
    >>> vote.answer, vote.counts, vote.missing
    ('yes', {'yes': 2, 'no': 1}, 1)
    >>> self_consistency(["3 + 4 = 7", "4 + 3 = 7"], lambda text: text.split()[-1]).answer
    '7'
    """
    if isinstance(responses, str | bytes | Mapping) or not isinstance(responses, Iterable):
        raise invalid_argument("responses", responses, "a list of responses or texts")
    read = _answer_reader(labels)
    answers: list[Hashable] = []
    for position, response in enumerate(responses):
        text = getattr(response, "completion", response)
        if is_missing(text):
            answers.append(None)
            continue
        if not isinstance(text, str):
            raise invalid_argument(f"responses[{position}]", response, "a text, a response with a completion, or None")
        answers.append(read(text, is_complete(getattr(response, "finish_reason", None))))
    if not answers:
        raise SettingError("responses must not be empty: there is nothing to count.", setting="responses", value=[])
    return majority_vote(answers, level=level)


def _answer_reader(labels: LabelSet | Callable[[str], Hashable]) -> Callable[[str, bool], Hashable]:
    """Return a function from a text, and whether it is complete, to its answer; None for none."""
    if callable(labels):
        return lambda text, is_complete: labels(text)
    answers = Labels(labels)

    def read(text: str, is_complete: bool) -> str | None:
        index = answers.find(text, is_complete=is_complete)
        return None if index is None else answers.names[index]

    return read


def _count_votes(counts: Counter[Any], missing: int, level: float) -> MajorityVote:
    n = counts.total()
    if not n:
        return MajorityVote(None, None, 0.0, 1.0, {}, 0, missing)
    ranked = counts.most_common()
    (answer, most), *others = ranked
    is_tie = bool(others) and others[0][1] == most
    low, high = wilson_interval(most, n, level)
    return MajorityVote(None if is_tie else answer, most / n, low, high, dict(ranked), n, missing)
