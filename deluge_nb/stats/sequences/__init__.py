"""Measures of whole completions: likelihood, confidence, and the choice between continuations."""

from .choices import Calibrated, ChoiceScores, PmiScores, choice_scores, contextual_calibration, pmi_dc
from .confidence import DeepConf, deepconf, group_confidence
from .likelihood import SequenceBounds, SequenceStats, min_k, sequence_bounds, sequence_stats
from .options import OptionAccuracy, OptionRanking, option_accuracy, rank_options
from .words import WordSurprisal, word_surprisal

__all__ = [
    "Calibrated",
    "ChoiceScores",
    "DeepConf",
    "OptionAccuracy",
    "OptionRanking",
    "PmiScores",
    "SequenceBounds",
    "SequenceStats",
    "WordSurprisal",
    "choice_scores",
    "contextual_calibration",
    "deepconf",
    "group_confidence",
    "min_k",
    "option_accuracy",
    "pmi_dc",
    "rank_options",
    "sequence_bounds",
    "sequence_stats",
    "word_surprisal",
]
