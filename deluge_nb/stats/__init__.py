"""The mathematics of log-probabilities: what they say, what they leave open, and how good they were.

A model's server tells the likeliest few of some hundred thousand tokens. Functions that need more than that give an
interval, not a guess. All of them take plain lists or arrays, log-probabilities in nats, and return small frozen
records; what cannot be meant raises a subclass of ValueError with one sentence. Those that end in ``_batch`` do the
same for every token of one or many responses at once.

``docs/probability.md`` says which number is for what.
"""

from .batch.labels import binary_probability_batch, label_distribution_batch
from .batch.sequences import deepconf_batch, sequence_stats_batch
from .batch.temperature import temperature_topk_batch
from .batch.tokens import entropy_bounds_batch, margin_batch, surprisal_batch
from .conformal import conformal_aps_quantile, conformal_lac_quantile, conformal_lac_sets
from .entropy import (
    entropy_bounds,
    log1mexp,
    logsumexp,
    margin,
    observed_set,
    rank_bounds,
    softmax,
    surprisal,
    varentropy,
)
from .fits import fit_isotonic, fit_platt, fit_temperature_binary, fit_temperature_multiclass
from .labels import (
    binary_probability,
    expected_score,
    label_distribution,
    total_probability,
    trie_label_probability,
)
from .offsets import decode_tokens
from .samples import (
    bayes_posterior,
    chi_square_gof,
    divergence_lower_bounds,
    entropy_from_counts,
    mc_required_samples,
    semantic_entropy,
)
from .scoring import (
    adaptive_ece,
    auroc,
    brier,
    brier_decomposition,
    brier_multiclass,
    clopper_pearson,
    ece,
    log_loss,
    wilson_interval,
)
from .selective import decision_threshold, risk_coverage, threshold_for_precision
from .sequences import (
    choice_scores,
    contextual_calibration,
    deepconf,
    pmi_dc,
    sequence_bounds,
    sequence_stats,
)
from .temperature import (
    binary_temperature,
    infer_temperature,
    min_p,
    temperature_full,
    temperature_topk,
    top_k,
    top_p,
)

__all__ = [
    "adaptive_ece",
    "auroc",
    "bayes_posterior",
    "binary_probability",
    "binary_probability_batch",
    "binary_temperature",
    "brier",
    "brier_decomposition",
    "brier_multiclass",
    "chi_square_gof",
    "choice_scores",
    "clopper_pearson",
    "conformal_aps_quantile",
    "conformal_lac_quantile",
    "conformal_lac_sets",
    "contextual_calibration",
    "decision_threshold",
    "decode_tokens",
    "deepconf",
    "deepconf_batch",
    "divergence_lower_bounds",
    "ece",
    "entropy_bounds",
    "entropy_bounds_batch",
    "entropy_from_counts",
    "expected_score",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature_binary",
    "fit_temperature_multiclass",
    "infer_temperature",
    "label_distribution",
    "label_distribution_batch",
    "log1mexp",
    "log_loss",
    "logsumexp",
    "margin",
    "margin_batch",
    "mc_required_samples",
    "min_p",
    "observed_set",
    "pmi_dc",
    "rank_bounds",
    "risk_coverage",
    "semantic_entropy",
    "sequence_bounds",
    "sequence_stats",
    "sequence_stats_batch",
    "softmax",
    "surprisal",
    "surprisal_batch",
    "temperature_full",
    "temperature_topk",
    "temperature_topk_batch",
    "threshold_for_precision",
    "top_k",
    "top_p",
    "total_probability",
    "trie_label_probability",
    "varentropy",
    "wilson_interval",
]
