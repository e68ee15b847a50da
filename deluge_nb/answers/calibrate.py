"""Calibrate the shares of a result by the results of inputs without content."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from ..errors import SettingError
from ..logprobs.columns import Floats
from ..logprobs.values import SINGLE_PRECISION
from ..stats.sequences import contextual_calibration, pmi_dc
from .first_token import alternatives_at
from .results import Classification

Calibration = Literal["contextual", "pmi"]

# Relative; shares that differ by less differ by the rounding of the division only.
_TIE = 1e-12
# Probability; a number of single precision cannot distinguish less from 0.
_LEAST = SINGLE_PRECISION


def calibrate(
    result: Classification, references: list[Classification], names: list[str], calibration: Calibration
) -> Classification:
    """Return a result with calibrated shares.

    Parameters
    ----------
    result
        The result of one input.
    references
        The results of the inputs without content, with the same answers; PMI uses the first.
    names
        The answers.
    calibration
        ``"contextual"`` (Zhao et al., 2021) or ``"pmi"`` (Holtzman et al., 2021).

    Returns
    -------
    Classification
        With ``error_message`` where no calibration is possible.
    """
    if result.is_error or not result.uncalibrated:
        return result
    failed = next((reference for reference in references if reference.is_error or not reference.uncalibrated), None)
    if failed is not None:
        reason = failed.error_message or "for an input of content_free, the model gave none of the answers."
        return dataclasses.replace(result, error_message=f"Calibration failed: {reason}")
    logs = _log_masses(result, names)
    rows = np.array([_reference_logs(reference, names) for reference in references])
    try:
        if calibration == "contextual":
            weights = np.exp(rows - rows.max()).mean(axis=0)
            values = contextual_calibration(np.exp(logs - logs.max()), weights).normalized
            divisors = np.log(weights)
        else:
            scores = pmi_dc(logs, rows[0]).scores
            values = np.exp(scores - scores.max())
            values /= values.sum()
            divisors = rows[0]
    except SettingError as error:
        return dataclasses.replace(result, error_message=f"Calibration failed: {error}")
    shares = dict(zip(names, values.tolist(), strict=True))
    label = _winner(shares, result)
    least, most = _share_bounds(result, names, divisors)
    return dataclasses.replace(
        result,
        label=label,
        probability=None if label is None else shares[label],
        probabilities=shares,
        share_lower={name: min(low, shares[name]) for name, low in zip(names, least.tolist(), strict=True)},
        share_upper={name: max(high, shares[name]) for name, high in zip(names, most.tolist(), strict=True)},
        decided=result.decided and label == result.label,
    )


def _winner(shares: dict[str, float], result: Classification) -> str | None:
    """Return the answer with the largest share; among shares that differ by rounding only, the uncalibrated winner."""
    if result.label is None:
        return None
    best = max(shares.values())
    return result.label if shares[result.label] >= best * (1 - _TIE) else max(shares, key=shares.__getitem__)


def _share_bounds(result: Classification, names: list[str], divisors: Floats) -> tuple[Floats, Floats]:
    """Return the least and the greatest calibrated share of each answer, for exactly these divisors."""
    scale = np.exp(divisors.min() - divisors)
    least, most = (np.array([bounds[name] for name in names]) * scale for bounds in (result.lower, result.upper))
    with np.errstate(divide="ignore", invalid="ignore"):
        low = least / (least + most.sum() - most)
        high = most / (most + least.sum() - least)
    return np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=1.0)


def _log_masses(result: Classification, names: list[str]) -> Floats:
    """Return the logarithm of the probability of each answer, settled or attributed."""
    if result.loglik is not None:
        return np.array([result.loglik[name] for name in names])
    total = math.log(result.matched_mass) if result.matched_mass > 0 else -math.inf
    shares = [result.uncalibrated.get(name, 0.0) for name in names]
    return np.array([math.log(share) + total if share > 0 else -math.inf for share in shares])


def _reference_logs(reference: Classification, names: list[str]) -> Floats:
    """Return the same for an input without content, where an answer that is not listed is as likely as it can be."""
    logs = _log_masses(reference, names)
    missing = np.isneginf(logs)
    if missing.any():
        logs[missing] = math.log(_most_hidden(reference))
    return logs


def _most_hidden(reference: Classification) -> float:
    """Return the most that a token outside the first list can have: the tail, and no more than the least listed."""
    table = next((response.logprobs for response in reference.responses if response.logprobs), None)
    if table is None:
        return _LEAST
    listed = np.exp([alternative.logprob for alternative in alternatives_at(table, 0)])
    if not len(listed):
        return _LEAST
    return max(min(1.0 - float(listed.sum()), float(listed.min())), _LEAST)
