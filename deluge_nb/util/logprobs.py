"""The documented home of ``extract_prob``."""

from ..logprobs.extract import extract_prob
from ..text.matching import is_match

__all__ = ["extract_prob", "is_match"]
