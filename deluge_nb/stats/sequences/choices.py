"""Choice between whole continuations: normalised likelihood, mutual information and contextual calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import invalid_argument
from ...logprobs.columns import Floats
from ...logprobs.values import log_sum
from ..core.records import Result
from ..core.validation import check_paired, matrix, read_logprobs, vector


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceScores(Result):
    """Log-likelihoods of choices per character and per byte (nats), and the best choice by each measure.

    ``softmax`` are the likelihoods divided by their sum: P(choice | one of the choices). ``per_token`` and
    ``argmax_per_token`` are None without numbers of tokens.
    """

    per_char: Floats
    per_byte: Floats
    argmax: int
    argmax_per_char: int
    argmax_per_byte: int
    softmax: Floats
    per_token: Floats | None
    argmax_per_token: int | None


@dataclass(frozen=True, slots=True, eq=False)
class PmiScores(Result):
    """Pointwise mutual information of each choice with its context (nats), and the best choice."""

    scores: Floats
    argmax: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated(Result):
    """Probabilities divided by the preferences of the prompt: raw, divided by their sum, and the best choice."""

    scores: Floats
    normalized: Floats
    argmax: int


def choice_scores(choices: Sequence[str], loglik: ArrayLike, n_tokens: ArrayLike | None = None) -> ChoiceScores:
    """Return scores of continuations: log-likelihood in total and per character, byte or token.

    Parameters
    ----------
    choices
        The texts, exactly as they were scored (a leading space counts).
    loglik
        The log-likelihood of each choice in nats, shape (n,).
    n_tokens
        The number of tokens of each choice, shape (n,).

    Returns
    -------
    ChoiceScores
        Arrays of shape (n,), and the index of the best choice by each measure.

    Raises
    ------
    ValueError
        If there are no choices, a choice is empty, or the lists differ in length.

    References
    ----------
    The conventions ``acc``, ``acc_norm`` (characters) and ``acc_bytes`` of the Language Model Evaluation Harness.

    Examples
    --------
    >>> from deluge_nb.stats import choice_scores
    >>> scores = choice_scores([" no", " certainly"], [-3.0, -4.0])
    >>> scores.argmax, scores.argmax_per_char, scores.per_char.tolist()
    (0, 1, [-1.0, -0.4])
    """
    if isinstance(choices, str):
        raise invalid_argument("choices", choices, "a list of texts")
    values = read_logprobs(loglik, "loglik")
    check_paired(np.zeros(len(choices)), values, ("choices", "loglik"))
    for position, text in enumerate(choices):
        if not isinstance(text, str) or not text:
            raise invalid_argument(f"choices[{position}]", text, "a text that is not empty")
    per_char = values / [len(text) for text in choices]
    per_byte = values / [len(text.encode("utf-8", "surrogatepass")) for text in choices]
    per_token = None
    if n_tokens is not None:
        lengths = vector(n_tokens, "n_tokens")
        check_paired(values, lengths, ("loglik", "n_tokens"))
        if (lengths < 1).any():
            raise invalid_argument("n_tokens", n_tokens, "the number of tokens of each choice, at least 1")
        per_token = values / lengths
    total = log_sum(values)
    if total == -math.inf:
        raise invalid_argument("loglik", loglik, "a list with at least one likelihood above 0")
    return ChoiceScores(
        per_char + 0.0,
        per_byte + 0.0,
        int(np.argmax(values)),
        int(np.argmax(per_char)),
        int(np.argmax(per_byte)),
        np.exp(values - total),
        None if per_token is None else per_token + 0.0,
        None if per_token is None else int(np.argmax(per_token)),
    )


def pmi_dc(cond_logprobs: ArrayLike, domain_logprobs: ArrayLike) -> PmiScores:
    """Return the domain-conditional pointwise mutual information: ln P(y | x) - ln P(y | domain).

    It measures how much the question raises the probability of an answer.

    Parameters
    ----------
    cond_logprobs
        The log-likelihood of each answer after the question in nats, shape (n,).
    domain_logprobs
        The log-likelihood of each answer after a text that names only the kind of answer, shape (n,).

    Returns
    -------
    PmiScores
        Scores in nats, shape (n,), and the index of the best answer.

    Raises
    ------
    ValueError
        If the lists differ in length or are empty, or an answer is impossible in the domain.

    References
    ----------
    A. Holtzman et al., "Surface Form Competition", 2021, section 3.

    Examples
    --------
    >>> from deluge_nb.stats import pmi_dc
    >>> result = pmi_dc([-1.0, -1.5], domain_logprobs=[-0.5, -3.0])
    >>> result.scores.tolist(), result.argmax
    ([-0.5, 1.5], 1)
    """
    conditional = read_logprobs(cond_logprobs, "cond_logprobs")
    domain = read_logprobs(domain_logprobs, "domain_logprobs")
    check_paired(conditional, domain, ("cond_logprobs", "domain_logprobs"))
    impossible = np.flatnonzero(np.isneginf(domain))
    if len(impossible):
        name = f"domain_logprobs[{impossible[0]}]"
        raise invalid_argument(name, -math.inf, "above -inf: an answer that is impossible has no ratio")
    scores = conditional - domain
    return PmiScores(scores, int(np.argmax(scores)))


def contextual_calibration(probs: ArrayLike, content_free: ArrayLike) -> Calibrated:
    """Return the probabilities of answers divided by those that the prompt gives them without any content.

    Parameters
    ----------
    probs
        The probability of each answer, shape (n,).
    content_free
        The probability of each answer to an input without content ("N/A"), shape (n,). Or for several such inputs,
        shape (m, n): they are averaged before they are divided by their sum.

    Returns
    -------
    Calibrated
        ``scores`` are diag(p_cf)^-1 p, ``normalized`` are the scores divided by their sum.

    Raises
    ------
    ValueError
        If the lengths differ, a number is negative, or the prompt gives an answer no probability at all.

    References
    ----------
    T. Zhao et al., "Calibrate Before Use", 2021, section 5.

    Examples
    --------
    >>> from deluge_nb.stats import contextual_calibration
    >>> contextual_calibration([0.7, 0.3], content_free=[0.8, 0.2]).normalized.round(3).tolist()
    [0.368, 0.632]
    """
    p = vector(probs, "probs")
    free = np.asarray(content_free, np.float64)
    free = vector(free, "content_free") if free.ndim == 1 else matrix(free, "content_free").mean(axis=0)
    check_paired(p, free, ("probs", "content_free"))
    for name, values in (("probs", p), ("content_free", free)):
        wrong = np.flatnonzero((values < 0) | np.isinf(values))
        if len(wrong):
            raise invalid_argument(f"{name}[{wrong[0]}]", float(values[wrong[0]]), "a probability")
    if (free == 0).any():
        raise invalid_argument(
            "content_free", content_free, "above 0 for every answer, because probs are divided by it"
        )
    scores = p / (free / math.fsum(free.tolist()))
    total = math.fsum(scores.tolist())
    if total == 0:
        raise invalid_argument("probs", probs, "a list with at least one probability above 0")
    return Calibrated(scores, scores / total, int(np.argmax(scores)))
