"""Temperature and sampling filters: distributions after rescaling or truncation."""

from .filters import Filtered, min_p, top_k, top_p
from .scaling import (
    InferredTemperature,
    TemperatureTopK,
    binary_temperature,
    infer_temperature,
    temperature_full,
    temperature_topk,
)

__all__ = [
    "Filtered",
    "InferredTemperature",
    "TemperatureTopK",
    "binary_temperature",
    "infer_temperature",
    "min_p",
    "temperature_full",
    "temperature_topk",
    "top_k",
    "top_p",
]
