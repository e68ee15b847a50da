"""What to ask of a model: validated, immutable request settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)

from .errors import SettingError


def _unboxed(value: Any) -> Any:
    """A numpy scalar as the Python number it holds, so that results of a sweep can be passed on."""
    item = getattr(value, "item", None)
    return item() if callable(item) and not isinstance(value, bool | int | float) else value


def _listed(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


# The description of each type ends the sentence "… must be" when a value is refused.
Penalty = Annotated[
    float,
    BeforeValidator(_unboxed),
    Field(strict=True, ge=-2, le=2, description="a number from -2 to 2"),
]
Bias = Annotated[float, BeforeValidator(_unboxed), Field(strict=True, ge=-100, le=100)]


class SamplingParams(BaseModel):
    """Settings of one request. What is left at None is the model's own default.

    Parameters
    ----------
    logprobs
        Whether to ask for the log-probability of each generated token.
    top_logprobs
        How many alternatives per token, from 0 to 20; needs ``logprobs=True``.
    full_vocab
        Ask for the probability of every token of the vocabulary (servers that can: the embedded model does). Needs
        ``logprobs=True``, takes the place of ``top_logprobs``.
    temperature
        0 takes the likeliest token, 1 samples from the model's own distribution. It changes which token is drawn; most
        providers report the probabilities before it is applied.
    top_p
        Sample only from the likeliest tokens that together hold this probability.
    max_new_tokens
        The longest completion, in tokens.
    seed
        Makes sampling repeatable where the server can.
    stop
        A string, or several, at which the completion ends.
    presence_penalty, frequency_penalty
        From -2 to 2: makes tokens that have appeared less likely.
    logit_bias
        Token id to a number from -100 to 100 added to its logit.
    reasoning_effort
        For reasoning models; many give log-probabilities only with ``"none"``.
    extra_body
        Fields added to the request as they are, for what a server has and this class does not.

    Raises
    ------
    SettingError
        On a value outside its range, a contradiction, or a name that is no setting; one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    logprobs: StrictBool = Field(False, description="True or False")
    top_logprobs: Annotated[int, BeforeValidator(_unboxed)] | None = Field(
        None, strict=True, ge=0, le=20, description="an integer from 0 to 20, or None"
    )
    full_vocab: StrictBool = Field(False, description="True or False")
    temperature: Annotated[float, BeforeValidator(_unboxed)] | None = Field(
        None, strict=True, ge=0, allow_inf_nan=False, description="a number of at least 0"
    )
    top_p: Annotated[float, BeforeValidator(_unboxed)] | None = Field(
        None, strict=True, gt=0, le=1, description="a number above 0 and up to 1"
    )
    max_new_tokens: Annotated[int, BeforeValidator(_unboxed)] | None = Field(
        None, strict=True, ge=1, description="an integer of at least 1"
    )
    seed: Annotated[int, BeforeValidator(_unboxed)] | None = Field(
        None, strict=True, ge=0, lt=2**63, description="an integer from 0 to 2**63 - 1"
    )
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)] = Field(
        (), description="a string that is not empty, or a list of such strings"
    )
    presence_penalty: Penalty | None = Field(None, description="a number from -2 to 2")
    frequency_penalty: Penalty | None = Field(None, description="a number from -2 to 2")
    logit_bias: dict[int, Bias] | None = Field(None, description="a dict from token ids to numbers from -100 to 100")
    reasoning_effort: str | None = Field(None, description="a string such as 'none' or 'low'")
    extra_body: dict[str, Any] | None = Field(None, description="a dict of request fields")

    if not TYPE_CHECKING:  # type checkers take the signature from the fields

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise _sentence(error) from None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError(
                f"top_logprobs={self.top_logprobs} needs logprobs=True: there are no alternatives without "
                "log-probabilities."
            )
        if self.full_vocab and not self.logprobs:
            raise ValueError("full_vocab=True needs logprobs=True.")
        if self.full_vocab and self.top_logprobs is not None:
            raise ValueError(
                f"full_vocab=True already gives every alternative; leave out top_logprobs={self.top_logprobs}."
            )
        return self

    if not TYPE_CHECKING:  # which forbid it by themselves

        def __setattr__(self, name: str, value: object) -> None:
            raise SettingError(
                f"SamplingParams do not change; make changed ones with params.replace({name}={value!r}).",
                setting=name,
                value=value,
            )

    def __repr__(self) -> str:
        return f"SamplingParams({', '.join(f'{name}={value!r}' for name, value in self.chosen().items())})"

    def replace(self, **changes: Any) -> SamplingParams:
        """The same settings with some changed, validated again."""
        return SamplingParams(**{**self.chosen(), **changes})

    def chosen(self) -> dict[str, Any]:
        """The settings that were given, defaults left out."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As in pydantic, but a changed copy is validated."""
        return super().model_copy(deep=deep) if not update else type(self)(**{**self.chosen(), **update})


def _sentence(error: ValidationError) -> SettingError:
    """The first thing pydantic found wrong, as one sentence."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    value = first["input"]
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, SamplingParams.model_fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see help(SamplingParams)."
        return SettingError(f"SamplingParams has no setting {name!r}; {hint}", setting=name, value=value)
    if not name:
        return SettingError(str(first["ctx"]["error"]), value=None)
    wanted = SamplingParams.model_fields[name].description
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    return SettingError(f"{name} must be {wanted}, not {shown}.", setting=name, value=value)
