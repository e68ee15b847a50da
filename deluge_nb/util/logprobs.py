"""The documented home of ``extract_prob``."""

from ..probability import extract_prob
from ..text.matching import is_match

__all__ = ["extract_prob", "is_match"]
