"""Measures of whole completions: likelihood, confidence, and the choice between continuations."""

from .choices import Calibrated, ChoiceScores, PmiScores, choice_scores, contextual_calibration, pmi_dc
from .confidence import DeepConf, conf_of, deepconf
from .likelihood import SequenceBounds, SequenceStats, sequence_bounds, sequence_stats

__all__ = [
    "Calibrated",
    "ChoiceScores",
    "DeepConf",
    "PmiScores",
    "SequenceBounds",
    "SequenceStats",
    "choice_scores",
    "conf_of",
    "contextual_calibration",
    "deepconf",
    "pmi_dc",
    "sequence_bounds",
    "sequence_stats",
]
