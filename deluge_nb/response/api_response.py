"""The response to one prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..elsewhere import RESPONSE, NamesElsewhere
from ..errors import invalid_argument
from ..printable import printable
from ..text.counts import pluralize
from . import counts

if TYPE_CHECKING:
    from ..logprobs.json_fields import FieldProbs
    from ..logprobs.table import Logprobs
    from ..prompts import PromptLike
    from ..sampling import SamplingParams
    from ..tools import ToolCall


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class APIResponse(NamesElsewhere):
    """Answer to one prompt, or the error in place of it.

    Parameters
    ----------
    model
        Name of the model in the request.
    completion
        The generated text, or None.
    logprobs
        Log-probabilities of the generated tokens, or None if they were not requested or are missing; ``note`` gives
        the reason.
    finish_reason
        Reason for the end of the text: ``stop``, ``length``, ``tool_calls``, ``interrupted`` where you ended it, or the
        server's own word.
    usage
        Token counts as the server sent them.
    is_error, error_message
        True if the prompt failed, and the reason in one line.
    status_code, error
        HTTP status of a failed request, if there was a reply, and the exception.
    tool_calls
        Tool calls that the model requests.
    parsed
        The completion as an object of ``output_schema``, or None.
    note
        Remark about this answer, such as the reason for missing log-probabilities.
    served_model
        Name of the model in the server's reply.
    from_cache
        True if the answer comes from the cache and no request was sent.
    thinking
        Text of the model's reasoning, if the server sends it in a field, a part or between tags; it is no part of the
        completion.
    thinking_logprobs
        Log-probabilities of the tokens before the answer, with the tags around the reasoning; None if there are none.
    prompt
        The prompt as it was asked: a text, a list of messages, a :class:`Conversation` or a :class:`RawPrompt`.
    sampling_params
        Settings of the request, with the model's defaults.

    Examples
    --------
    >>> from deluge_nb import APIResponse, as_logprobs
    >>> table = as_logprobs([{"token": "Yes", "logprob": -0.1}])
    >>> response = APIResponse("gpt-4o-mini", completion="Yes", logprobs=table)
    >>> response
    APIResponse('gpt-4o-mini', 'Yes', 1 token with logprobs)
    >>> response.is_error, response.logprobs[0]["logprob"]
    (False, -0.1)
    """

    _elsewhere: ClassVar[Mapping[str, str]] = RESPONSE

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
    thinking: str | None = None
    thinking_logprobs: Logprobs | None = None
    prompt: PromptLike | None = None
    sampling_params: SamplingParams | None = None
    _others: tuple[APIResponse, ...] = ()
    _raw: Any = field(default=None)
    _dialect: str = field(default="openai")

    @property
    def choices(self) -> tuple[APIResponse, ...]:
        """All answers to the prompt: this response, and with ``SamplingParams(n=…)`` the further ones.

        Token counts and costs of the whole request are those of the first.

        Examples
        --------
        >>> from deluge_nb import APIResponse
        >>> response = APIResponse("gpt-4o-mini", completion="Yes")
        >>> [choice.completion for choice in response.choices]
        ['Yes']
        """
        return (self, *self._others)

    @property
    def input_tokens(self) -> int | None:
        """Tokens of the prompt, as counted by the server; None where it does not report them."""
        return counts.tokens_in(self.usage)

    @property
    def output_tokens(self) -> int | None:
        """Tokens of the answer, reasoning included, as counted by the server; None where it does not report them."""
        return counts.tokens_out(self.usage)

    @property
    def cost(self) -> float | None:
        """Cost in US dollars; None where the server does not report it."""
        return counts.dollars(self.usage)

    @property
    def raw_response(self) -> Any:
        """Body of the server's reply; for a failed prompt without a reply ``{"error": …}``.

        None for a response that :meth:`from_dict` made.
        """
        if self.is_error:
            return self._raw if self._raw is not None else {"error": self.error_message}
        body = json.loads(self._raw.decode("utf-8", "replace")) if isinstance(self._raw, bytes) else self._raw
        if self.logprobs is None or body is None:
            return body
        from ..dialects.base import load

        # One list where the server sent one; else the body has kept its lists.
        return load(self._dialect).with_entries(body, [*(self.thinking_logprobs or ()), *self.logprobs])

    @property
    def field_probs(self) -> FieldProbs:
        """Probability of each value of a JSON answer, with bounds: see :class:`deluge_nb.FieldProb`.

        Raises
        ------
        LogprobsMissingError
            When there are no log-probabilities, or they belong to another text.
        SettingError
            When the completion is not JSON.
        """
        from ..logprobs.json_fields import field_probs

        return field_probs(self.completion, self.logprobs)

    def to_dict(self) -> dict[str, Any]:
        """Return the response as plain JSON, for files: everything but :attr:`raw_response`.

        ``logprobs`` is ``{"content": [...], "vocab_size": …, "rounding": …}`` with the documented list of dicts.
        ``parsed`` becomes JSON, and :meth:`from_dict` returns it as such. The body of the reply is left out, because
        it repeats the rest. API keys are in no response.

        Returns
        -------
        dict
            Only dicts, lists, texts, finite numbers, booleans and None. Its ``version`` names the structure.

        Examples
        --------
        Write responses as JSON lines, and read them back:

        >>> import json
        >>> from deluge_nb import APIResponse
        >>> responses = [APIResponse("gpt-4o-mini", completion=text) for text in ("Yes", "No")]
        >>> lines = [json.dumps(response.to_dict()) for response in responses]
        >>> [APIResponse.from_dict(json.loads(line)).completion for line in lines]
        ['Yes', 'No']
        """
        from .plain import to_plain

        return {**to_plain(self), "choices": [other.to_dict() for other in self._others]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create a response from the result of :meth:`to_dict`.

        Parameters
        ----------
        data
            The plain JSON.

        Returns
        -------
        APIResponse
            Equal to the saved one, without ``raw_response``, and with ``parsed`` as plain JSON.

        Raises
        ------
        SettingError
            When the data is no saved response, or one of a newer version.

        Examples
        --------
        >>> from deluge_nb import APIResponse
        >>> saved = APIResponse("gpt-4o-mini", completion="Yes", prompt="Is it?").to_dict()
        >>> APIResponse.from_dict(saved).prompt
        'Is it?'
        """
        from .plain import from_plain

        fields, choices = from_plain(data), data.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise invalid_argument("choices", choices, "a list, as to_dict() returned it")
        return cls(**fields, _others=tuple(cls.from_dict(choice) for choice in choices))

    def __repr__(self) -> str:
        if self.is_error:
            return f"APIResponse({self.model!r}, error: {_excerpt(printable(self.error_message or ''))})"
        tokens = ""
        if self.logprobs is not None:
            tokens = f", {pluralize(len(self.logprobs), 'token')} with logprobs"
        calls = "".join(f", calls {printable(call.name)}" for call in self.tool_calls)
        thinking = ", with thinking" if self.thinking is not None or self.thinking_logprobs is not None else ""
        return f"APIResponse({self.model!r}, {_excerpt(self.completion)!r}{tokens}{calls}{thinking})"


def _excerpt(text: str | None) -> str | None:
    return text if text is None or len(text) <= 80 else f"{text[:79]}…"
