"""Probabilities of answers, from the alternatives of one token or of several in a row."""

from .distribution import LabelDistribution, LabelMass, LabelSet
from .one_token import BinaryProbability, ExpectedScore, binary_probability, expected_score, label_distribution
from .paths import LabelBounds, ProbabilityBounds, masses_of, total_probability, trie_label_probability, walk_trie

__all__ = [
    "BinaryProbability",
    "ExpectedScore",
    "LabelBounds",
    "LabelDistribution",
    "LabelMass",
    "LabelSet",
    "ProbabilityBounds",
    "binary_probability",
    "expected_score",
    "label_distribution",
    "masses_of",
    "total_probability",
    "trie_label_probability",
    "walk_trie",
]
