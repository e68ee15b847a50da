"""Entropy, surprisal, margin and rank: measures of one position's list of alternatives."""

from .bounds import EntropyBounds, Varentropy, entropy_bounds, varentropy
from .logarithms import log1mexp, logsumexp, softmax, surprisal
from .observed import ObservedSet, observe, observed_set
from .ranks import Margin, RankBounds, margin, rank_bounds

__all__ = [
    "EntropyBounds",
    "Margin",
    "ObservedSet",
    "RankBounds",
    "Varentropy",
    "entropy_bounds",
    "log1mexp",
    "logsumexp",
    "margin",
    "observe",
    "observed_set",
    "rank_bounds",
    "softmax",
    "surprisal",
    "varentropy",
]
