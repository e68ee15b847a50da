"""Measures of whole completions: likelihood, confidence, and the choice between continuations."""

from .choices import Calibrated, ChoiceScores, PmiScores, choice_scores, contextual_calibration, pmi_dc
from .confidence import DeepConf, deepconf, group_confidence
from .likelihood import SequenceBounds, SequenceStats, sequence_bounds, sequence_stats

__all__ = [
    "Calibrated",
    "ChoiceScores",
    "DeepConf",
    "PmiScores",
    "SequenceBounds",
    "SequenceStats",
    "choice_scores",
    "contextual_calibration",
    "deepconf",
    "group_confidence",
    "pmi_dc",
    "sequence_bounds",
    "sequence_stats",
]
