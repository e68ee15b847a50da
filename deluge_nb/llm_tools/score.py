"""The documented home of ``score_llm``."""

from ..answers.score import score_llm

__all__ = ["score_llm"]
