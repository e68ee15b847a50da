"""Probabilities of labels, from the alternatives of one token or of several in a row."""

from .distribution import LabelDistribution, LabelSet, Tally
from .one_token import BinaryProbability, ExpectedScore, binary_probability, expected_score, label_distribution
from .paths import LabelBounds, ProbabilityBounds, total_probability, trie_label_probability, walked

__all__ = [
    "BinaryProbability",
    "ExpectedScore",
    "LabelBounds",
    "LabelDistribution",
    "LabelSet",
    "ProbabilityBounds",
    "Tally",
    "binary_probability",
    "expected_score",
    "label_distribution",
    "total_probability",
    "trie_label_probability",
    "walked",
]
