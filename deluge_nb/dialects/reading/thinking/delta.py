"""The addition of one event of a stream to an answer or to its reasoning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ....logprobs.table import Logprobs


@dataclass(frozen=True, slots=True)
class Delta:
    """Addition of one event of a stream to the answer.

    ``logprobs`` has the rows of its tokens, or is None if the server sent none.
    """

    text: str
    logprobs: Logprobs | None = None
    thinking: bool = False
    """True for a part of the model's reasoning, which is no part of the answer."""
