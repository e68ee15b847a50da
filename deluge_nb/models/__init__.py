"""What models can do and where they are served: the registry."""

from .endpoints import COMPATIBLE, OPENAI
from .registry import (
    SupportTable,
    find_models,
    register_endpoint,
    register_model,
    resolve,
    support_table,
    validate,
)
from .spec import Address, Endpoint, LogprobSupport, ModelSpec, Served, ServedModel, Target

__all__ = [
    "COMPATIBLE",
    "OPENAI",
    "Address",
    "Endpoint",
    "LogprobSupport",
    "ModelSpec",
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
