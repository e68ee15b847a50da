"""Repeated samples: entropy estimates, sample sizes, and tests against predicted probabilities."""

from .divergence import DivergenceBounds, Divergences, divergence_bounds, divergence_lower_bounds
from .entropy import (
    CountEntropy,
    SemanticEntropy,
    UncertaintySplit,
    entropy_from_counts,
    semantic_entropy,
    uncertainty_split,
)
from .hypotheses import (
    BayesPosterior,
    ChiSquare,
    bayes_posterior,
    chi_square_gof,
    mc_required_samples,
)
from .votes import MajorityVote, majority_vote, self_consistency

__all__ = [
    "BayesPosterior",
    "ChiSquare",
    "CountEntropy",
    "DivergenceBounds",
    "Divergences",
    "MajorityVote",
    "SemanticEntropy",
    "UncertaintySplit",
    "bayes_posterior",
    "chi_square_gof",
    "divergence_bounds",
    "divergence_lower_bounds",
    "entropy_from_counts",
    "majority_vote",
    "mc_required_samples",
    "self_consistency",
    "semantic_entropy",
    "uncertainty_split",
]
