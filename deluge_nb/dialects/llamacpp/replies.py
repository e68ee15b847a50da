"""Replies of llama.cpp's server to a request for a completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

NAME = "llamacpp"

Octets = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class Alternative(msgspec.Struct, gc=False):
    """Alternative of an entry."""

    id: int
    logprob: float | None = None
    token: str = ""
    bytes: Octets = []


class Entry(msgspec.Struct, gc=False):
    """The server's information on a drawn token."""

    id: int
    logprob: float | None = None
    token: str = ""
    bytes: Octets = []
    top_logprobs: Sequence[Alternative] = []


class Reply(msgspec.Struct):
    """Body of a completion."""

    content: str
    tokens: list[int] = []
    completion_probabilities: list[Entry] = []
    stop_type: str = ""
    tokens_evaluated: int = 0
    tokens_predicted: int = 0
    model: str | None = None
    error: Any = None


class Row(msgspec.Struct):
    """Row of the table."""

    id: int
    octets: bytes
    logprob: float | None
    top: Sequence[Alternative]
