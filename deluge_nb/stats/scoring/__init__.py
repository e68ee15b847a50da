"""Quality of probabilities against known outcomes: calibration error, scores of forecasts, intervals of a share."""

from .calibration_error import CalibrationBin, CalibrationError, adaptive_ece, ece
from .forecasts import BrierDecomposition, auroc, brier, brier_decomposition, brier_multiclass, log_loss
from .intervals import Interval, clopper_pearson, normal_quantile, wilson_interval

__all__ = [
    "BrierDecomposition",
    "CalibrationBin",
    "CalibrationError",
    "Interval",
    "adaptive_ece",
    "auroc",
    "brier",
    "brier_decomposition",
    "brier_multiclass",
    "clopper_pearson",
    "ece",
    "log_loss",
    "normal_quantile",
    "wilson_interval",
]
