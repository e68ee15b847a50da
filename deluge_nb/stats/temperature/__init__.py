"""Temperature and sampling filters: distributions after rescaling or truncation."""

from .cuts import SAMPLER_ORDERS, SamplerOrder, SamplingBounds, sampling_bounds
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
    "SAMPLER_ORDERS",
    "Filtered",
    "InferredTemperature",
    "SamplerOrder",
    "SamplingBounds",
    "TemperatureTopK",
    "binary_temperature",
    "infer_temperature",
    "min_p",
    "sampling_bounds",
    "temperature_full",
    "temperature_topk",
    "top_k",
    "top_p",
]
