"""The registry: the row of a name, refused requests, and the support table."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    Conversation,
    LogprobsNotSupportedError,
    RawPrompt,
    SamplingParams,
    SettingError,
    UnknownModelError,
    register_endpoint,
    register_model,
    support_table,
)
from deluge_nb.models import REGISTRY
from deluge_nb.models.catalogue import BUILT_IN
from deluge_nb.models.endpoints import COMPATIBLE, OPENAI
from deluge_nb.models.registry import resolve, validate
from deluge_nb.models.spec import Endpoint, LogprobSupport, ModelSpec, Target
from deluge_nb.prompts import as_prompt

URL = "http://127.0.0.1:8000/v1"


def found(model: str, base_url: str | None = None) -> tuple[str, str, str]:
    target = resolve(model, base_url=base_url)
    return target.model, target.endpoint.name, target.spec.support.kind


# Names


@pytest.mark.parametrize(
    ("model", "endpoint", "kind"),
    [
        ("gpt-3.5-turbo", "openai", "full"),
        ("gpt-4o-mini", "openai", "full"),
        ("gpt-4.1", "openai", "full"),
        ("gpt-5-mini", "openai", "conditional"),
        ("gpt-5.1", "openai", "conditional"),
        ("claude-sonnet-4-5", "anthropic", "none"),
        ("gemini-2.0-flash", "google", "limited"),
        ("mistral-large-latest", "mistral", "full"),
        ("mistral-medium-latest", "mistral", "full"),
        ("llama-3.3-70b-versatile", "groq", "full"),
        ("llama3-8b-8192", "groq", "full"),
        ("mixtral-8x7b-32768", "groq", "full"),
        ("local", "local", "full"),
        ("smollm2-135m", "local", "full"),
    ],
)
def test_a_documented_model_is_found(model: str, endpoint: str, kind: str) -> None:
    assert found(model) == (model, endpoint, kind)


def test_the_case_of_a_name_does_not_matter_and_is_kept() -> None:
    assert found("GPT-4o") == ("GPT-4o", "openai", "full")
    assert found("OpenAI/GPT-4o") == ("GPT-4o", "openai", "full")


def test_space_around_a_name_is_dropped() -> None:
    assert found(" gpt-4o\n") == ("gpt-4o", "openai", "full")


def test_the_row_that_spells_out_most_wins() -> None:
    assert resolve("gpt-5.1").spec.support.requires == {"reasoning_effort": "none"}
    assert not resolve("gpt-5").spec.support.requires


def test_every_name_that_is_suggested_is_found() -> None:
    names = REGISTRY.known_names()
    assert len(names) == len(set(names))
    of_one_model = {spec.pattern for spec in REGISTRY.specs if spec.pattern != "*"}
    assert {resolve(name).spec.pattern for name in names} == of_one_model


def test_an_endpoint_may_be_named_before_the_model() -> None:
    assert found("groq/llama-3.3-70b") == ("llama-3.3-70b", "groq", "full")


def test_an_endpoint_is_asked_for_a_model_that_no_row_knows() -> None:
    assert found("openai/o9-nano") == ("o9-nano", "openai", "unknown")
    assert found("anthropic/gpt-4") == ("gpt-4", "anthropic", "unknown")


def test_the_embedded_server_has_no_other_models() -> None:
    assert found("local/local") == ("local", "local", "full")
    with pytest.raises(UnknownModelError):
        resolve("local/llama-3")


@pytest.mark.parametrize("model", ["my-own-7b", "meta-llama/Llama-3.1-8B", "openai/gpt-oss-20b", "local/llama-3"])
def test_a_server_of_one_s_own_is_asked_for_the_whole_name(model: str) -> None:
    assert found(model, URL) == (model, "compatible", "unknown")


def test_a_known_model_keeps_its_row_on_a_server_of_one_s_own() -> None:
    assert found("gpt-4o", URL) == ("gpt-4o", "openai", "full")


def test_the_embedded_model_has_no_other_address() -> None:
    with pytest.raises(SettingError, match="'local' runs on this machine; leave out base_url") as caught:
        resolve("local", base_url=URL)
    assert (caught.value.setting, caught.value.value) == ("base_url", URL)


@pytest.mark.parametrize(
    ("model", "suggested"),
    [("gpt5", "gpt-5"), ("gpt4o", "gpt-4o"), ("lokal", "local"), ("Mistral-small", "mistral-large-latest")],
)
def test_an_unknown_name_is_refused_with_similar_names(model: str, suggested: str) -> None:
    with pytest.raises(UnknownModelError, match=f"did you mean .*{suggested}.*base_url=") as caught:
        resolve(model)
    assert caught.value.model == model
    assert suggested in caught.value.suggestions


@pytest.mark.parametrize("model", ["", " ", "/", "openai/", "meta-llama/llama-3", "人"])
def test_a_name_like_no_other_is_refused_with_one_of_a_provider_and_one_of_this_machine(model: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve(model)
    assert caught.value.suggestions


@given(st.text())
def test_any_name_is_found_or_refused(model: str) -> None:
    try:
        target = resolve(model)
    except UnknownModelError:
        return
    assert target.model.lower() in model.lower()


@pytest.mark.parametrize("model", [5, None, ["gpt-4o"], b"gpt-4o"])
def test_a_value_that_is_no_name_is_refused(model: Any) -> None:
    with pytest.raises(SettingError, match=f"A model must be a name or a LocalModel, not {type(model).__name__}"):
        resolve(model)


def test_an_object_brings_its_own_row() -> None:
    class Mine:
        name = "mine"
        spec = ModelSpec("mine", COMPATIBLE, LogprobSupport("full"))

    assert resolve(Mine()) == Target("mine", Mine.spec)


# Rows of the user's


def test_a_registered_model_is_found() -> None:
    spec = register_model("my-own-*", logprobs="limited", max_top=5, note="Seen to work.", system="Be brief.")
    assert resolve("My-Own-7b") == Target("My-Own-7b", spec)
    assert spec.support.max_top == 5
    assert (spec.endpoint, spec.system, spec.support.note) == (COMPATIBLE, "Be brief.", "Seen to work.")


def test_a_registered_row_wins_over_a_built_in_one_of_the_same_pattern() -> None:
    register_model("gpt-4*", logprobs="none")
    assert found("gpt-4o") == ("gpt-4o", "compatible", "none")


def test_the_row_registered_last_wins() -> None:
    register_model("mine", max_top=3)
    register_model("mine", max_top=7)
    assert resolve("mine").spec.support.max_top == 7


def test_a_row_that_spells_out_more_wins_over_a_later_one() -> None:
    register_model("mine-7b", max_top=7)
    register_model("mine-*", max_top=3)
    assert resolve("mine-7b").spec.support.max_top == 7


@pytest.mark.parametrize("pattern", ["openai/gpt-oss-20b", "openai/gpt-oss-*", "Org/Model"])
def test_a_registered_name_may_hold_a_slash(pattern: str) -> None:
    spec = register_model(pattern)
    model = pattern.replace("*", "20b")
    assert resolve(model) == resolve(model, base_url=URL) == Target(model, spec)


def test_a_registered_name_is_suggested() -> None:
    register_model("zebra-7b")
    with pytest.raises(UnknownModelError, match="did you mean 'zebra-7b'"):
        resolve("zebra7b")


def test_an_endpoint_of_one_s_own_can_be_named_before_the_model() -> None:
    register_model("mine", endpoint=Endpoint("home", "At home", URL))
    assert found("home/mine") == ("mine", "home", "full")
    assert found("home/other") == ("other", "home", "unknown")


# What is refused before any request


def test_logprobs_of_a_model_without_them_are_refused_with_one_that_has_them() -> None:
    with pytest.raises(LogprobsNotSupportedError, match="'claude-x' gives no log-probabilities") as caught:
        validate(resolve("claude-x"), SamplingParams(logprobs=True))
    error = caught.value
    assert (error.model, error.remedy) == ("claude-x", "leave out logprobs=True")
    validate(resolve(error.alternative), SamplingParams(logprobs=True))


def test_a_model_without_logprobs_can_be_asked_without_them() -> None:
    validate(resolve("claude-x"), SamplingParams())


@pytest.mark.parametrize("effort", ["none", None])
def test_a_condition_that_is_met_or_left_open_is_fine(effort: str | None) -> None:
    validate(resolve("gpt-5.1"), SamplingParams(logprobs=True, reasoning_effort=effort))


def test_a_condition_that_is_not_met_is_refused_with_the_setting_to_change() -> None:
    params = SamplingParams(logprobs=True, reasoning_effort="high")
    with pytest.raises(LogprobsNotSupportedError, match="only with reasoning_effort='none'") as caught:
        validate(resolve("gpt-5.1"), params)
    assert caught.value.remedy == "reasoning_effort='none'"
    validate(resolve("gpt-5.1"), params.replace(logprobs=False))


def test_more_alternatives_than_the_model_gives_are_refused() -> None:
    register_model("mine", max_top=5)
    validate(resolve("mine"), SamplingParams(logprobs=True, top_logprobs=5))
    with pytest.raises(
        SettingError, match="'mine' gives at most 5 alternatives, so top_logprobs cannot be 6"
    ) as caught:
        validate(resolve("mine"), SamplingParams(logprobs=True, top_logprobs=6))
    assert (caught.value.setting, caught.value.value) == ("top_logprobs", 6)


def test_a_whole_vocabulary_is_for_the_embedded_model() -> None:
    params = SamplingParams(logprobs=True, full_vocab=True)
    validate(resolve("local"), params)
    with pytest.raises(SettingError, match="such as 'local'") as caught:
        validate(resolve("gpt-4o"), params)
    assert caught.value.setting == "full_vocab"


def test_whole_vocabularies_are_for_short_answers() -> None:
    params = SamplingParams(logprobs=True, full_vocab=True, max_new_tokens=32)
    validate(resolve("local"), params)
    with pytest.raises(SettingError, match="max_new_tokens cannot be 33") as caught:
        validate(resolve("local"), params.replace(max_new_tokens=33))
    assert caught.value.setting == "max_new_tokens"


def test_a_chat_api_cannot_continue_raw_text() -> None:
    validate(resolve("local"), SamplingParams(), as_prompt(RawPrompt("It is")))
    with pytest.raises(SettingError, match="reached through a chat API") as caught:
        validate(resolve("gpt-4o"), SamplingParams(), as_prompt(RawPrompt("It is")))
    assert (caught.value.setting, caught.value.value) == ("prompt", "It is")


def test_the_beginning_of_an_answer_is_refused_only_where_it_is_known_not_to_work() -> None:
    begun = as_prompt(Conversation().user("Is it raining?").assistant_prefix("I think"))
    for model in ("local", "llama-3.3-70b-versatile", "mistral-large-latest"):
        validate(resolve(model), SamplingParams(), begun)
    with pytest.raises(SettingError, match="OpenAI starts a new one") as caught:
        validate(resolve("gpt-4o"), SamplingParams(), begun)
    assert caught.value.value == "I think"


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.pattern)
def test_a_plain_question_is_never_refused(spec: ModelSpec) -> None:
    validate(Target("x", spec), SamplingParams(), as_prompt("Is it raining?"))


# The rows that come with the package


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.pattern)
def test_a_row_says_where_it_comes_from(spec: ModelSpec) -> None:
    assert spec.support.source
    assert spec.support.checked
    assert spec.shown_as
    assert spec.pattern == spec.pattern.lower()
    assert 0 <= spec.support.max_top <= 20
    assert not spec.support.note or spec.support.note.endswith(".")


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.pattern)
def test_defaults_and_conditions_are_settings_that_exist(spec: ModelSpec) -> None:
    said: dict[str, Any] = {**spec.defaults, **spec.support.requires}
    assert SamplingParams(**said).chosen() == said


@pytest.mark.parametrize("endpoint", sorted({spec.endpoint.name: spec.endpoint for spec in BUILT_IN}.items()))
def test_an_endpoint_is_reached_by_a_secure_address_with_a_key_or_launched(endpoint: tuple[str, Endpoint]) -> None:
    _, found = endpoint
    if found.launch is None:
        assert (
            found.base_url.startswith("https://" if found.key_required else "http://127.0.0.1:") or not found.base_url
        )
        assert not found.base_url.endswith("/")
        assert found.key_variables
        assert found.url_variable.endswith("_BASE_URL")
    else:
        assert not found.key_required


def test_rows_survive_pickling() -> None:
    assert pickle.loads(pickle.dumps(BUILT_IN)) == BUILT_IN
    assert pickle.loads(pickle.dumps(OPENAI)) == OPENAI


# The table for people


def test_the_table_has_a_row_for_each_row_of_the_registry() -> None:
    register_model("my-own-*", logprobs="limited", max_top=5, note="Seen to work.")
    rows = support_table().rows
    assert len(rows) == len(REGISTRY.specs)
    assert rows[0] == ("OpenAI-compatible server", "`my-own-*`", "limited", "up to 5", "Seen to work.")


def test_a_model_without_logprobs_has_no_alternatives_in_the_table() -> None:
    row = next(row for row in support_table().rows if row[0] == "Anthropic")
    assert row[2:4] == ("no", "–")


def test_the_table_is_markdown() -> None:
    lines = support_table().to_markdown().splitlines()
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {6}
    assert support_table()._repr_markdown_() == support_table().to_markdown()


def test_the_table_s_repr_is_aligned_text() -> None:
    lines = repr(support_table()).splitlines()
    assert len(lines) == len(REGISTRY.specs) + 1
    column = lines[0].index("Log-probabilities")
    assert {line[column - 1] for line in lines} == {" "}
    assert all(line[column] != " " for line in lines)


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "openai"},
        {"logprobs": "some"},
        {"max_top": "5"},
        {"max_top": -1},
        {"max_top": True},
        {"note": 5},
        {"forbids": "tools"},
        {"forbids": [5]},
        {"defaults": []},
        {"defaults": {"temperature": -1}},
        {"defaults": {"warmth": 1}},
        {"system": 5},
        {"pattern": ""},
        {"pattern": 5},
    ],
)
def test_a_row_with_a_field_that_does_not_fit_is_refused_and_named(wrong: dict[str, Any]) -> None:
    ((name, _),) = wrong.items()
    arguments: dict[str, Any] = {"pattern": "mine", **wrong}
    with pytest.raises(SettingError) as raised:
        register_model(**arguments)
    assert raised.value.setting in (name, *wrong.get("defaults", ()))
    assert str(raised.value).endswith(".")
    assert not any(spec.pattern == "mine" for spec in REGISTRY.specs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"raw": "yes"},
        {"raw": True, "foo": 1},
        {"concurrency": 0},
        {"headers": {"X": 1}},
        {"key_variable": 5},
        {"base_url": 5},
        {"name": 5},
        {"label": 5},
        {"dialect": 5},
        {"prefill": "maybe"},
        {"launch": 5},
    ],
)
def test_a_server_with_a_field_that_does_not_fit_is_refused_and_named(wrong: dict[str, Any]) -> None:
    name = list(wrong)[-1]
    arguments: dict[str, Any] = {"name": "home", "base_url": "http://127.0.0.1:9", **wrong}
    with pytest.raises(SettingError, match=name):
        register_endpoint(**arguments)
    assert REGISTRY.endpoint_named("home") is None
