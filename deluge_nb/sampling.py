"""Settings of a request: validated and immutable."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    ValidationError,
    model_validator,
)

from .errors import SettingError, invalid_argument


def _as_python_number(value: Any) -> Any:
    """Convert a numpy scalar to a Python number, so that values of a numpy range can be used as settings."""
    item = getattr(value, "item", None)
    return item() if callable(item) and not isinstance(value, bool | int | float) else value


def _as_stop_strings(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


NAMES_ELSEWHERE = {
    **dict.fromkeys(("response_format", "json_mode", "json_schema"), "pass output_schema= to the call."),
    **dict.fromkeys(("stop_sequences", "stop_strings"), "write stop=."),
    **dict.fromkeys(("reasoning", "effort"), "write reasoning_effort=."),
    "stream": "call client.stream(prompt).",
    "tools": "pass tools= to the call.",
    **dict.fromkeys(("timeout", "model"), "give it to the client: LLMClient('gpt-4o', timeout=…)."),
    "echo": "call deluge_nb.read(text) for the log-probabilities of a given text.",
    **dict.fromkeys(("num_return_sequences", "num_completions"), "write n=."),
    **dict.fromkeys(("max_completion_tokens", "max_output_tokens", "max_length"), "write max_new_tokens=."),
    **{
        name: f"write extra_body={{{name!r}: …}}."
        for name in (
            "top_k",
            "min_p",
            "best_of",
            "user",
            "metadata",
            "service_tier",
            "repetition_penalty",
            "store",
            "verbosity",
            "tool_choice",
            "parallel_tool_calls",
            "thinking_budget",
        )
    },
}
"""Settings of requests by names that other libraries use, and what to write here."""


def hint(name: str, known: Iterable[str], owner: str, elsewhere: Mapping[str, str] = NAMES_ELSEWHERE) -> str:
    """Return the end of the error for an unknown setting: what to write, the nearest name, or where they are listed."""
    if name in elsewhere:
        return elsewhere[name]
    known = tuple(known)
    close = difflib.get_close_matches(name, [*known, *elsewhere], n=1)
    if close and close[0] in elsewhere:
        # Nearly the same, and not only alike: "use_responses_api" is no "response_format".
        if difflib.get_close_matches(name, close, cutoff=0.85):
            return elsewhere[close[0]]
        close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"see help({owner})."


# A description completes the sentence "… must be" of the error for an invalid value.
Penalty = Annotated[
    float,
    BeforeValidator(_as_python_number),
    Field(strict=True, ge=-2, le=2, description="a number from -2 to 2"),
]
Bias = Annotated[float, BeforeValidator(_as_python_number), Field(strict=True, ge=-100, le=100)]


class SamplingParams(BaseModel):
    """Settings of one request; for a setting that is None the model's own default applies.

    Parameters
    ----------
    logprobs
        Request the log-probability of each generated token.
    top_logprobs
        Number of alternatives per token, from 0 to 20; needs ``logprobs=True``.
    full_vocab
        Request the probability of every token of the vocabulary, from servers that can return it, such as the embedded
        model. Needs ``logprobs=True`` and replaces ``top_logprobs``.
    temperature
        0 selects the likeliest token, 1 samples from the model's own distribution. It changes the token that is drawn;
        most providers report probabilities from before it is applied.
    top_p
        Sample only from the likeliest tokens whose probabilities add up to this number, above 0 and up to 1.
    max_new_tokens
        Maximum length of the completion, in tokens.
    seed
        Integer that makes sampling repeatable, if the server supports it. Equal prompts in one call get ``seed``,
        ``seed + 1`` and so on, so that they are different draws.
    stop
        One or more strings at which the completion ends.
    presence_penalty, frequency_penalty
        From -2 to 2; positive values make tokens that have appeared less likely.
    logit_bias
        Dict from token ids to numbers from -100 to 100, which are added to the tokens' logits.
    n
        Number of answers to draw in one request, where the provider has such a setting; all are in
        :attr:`APIResponse.choices`. Elsewhere, ask the prompt several times.
    reasoning_effort
        Effort of a reasoning model; many return log-probabilities only with ``"none"``.
    extra_body
        Fields that are added to the request unchanged, for options that this class does not have.

    Raises
    ------
    SettingError
        When a value is out of range, two settings contradict each other, or a name is no setting.

    Examples
    --------
    >>> from deluge_nb import SamplingParams
    >>> SamplingParams(logprobs=True, top_logprobs=5, temperature=0)
    SamplingParams(logprobs=True, top_logprobs=5, temperature=0.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    logprobs: StrictBool = Field(False, description="True or False")
    top_logprobs: Annotated[int, BeforeValidator(_as_python_number)] | None = Field(
        None, strict=True, ge=0, le=20, description="an integer from 0 to 20, or None"
    )
    full_vocab: StrictBool = Field(False, description="True or False")
    temperature: Annotated[float, BeforeValidator(_as_python_number)] | None = Field(
        None, strict=True, ge=0, allow_inf_nan=False, description="a number of at least 0"
    )
    top_p: Annotated[float, BeforeValidator(_as_python_number)] | None = Field(
        None, strict=True, gt=0, le=1, description="a number above 0 and up to 1"
    )
    max_new_tokens: Annotated[int, BeforeValidator(_as_python_number)] | None = Field(
        None, strict=True, ge=1, description="an integer of at least 1"
    )
    seed: Annotated[int, BeforeValidator(_as_python_number)] | None = Field(
        None, strict=True, ge=0, lt=2**63, description="an integer from 0 to 2**63 - 1"
    )
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_stop_strings)] = Field(
        (), description="a string that is not empty, or a list of such strings"
    )
    presence_penalty: Penalty | None = Field(None, description="a number from -2 to 2")
    frequency_penalty: Penalty | None = Field(None, description="a number from -2 to 2")
    logit_bias: dict[int, Bias] | None = Field(None, description="a dict from token ids to numbers from -100 to 100")
    n: Annotated[int, BeforeValidator(_as_python_number)] | None = Field(
        None, strict=True, ge=1, le=128, description="an integer from 1 to 128"
    )
    reasoning_effort: str | None = Field(None, description="a string such as 'none' or 'low'")
    extra_body: dict[str, Any] | None = Field(None, description="a dict of request fields")
    _filled: frozenset[str] = PrivateAttr(frozenset())

    if not TYPE_CHECKING:  # type checkers take the signature from the fields

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise _as_setting_error(error) from None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError(
                f"top_logprobs={self.top_logprobs} needs logprobs=True: there are no alternatives without "
                "log-probabilities."
            )
        if self.full_vocab and not self.logprobs:
            raise ValueError("full_vocab=True needs logprobs=True.")
        in_body = (self.extra_body or {}).get("n")
        if self.n is not None and in_body is not None and in_body != self.n:
            raise ValueError(f"n={self.n} contradicts n={in_body!r} in extra_body; give it once.")
        if self.full_vocab and self.top_logprobs is not None:
            raise ValueError(
                f"full_vocab=True already gives every alternative; leave out top_logprobs={self.top_logprobs}."
            )
        return self

    if not TYPE_CHECKING:  # type checkers already forbid it for a frozen model

        def __setattr__(self, name: str, value: object) -> None:
            raise SettingError(
                f"SamplingParams cannot be changed; make a changed copy with params.replace({name}={value!r}).",
                setting=name,
                value=value,
            )

    def __repr__(self) -> str:
        if getattr(self, "__pydantic_fields_set__", None) is None:  # half made, as in a traceback with locals
            return "SamplingParams(…)"
        return f"SamplingParams({', '.join(f'{name}={value!r}' for name, value in self.chosen().items())})"

    __str__ = __repr__

    def replace(self, **changes: Any) -> SamplingParams:
        """Return a copy with some settings changed, validated again.

        Parameters
        ----------
        **changes
            New values by the names of the settings.

        Returns
        -------
        SamplingParams
            The changed copy.

        Raises
        ------
        SettingError
            When the changed settings are invalid.

        Examples
        --------
        >>> from deluge_nb import SamplingParams
        >>> SamplingParams(logprobs=True).replace(top_logprobs=3)
        SamplingParams(logprobs=True, top_logprobs=3)
        """
        changed = SamplingParams(**{**self.chosen(), **changes})
        kept = self._filled - changes.keys()
        return changed._with_filled(kept) if kept else changed

    @property
    def filled(self) -> frozenset[str]:
        """Names of the settings that :meth:`fill` has set."""
        return self._filled

    def fill(self, *names: str, **settings: Any) -> SamplingParams:
        """Return a copy with settings that the user has not chosen, which a server may therefore do without.

        Parameters
        ----------
        *names
            Names of fields of a request inside ``settings``, such as ``"extra_body.thinking"``.
        **settings
            Values by the names of the settings.

        Returns
        -------
        SamplingParams
            The copy.

        Raises
        ------
        SettingError
            When the settings are invalid.

        Examples
        --------
        >>> from deluge_nb import SamplingParams
        >>> params = SamplingParams(logprobs=True).fill(temperature=0)
        >>> params, sorted(params.filled)
        (SamplingParams(logprobs=True, temperature=0.0), ['temperature'])
        """
        return self.replace(**settings)._with_filled(self._filled | settings.keys() | {*names})

    def _with_filled(self, names: frozenset[str]) -> SamplingParams:
        # Pydantic's own method: that of this class refuses every change.
        BaseModel.__setattr__(self, "_filled", names)
        return self

    def chosen(self) -> dict[str, Any]:
        """Return the settings that were passed, without defaults.

        Returns
        -------
        dict
            Values by the names of the settings.

        Examples
        --------
        >>> from deluge_nb import SamplingParams
        >>> SamplingParams(logprobs=True).chosen()
        {'logprobs': True}
        """
        given = self.model_fields_set  # looked up once: this runs for every prompt
        return {name: getattr(self, name) for name in type(self).model_fields if name in given}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, as pydantic's method does, but validate the changes.

        Parameters
        ----------
        update
            New values by the names of the settings.
        deep
            Copy the values too, if there are no changes.

        Returns
        -------
        SamplingParams
            The copy.

        Raises
        ------
        SettingError
            When the changed settings are invalid.
        """
        return super().model_copy(deep=deep) if not update else type(self)(**{**self.chosen(), **update})


def requested_choices(params: SamplingParams) -> int:
    """Return the number of answers that a request asks for, also by ``extra_body``."""
    body = params.extra_body or {}
    config = body.get("generationConfig")
    count = body.get("n") or (config.get("candidateCount") if isinstance(config, Mapping) else None) or params.n
    try:
        return max(1, int(count or 1))
    except (TypeError, ValueError, OverflowError):  # the server says what is wrong with it
        return 1


def _as_setting_error(error: ValidationError) -> SettingError:
    """Return the first of pydantic's errors as one sentence."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    value = first["input"]
    if first["type"] == "extra_forbidden":
        advice = hint(name, SamplingParams.model_fields, "SamplingParams")
        return SettingError(f"SamplingParams has no setting {name!r}; {advice}", setting=name, value=value)
    if not name:
        return SettingError(str(first["ctx"]["error"]), value=None)
    return invalid_argument(name, value, str(SamplingParams.model_fields[name].description))
