"""Quality of probabilities against known outcomes: calibration error, scores of forecasts, intervals of a share."""

from .calibration_error import (
    CalibrationBin,
    CalibrationError,
    MulticlassCalibration,
    adaptive_ece,
    ece,
    ece_multiclass,
)
from .forecasts import (
    BrierDecomposition,
    auroc,
    average_precision,
    brier,
    brier_decomposition,
    brier_multiclass,
    log_loss,
)
from .intervals import Interval, clopper_pearson, normal_quantile, wilson_interval
from .null_draws import CalibrationTest, calibration_test

__all__ = [
    "BrierDecomposition",
    "CalibrationBin",
    "CalibrationError",
    "CalibrationTest",
    "Interval",
    "MulticlassCalibration",
    "adaptive_ece",
    "auroc",
    "average_precision",
    "brier",
    "brier_decomposition",
    "brier_multiclass",
    "calibration_test",
    "clopper_pearson",
    "ece",
    "ece_multiclass",
    "log_loss",
    "normal_quantile",
    "wilson_interval",
]
