"""Answers: the response to one prompt, its token counts, and its form as plain JSON."""

from .api_response import APIResponse

__all__ = ["APIResponse"]
