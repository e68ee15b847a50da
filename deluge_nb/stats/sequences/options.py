"""Multiple choice by likelihood: rank given options, and measure how often the right one is first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ...errors import SettingError, invalid_argument
from ...logprobs.columns import Floats
from ...prompts import is_missing
from ..core.records import Result
from ..core.validation import between
from ..scoring.intervals import Interval, wilson_interval
from .choices import choice_scores

Length = Literal["byte", "char"]


@dataclass(frozen=True, slots=True, eq=False)
class OptionRanking(Result):
    """Options of one question, ranked by log-likelihood and by log-likelihood per byte or character.

    ``best`` and ``best_norm`` are the options that ``acc`` and ``acc_norm`` of the Language Model Evaluation Harness
    compare with the right one. ``ranking`` and ``ranking_norm`` are all options, best first. ``loglik`` (nats) and
    ``loglik_norm`` (nats per byte or character) have the order of ``options``.
    """

    options: tuple[str, ...]
    loglik: Floats
    loglik_norm: Floats
    best: str
    best_norm: str
    ranking: tuple[str, ...]
    ranking_norm: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class OptionAccuracy(Result):
    """The share of questions whose right option is first: by log-likelihood, and per byte or character.

    ``acc`` and ``acc_norm`` are shares from 0 to 1, each with Wilson's confidence interval. ``n`` questions count;
    ``missing`` ones have no log-likelihoods, or no right option.
    """

    acc: float
    acc_interval: Interval
    acc_norm: float
    acc_norm_interval: Interval
    n: int
    missing: int


def rank_options(
    loglik: Mapping[str, float] | ArrayLike, options: Sequence[str] | None = None, *, per: Length = "byte"
) -> OptionRanking:
    """Return the options of a multiple-choice question in the order of their likelihood, best first.

    A longer text has a lower likelihood. So the options are also ranked by log-likelihood per byte or per character.

    Parameters
    ----------
    loglik
        The log-likelihood of each option in nats: a dict, such as ``loglik`` of a result of
        ``classify(…, method="exact")``; or numbers, shape (n,), with ``options``.
    options
        The texts of the options, without the space that separates them from the question; None for a dict.
    per
        The unit of length: ``"byte"`` (of UTF-8) or ``"char"``.

    Returns
    -------
    OptionRanking
        The best option by each measure, and all of them. Of equal options the first is better.

    Raises
    ------
    ValueError
        If there are no options, an option is empty or named twice, all are impossible, or the lists differ in length.

    References
    ----------
    ``acc`` and ``acc_norm`` of EleutherAI's Language Model Evaluation Harness. Its code divides by characters
    (``per="char"``); bytes are comparable between scripts.

    Examples
    --------
    >>> from deluge_nb.stats import rank_options
    >>> ranking = rank_options({"no": -3.0, "certainly": -4.0})
    >>> ranking.best, ranking.best_norm, ranking.loglik_norm.round(2).tolist()
    ('no', 'certainly', [-1.5, -0.44])
    """
    if per not in get_args(Length):
        raise invalid_argument("per", per, "'byte' or 'char'")
    if isinstance(loglik, Mapping):
        if options is not None:
            raise SettingError(
                "options must be left out where loglik is a dict: its keys are the options.",
                setting="options",
                value=options,
            )
        names, values = list(loglik), list(loglik.values())
    elif options is None or isinstance(options, str):
        raise invalid_argument("options", options, "the text of each option, because loglik is no dict")
    else:
        names, values = list(options), loglik
    scores = choice_scores(names, values)
    repeated = [name for position, name in enumerate(names) if name in names[:position]]
    if repeated:
        raise invalid_argument("options", repeated[0], "different texts; this one is repeated")
    total = np.asarray(values, np.float64)
    normalized = scores.per_byte if per == "byte" else scores.per_char
    ranking, ranking_norm = (
        tuple(names[index] for index in np.argsort(-numbers, kind="stable")) for numbers in (total, normalized)
    )
    return OptionRanking(tuple(names), total, normalized, ranking[0], ranking_norm[0], ranking, ranking_norm)


def option_accuracy(
    questions: Iterable[Any], truth: Iterable[str | None], *, per: Length = "byte", level: float = 0.95
) -> OptionAccuracy:
    """Return how often the right option is the likeliest: ``acc`` and ``acc_norm`` over many questions.

    Parameters
    ----------
    questions
        One dict per question from option to log-likelihood (nats); or the results of
        ``classify(…, method="exact")``. A question without them (None, a failed result) counts as missing.
    truth
        The right option of each question, as it is named there. None and NaN count as missing.
    per
        The unit of length: ``"byte"`` (of UTF-8) or ``"char"``.
    level
        The level of the confidence intervals, between 0 and 1.

    Returns
    -------
    OptionAccuracy
        Shares from 0 to 1, each with Wilson's interval.

    Raises
    ------
    ValueError
        If the lists differ in length, no question counts, or a right option is not among the options.

    References
    ----------
    ``acc`` and ``acc_norm`` of EleutherAI's Language Model Evaluation Harness; see :func:`rank_options`.

    Examples
    --------
    >>> from deluge_nb.stats import option_accuracy
    >>> questions = [{"no": -3.0, "certainly": -4.0}, {"Paris": -0.5, "Rome": -2.5}]
    >>> result = option_accuracy(questions, ["certainly", "Paris"])
    >>> result.acc, result.acc_norm, result.n
    (0.5, 1.0, 2)
    """
    between(level, "level", 0, 1, ends=False)
    rows, right = list(questions), list(truth)
    if len(rows) != len(right):
        raise SettingError(
            f"questions and truth must be of the same length, not {len(rows)} and {len(right)}.",
            setting="truth",
            value=len(right),
        )
    hits: list[tuple[bool, bool]] = []
    for position, (row, answer) in enumerate(zip(rows, right, strict=True)):
        loglik = getattr(row, "loglik", row)
        if loglik is None or is_missing(answer):
            continue
        if not isinstance(loglik, Mapping):
            raise invalid_argument(f"questions[{position}]", row, "a dict from option to log-likelihood, or a result")
        if answer not in loglik:
            raise invalid_argument(f"truth[{position}]", answer, f"one of the options: {', '.join(map(repr, loglik))}")
        ranking = rank_options(loglik, per=per)
        hits.append((ranking.best == answer, ranking.best_norm == answer))
    if not hits:
        raise invalid_argument("questions", rows, "at least one question with log-likelihoods and a right option")
    n = len(hits)
    acc, acc_norm = (sum(column) for column in zip(*hits, strict=True))
    intervals = wilson_interval(acc, n, level), wilson_interval(acc_norm, n, level)
    return OptionAccuracy(acc / n, intervals[0], acc_norm / n, intervals[1], n, len(rows) - n)
