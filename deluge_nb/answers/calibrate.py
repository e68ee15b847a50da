"""Calibrate the shares of a result by the results of inputs without content."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from ..errors import SettingError
from ..stats.sequences import contextual_calibration, pmi_dc
from .results import Classification

Calibration = Literal["contextual", "pmi"]


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
    try:
        if calibration == "contextual":
            shares = _contextual_shares(result, references, names)
        else:
            shares = _pmi_shares(result, references[0], names)
    except SettingError as error:
        return dataclasses.replace(result, error_message=f"Calibration failed: {error}")
    label = max(names, key=shares.__getitem__)
    decided = result.decided and label == result.label
    return dataclasses.replace(result, label=label, probability=shares[label], probabilities=shares, decided=decided)


def _contextual_shares(result: Classification, references: list[Classification], names: list[str]) -> dict[str, float]:
    rows = [_settled_probabilities(reference, names) for reference in references]
    scores = contextual_calibration(_settled_probabilities(result, names), rows).normalized
    return dict(zip(names, scores.tolist(), strict=True))


def _settled_probabilities(result: Classification, names: list[str]) -> list[float]:
    """Return the settled probability of each answer, not normalised, so larger probabilities weigh more in a mean."""
    if result.loglik is not None:
        return [result.uncalibrated[name] for name in names]
    return [result.lower[name] for name in names]


def _pmi_shares(result: Classification, reference: Classification, names: list[str]) -> dict[str, float]:
    def logs(source: Classification) -> list[float]:
        if source.loglik is not None:
            return [source.loglik[name] for name in names]
        return [math.log(source.lower[name]) if source.lower[name] > 0 else -math.inf for name in names]

    scores = pmi_dc(logs(result), logs(reference)).scores
    weights = np.exp(scores - scores.max())
    return dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
