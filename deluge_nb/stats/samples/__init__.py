"""Repeated samples: entropy estimates, sample sizes, and tests against predicted probabilities."""

from .entropy import CountEntropy, SemanticEntropy, entropy_from_counts, semantic_entropy
from .hypotheses import (
    BayesPosterior,
    ChiSquare,
    Divergences,
    bayes_posterior,
    chi_square_gof,
    divergence_lower_bounds,
    mc_required_samples,
)

__all__ = [
    "BayesPosterior",
    "ChiSquare",
    "CountEntropy",
    "Divergences",
    "SemanticEntropy",
    "bayes_posterior",
    "chi_square_gof",
    "divergence_lower_bounds",
    "entropy_from_counts",
    "mc_required_samples",
    "semantic_entropy",
]
