"""The rules that refuse a request before it is sent: each has one reason and one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deluge_nb import LogprobsNotSupportedError, RawPrompt, SamplingParams, SettingError
from deluge_nb.models import COMPATIBLE, LogprobSupport, ModelSpec, Target
from deluge_nb.models.validation import RULES, Request, check
from deluge_nb.prompts import Prompt, as_prompt

LOGPROBS = SamplingParams(logprobs=True)


def request(params: SamplingParams = LOGPROBS, *, prompt: Prompt | None = None, **given: Any) -> Request:
    features, outcome = given.pop("features", ()), given.pop("outcome", None)
    endpoint = replace(COMPATIBLE, **given.pop("endpoint", {}))
    spec = ModelSpec("m", endpoint, LogprobSupport(given.pop("kind", "full"), **given))
    return Request(Target("m", spec), params, prompt, features, outcome)


BROKEN = {
    "_gives_logprobs": request(kind="none"),
    "_combines_features": request(features=("tools",), forbids=("tools",)),
    "_has_not_refused": request(kind="unknown", outcome="refused"),
    "_has_required_settings": request(LOGPROBS.replace(reasoning_effort="low"), requires={"reasoning_effort": "none"}),
    "_has_required_body": request(LOGPROBS.replace(extra_body={"think": True}), body={"think": False}),
    "_gives_that_many_alternatives": request(LOGPROBS.replace(top_logprobs=9), max_top=5),
    "_gives_full_vocab": request(LOGPROBS.replace(full_vocab=True)),
    "_limits_full_vocab": request(LOGPROBS.replace(full_vocab=True, max_new_tokens=33), endpoint={"full_vocab": True}),
    "_gives_several_answers": request(SamplingParams(n=2), endpoint={"dialect": "anthropic"}),
    "_continues_raw_text": request(prompt=as_prompt(RawPrompt("x")), endpoint={"raw": False}),
    "_continues_prefilled_answers": request(
        prompt=as_prompt([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]),
        endpoint={"prefill": False},
    ),
}


def test_every_rule_has_a_request_that_breaks_it() -> None:
    assert [rule.__name__ for rule in RULES] == list(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_alone_refuses_its_request_in_one_sentence(name: str) -> None:
    broken = [(rule.__name__, error) for rule in RULES if (error := rule(BROKEN[name])) is not None]
    ((found, error),) = broken
    assert found == name
    assert isinstance(error, SettingError | LogprobsNotSupportedError)
    assert "'m'" in str(error)
    assert str(error).endswith(".")
    with pytest.raises(type(error)) as raised:
        check(BROKEN[name])
    assert str(raised.value) == str(error)


def test_a_plain_request_breaks_no_rule() -> None:
    check(request())
    check(request(SamplingParams(), kind="none", outcome="refused", features=("tools",)))
