"""The tokens of a streamed answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..logprobs.entries import TopLogprob
    from ..logprobs.table import Logprobs


@dataclass(frozen=True, slots=True)
class StreamedToken:
    """One token of a streamed answer.

    Parameters
    ----------
    text
        Text that the token adds to the completion. Empty if the token ends inside a character; the next token then has
        the whole character.
    token
        The token as the server spells it; None for text without a token.
    logprob
        In nats; None where the server did not report it.
    top_logprobs
        The alternatives, as in ``response.logprobs[i]["top_logprobs"]``.
    thinking
        True for a token of the model's reasoning. Its text is part of ``response.thinking`` and not of the completion.

    Examples
    --------
    >>> import math
    >>> from deluge_nb import StreamedToken
    >>> StreamedToken(" Paris", " Paris", math.log(0.5)).probability
    0.5
    """

    text: str
    token: str | None = None
    logprob: float | None = None
    top_logprobs: list[TopLogprob] = field(default_factory=list, repr=False)
    thinking: bool = False

    @property
    def probability(self) -> float | None:
        """Probability between 0 and 1; None where the server did not report it."""
        return None if self.logprob is None else math.exp(min(self.logprob, 0.0))


class TableToken(StreamedToken):  # pyrefly: ignore[bad-class-definition]
    """A token whose alternatives are made when they are asked for; of a whole vocabulary that takes some time."""

    __slots__ = ("_position", "_table")
    __qualname__ = "StreamedToken"
    _table: Logprobs
    _position: int

    def __init__(self, text: str, token: str, logprob: float, place: tuple[Logprobs, int], thinking: bool) -> None:
        number = None if math.isnan(logprob) else logprob
        fields = {"text": text, "token": token, "logprob": number, "thinking": thinking}
        for name, value in {**fields, "_table": place[0], "_position": place[1]}.items():
            object.__setattr__(self, name, value)

    @property
    def top_logprobs(self) -> list[TopLogprob]:  # pyrefly: ignore[bad-override]
        """The alternatives, as new dicts."""
        return self._table.top(self._position)

    def __eq__(self, other: object) -> bool:
        return self.__reduce__()[1] == _values(other) if isinstance(other, StreamedToken) else NotImplemented

    __hash__ = StreamedToken.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return StreamedToken, _values(self)


def _values(token: StreamedToken) -> tuple[Any, ...]:
    return token.text, token.token, token.logprob, token.top_logprobs, token.thinking
