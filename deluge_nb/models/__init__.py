"""The registry: capabilities of models, and their servers."""

from .endpoints import COMPATIBLE, OPENAI
from .registry import (
    REGISTRY,
    Registry,
    find_models,
    register_endpoint,
    register_model,
    resolve,
    support_table,
    validate,
)
from .spec import Address, Endpoint, LogprobSupport, ModelSpec, Served, ServedModel, Target
from .support_table import SupportTable

__all__ = [
    "COMPATIBLE",
    "OPENAI",
    "REGISTRY",
    "Address",
    "Endpoint",
    "LogprobSupport",
    "ModelSpec",
    "Registry",
    "Served",
    "ServedModel",
    "SupportTable",
    "Target",
    "find_models",
    "register_endpoint",
    "register_model",
    "resolve",
    "support_table",
    "validate",
]
