"""The mathematics of log-probabilities: entropy, answers, likelihood, temperature, calibration and their uncertainty.

A model's server returns the likeliest few of some hundred thousand tokens. A function that would need more than that
returns bounds, not a guess. All functions take plain lists or arrays, with log-probabilities in nats, and return small
frozen records. Invalid input raises a subclass of ValueError with one sentence. Functions that end in ``_batch`` do the
same for every token of one or many responses at once.

``docs/probability.md`` explains which number answers which question.
"""

from .batch.binary import binary_probability_batch
from .batch.labels import label_distribution_batch
from .batch.sequences import deepconf_batch, sequence_stats_batch
from .batch.temperature import temperature_topk_batch
from .batch.tokens import entropy_bounds_batch, margin_batch, surprisal_batch
from .conformal import conformal_aps_quantile, conformal_aps_sets, conformal_lac_quantile, conformal_lac_sets
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
    divergence_bounds,
    divergence_lower_bounds,
    entropy_from_counts,
    majority_vote,
    mc_required_samples,
    self_consistency,
    semantic_entropy,
    uncertainty_split,
)
from .scoring import (
    adaptive_ece,
    auroc,
    average_precision,
    brier,
    brier_decomposition,
    brier_multiclass,
    calibration_test,
    clopper_pearson,
    ece,
    ece_multiclass,
    log_loss,
    wilson_interval,
)
from .selective import decision_threshold, prr, risk_coverage, threshold_for_precision
from .sequences import (
    choice_scores,
    contextual_calibration,
    deepconf,
    min_k,
    option_accuracy,
    pmi_dc,
    rank_options,
    sequence_bounds,
    sequence_stats,
    word_surprisal,
)
from .temperature import (
    binary_temperature,
    infer_temperature,
    min_p,
    sampling_bounds,
    temperature_full,
    temperature_topk,
    top_k,
    top_p,
)

__all__ = [
    "adaptive_ece",
    "auroc",
    "average_precision",
    "bayes_posterior",
    "binary_probability",
    "binary_probability_batch",
    "binary_temperature",
    "brier",
    "brier_decomposition",
    "brier_multiclass",
    "calibration_test",
    "chi_square_gof",
    "choice_scores",
    "clopper_pearson",
    "conformal_aps_quantile",
    "conformal_aps_sets",
    "conformal_lac_quantile",
    "conformal_lac_sets",
    "contextual_calibration",
    "decision_threshold",
    "decode_tokens",
    "deepconf",
    "deepconf_batch",
    "divergence_bounds",
    "divergence_lower_bounds",
    "ece",
    "ece_multiclass",
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
    "majority_vote",
    "margin",
    "margin_batch",
    "mc_required_samples",
    "min_k",
    "min_p",
    "observed_set",
    "option_accuracy",
    "pmi_dc",
    "prr",
    "rank_bounds",
    "rank_options",
    "risk_coverage",
    "sampling_bounds",
    "self_consistency",
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
    "uncertainty_split",
    "varentropy",
    "wilson_interval",
    "word_surprisal",
]
