"""What comes back for one prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .logprobs.json_fields import FieldProbs
    from .logprobs.table import Logprobs
    from .tools import ToolCall


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class APIResponse:
    """The answer to one prompt, or why there is none.

    Parameters
    ----------
    model
        Which model was asked; :attr:`served_model` is what the server calls it.
    completion
        The text, or None.
    logprobs
        A table of log-probabilities, or None where none were asked for or none came; ``note`` says why.
    finish_reason
        Why the text ends: ``stop``, ``length``, ``tool_calls``, or a word of the server's own.
    usage
        Token counts as the server sent them.
    is_error, error_message, status_code, error
        Whether the prompt failed; the reason in one line; the HTTP status where there was one; the exception.
    tool_calls
        What the model wishes to have called.
    parsed
        The completion as an object of ``output_schema``, or None.
    from_cache
        Whether this is an answer that was kept, and nothing was sent.
    note
        What is good to know about this answer, such as why log-probabilities are missing.
    """

    model: str
    completion: str | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    is_error: bool = False
    error_message: str | None = None
    status_code: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = None
    note: str | None = None
    served_model: str | None = None
    from_cache: bool = False
    error: Exception | None = None
    _raw: Any = field(default=None)
    _dialect: str = field(default="openai")

    @property
    def raw_response(self) -> Any:
        """The body of the server's reply; of a failed prompt what the server said, else ``{"error": …}``."""
        if self.is_error:
            return self._raw if self._raw is not None else {"error": self.error_message}
        body = json.loads(self._raw.decode("utf-8", "replace")) if isinstance(self._raw, bytes) else self._raw
        if self.logprobs is None:
            return body
        from .dialects.base import load

        return load(self._dialect).with_entries(body, list(self.logprobs))

    @property
    def field_probs(self) -> FieldProbs:
        """How probable each value of an answer in JSON was, with bounds: see :class:`deluge_nb.FieldProb`.

        Raises
        ------
        LogprobsMissingError
            When there are no log-probabilities, or they are not those of this text.
        SettingError
            When the completion is no JSON.
        """
        from .logprobs.json_fields import field_probs

        return field_probs(self.completion, self.logprobs)

    def __repr__(self) -> str:
        if self.is_error:
            return f"APIResponse({self.model!r}, error: {_short(self.error_message or '')})"
        told = f", {len(self.logprobs)} tokens with logprobs" if self.logprobs is not None else ""
        calls = "".join(f", calls {call.name}" for call in self.tool_calls)
        return f"APIResponse({self.model!r}, {_short(self.completion)!r}{told}{calls})"


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= 80 else f"{text[:79]}…"
