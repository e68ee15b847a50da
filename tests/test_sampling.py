"""SamplingParams: valid settings, and the errors for invalid ones."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import SamplingParams, SettingError

# Any settings that go together.
settings = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0.001, 1),
        "max_new_tokens": st.integers(1, 10**6),
        "seed": st.integers(0, 2**63 - 1),
        "stop": st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
        "logit_bias": st.dictionaries(st.integers(0, 200_000), st.floats(-100, 100), max_size=3),
        "reasoning_effort": st.sampled_from(["none", "low"]),
        "extra_body": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    },
)


def refusal(**values: Any) -> SettingError:
    with pytest.raises(SettingError) as caught:
        SamplingParams(**values)
    return caught.value


def test_everything_is_left_to_the_model_unless_set() -> None:
    params = SamplingParams()
    assert params.logprobs is params.full_vocab is False
    assert params.stop == ()
    others = set(SamplingParams.model_fields) - {"logprobs", "full_vocab", "stop"}
    assert {getattr(params, name) for name in others} == {None}


@given(settings)
def test_settings_keep_their_values(values: dict[str, Any]) -> None:
    found = SamplingParams(**values).chosen()
    assert found == {**values, **({"stop": tuple(values["stop"])} if "stop" in values else {})}


@given(settings)
def test_a_repr_can_be_evaluated(values: dict[str, Any]) -> None:
    params = SamplingParams(**values)
    assert eval(repr(params), {"SamplingParams": SamplingParams}) == params


def test_a_repr_has_only_the_settings_that_were_passed() -> None:
    assert repr(SamplingParams()) == "SamplingParams()"
    params = SamplingParams(logprobs=True, top_logprobs=5, temperature=0)
    assert repr(params) == "SamplingParams(logprobs=True, top_logprobs=5, temperature=0.0)"


@given(settings)
def test_settings_survive_pickling_and_copying(values: dict[str, Any]) -> None:
    params = SamplingParams(**values)
    for again in (pickle.loads(pickle.dumps(params)), copy.copy(params), copy.deepcopy(params), params.model_copy()):
        assert again == params
        assert again.chosen() == params.chosen()


def test_equal_settings_hash_alike() -> None:
    made = [SamplingParams(temperature=1, stop=["a"]), SamplingParams(temperature=1.0, stop="a")]
    assert len(set(made)) == 1


def test_one_stop_string_is_a_list_of_one() -> None:
    assert SamplingParams(stop="\n").stop == ("\n",)


@pytest.mark.parametrize("none", [None, [], ()])
def test_several_values_mean_no_stop_strings(none: Any) -> None:
    assert SamplingParams(stop=none).stop == ()


def test_token_ids_may_be_text_as_in_json() -> None:
    assert SamplingParams.model_validate({"logit_bias": {"50256": -100}}).logit_bias == {50256: -100.0}


def test_scalars_of_numpy_are_plain_numbers() -> None:
    params = SamplingParams(
        logprobs=True,
        top_logprobs=np.int64(5),  # type: ignore[arg-type]
        temperature=np.float64(0.5),
        top_p=np.float32(0.5),  # type: ignore[arg-type]
        max_new_tokens=np.int32(7),  # type: ignore[arg-type]
        seed=np.uint8(3),  # type: ignore[arg-type]
        presence_penalty=np.float64(1),
    )
    numbers = [params.top_logprobs, params.temperature, params.top_p, params.max_new_tokens, params.seed]
    assert numbers == [5, 0.5, 0.5, 7, 3]
    assert {type(number) for number in numbers} == {int, float}


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("top_logprobs", (0, 20)),
        ("temperature", (0, 2, 100)),
        ("top_p", (5e-324, 1)),
        ("max_new_tokens", (1, 10**9)),
        ("seed", (0, 2**63 - 1)),
        ("presence_penalty", (-2, 2)),
        ("frequency_penalty", (-2, 2)),
    ],
)
def test_the_edges_of_a_range_belong_to_it(name: str, edges: tuple[float, ...]) -> None:
    for edge in edges:
        values: dict[str, Any] = {"logprobs": True, name: edge}
        assert getattr(SamplingParams(**values), name) == edge


@pytest.mark.parametrize(
    ("name", "wanted", "values"),
    [
        ("logprobs", "True or False", (1, "yes", None, np.True_)),
        ("full_vocab", "True or False", (1, "yes", None)),
        ("top_logprobs", "an integer from 0 to 20, or None", (-1, 21, 5.0, "5", True)),
        ("temperature", "a number of at least 0", (-0.1, math.nan, math.inf, "1", True, [1], 10**400)),
        ("top_p", "a number above 0 and up to 1", (0, 1.01, -1, math.nan, "0.5", False)),
        ("max_new_tokens", "an integer of at least 1", (0, -1, 1.0, "1", True, np.array([1, 2]))),
        ("seed", "an integer from 0 to 2**63 - 1", (-1, 2**63, 1.0, "1")),
        ("stop", "a string that is not empty, or a list of such strings", ("", [""], ["a", 1], 1, b"a", "\ud800")),
        ("presence_penalty", "a number from -2 to 2", (-2.1, 2.1, math.nan, "1")),
        ("frequency_penalty", "a number from -2 to 2", (-2.1, 2.1, math.inf, "1")),
        (
            "logit_bias",
            "a dict from token ids to numbers from -100 to 100",
            ({5: 101}, {5: math.nan}, {"yes": 1}, {5: "1"}, [5], "5"),
        ),
        ("reasoning_effort", "a string such as 'none' or 'low'", (0, False, ["low"])),
        ("extra_body", "a dict of request fields", ([], "{}", {1: 2})),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_sentence(name: str, wanted: str, values: tuple[Any, ...]) -> None:
    for value in values:
        error = refusal(**({} if name == "logprobs" else {"logprobs": True}), **{name: value})
        assert str(error).startswith(f"{name} must be {wanted}, not ")
        assert "\n" not in str(error)
        assert len(str(error)) < 200
        assert error.setting == name


def test_the_value_that_was_refused_is_kept_for_programs() -> None:
    assert refusal(temperature=-1).value == -1


def test_a_refusal_has_no_second_traceback() -> None:
    assert refusal(temperature=-1).__suppress_context__


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("max_completion_tokens", "write max_new_tokens=."),
        ("top_k", "write extra_body={'top_k': …}."),
        ("respons_format", "pass output_schema= to the call."),
        ("use_responses_api", "see help(SamplingParams)."),
    ],
)
def test_a_name_of_another_library_gets_advice_and_a_name_that_is_only_like_one_none(given: str, advice: str) -> None:
    assert str(refusal(**{given: 1})) == f"SamplingParams has no setting {given!r}; {advice}"


@pytest.mark.parametrize(
    ("given", "meant"), [("logprob", "logprobs"), ("max_tokens", "max_new_tokens"), ("Temperature", "temperature")]
)
def test_a_misspelt_name_is_refused_with_a_suggestion(given: str, meant: str) -> None:
    error = refusal(**{given: 1})
    assert str(error) == f"SamplingParams has no setting {given!r}; did you mean {meant!r}?"
    assert error.setting == given


def test_a_name_like_no_other_is_refused_with_where_to_look() -> None:
    assert "help(SamplingParams)" in str(refusal(zzzzzz=1))


@pytest.mark.parametrize("values", [{"top_logprobs": 5}, {"top_logprobs": 0}, {"full_vocab": True}])
def test_alternatives_need_logprobs(values: dict[str, Any]) -> None:
    assert "needs logprobs=True" in str(refusal(**values))


def test_a_whole_vocabulary_takes_the_place_of_a_list() -> None:
    assert SamplingParams(logprobs=True, full_vocab=True).full_vocab
    error = refusal(logprobs=True, full_vocab=True, top_logprobs=5)
    assert str(error) == "full_vocab=True already gives every alternative; leave out top_logprobs=5."


def test_settings_do_not_change() -> None:
    params = SamplingParams(temperature=1)
    with pytest.raises(SettingError, match=r"params\.replace\(temperature=0\.5\)") as caught:
        params.temperature = 0.5  # type: ignore[misc]
    assert caught.value.setting == "temperature"
    assert params.temperature == 1


def test_replace_gives_changed_settings_and_leaves_the_first_alone() -> None:
    params = SamplingParams(logprobs=True, temperature=1)
    changed = params.replace(temperature=0, seed=3)
    assert changed.chosen() == {"logprobs": True, "temperature": 0, "seed": 3}
    assert params.chosen() == {"logprobs": True, "temperature": 1}


def test_changed_settings_are_validated_again() -> None:
    params = SamplingParams(logprobs=True, top_logprobs=5)
    with pytest.raises(SettingError, match="needs logprobs=True"):
        params.replace(logprobs=False)
    with pytest.raises(SettingError, match="temperature must be"):
        params.model_copy(update={"temperature": -1})
    with pytest.raises(SettingError, match="no setting 'temprature'"):
        params.replace(temprature=1)


def test_an_updated_copy_is_a_changed_one() -> None:
    params = SamplingParams(logprobs=True, top_logprobs=5)
    assert params.model_copy(update={"top_logprobs": 3}) == params.replace(top_logprobs=3)


def test_every_setting_is_described() -> None:
    described = SamplingParams.__doc__ or ""
    for name, field in SamplingParams.model_fields.items():
        assert name in described
        assert field.description


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("top_k", "extra_body={'top_k': …}"), ("stop_sequences", "stop="), ("response_format", "output_schema=")],
)
def test_a_setting_of_another_library_is_refused_with_what_to_write(name: str, remedy: str) -> None:
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(SettingError) as info:
        SamplingParams(**settings)
    assert remedy in str(info.value)


def test_printed_settings_are_those_that_were_passed() -> None:
    assert str(SamplingParams(logprobs=True)) == "SamplingParams(logprobs=True)"
