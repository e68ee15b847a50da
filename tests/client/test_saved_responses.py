"""Responses joined with their prompts, and written to JSON and back."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from deluge_nb import APIResponse, Conversation, LLMClient, Logprobs, RawPrompt, SamplingParams, SettingError, errors
from deluge_nb.dialects.reading.answer import FailedAnswer
from deluge_nb.logprobs.columns import Vocabulary
from deluge_nb.tools import ToolCall
from tests.openai_server import ChatServer, Reply, Seen, chat, error, says

KEY = "sk-test-0123456789"

texts = st.text(max_size=8)
numbers = st.floats(allow_nan=True, allow_infinity=True)
tokens = st.tuples(
    texts.filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)),
    st.one_of(st.just(...), st.none(), st.binary(max_size=4)),
    st.one_of(st.none(), st.integers(0, 200_000)),
)
plain_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), numbers, st.text(max_size=5), st.binary(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(texts, st.sampled_from(["$number", "$bytes", "$dict"])), inner, max_size=3),
    ),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn) -> Logprobs:
    vocabulary = Vocabulary.of(draw(st.lists(tokens, min_size=1, max_size=6, unique=True)))
    index = st.integers(0, len(vocabulary) - 1)
    counts = draw(st.lists(st.integers(0, 3), max_size=4))
    total = sum(counts)
    return Logprobs(
        vocabulary,
        np.array(draw(st.lists(index, min_size=len(counts), max_size=len(counts))), np.int32),
        np.array(draw(st.lists(numbers, min_size=len(counts), max_size=len(counts))), np.float64),
        np.array(draw(st.lists(index, min_size=total, max_size=total)), np.int32),
        np.array(draw(st.lists(numbers, min_size=total, max_size=total)), np.float64),
        np.cumsum([0, *counts]).astype(np.int32),
        vocab_size=draw(st.one_of(st.none(), st.integers(1, 10**6))),
        rounding=draw(st.one_of(st.none(), st.floats(0, 0.1))),
    )


def contents(table: Logprobs | None) -> Any:
    """Return everything that a table holds, with NaN equal to NaN."""
    if table is None:
        return None
    chosen, logprob, alternative, alternative_logprob, offsets = (column.tolist() for column in table.columns)
    entry = table.vocabulary.entry
    return (
        [(*entry(index), repr(number)) for index, number in zip(chosen, logprob, strict=True)],
        [(*entry(index), repr(number)) for index, number in zip(alternative, alternative_logprob, strict=True)],
        offsets,
        table.vocab_size,
        table.rounding,
    )


def saved(response: APIResponse) -> APIResponse:
    """Return a response as read from its line in a file; the line is strict JSON."""
    return APIResponse.from_dict(json.loads(json.dumps(response.to_dict(), allow_nan=False)))


@given(tables(), tables())
def test_a_table_returns_from_json_with_every_token_number_and_byte(table: Logprobs, thoughts: Logprobs) -> None:
    copy = saved(APIResponse("m", logprobs=table, thinking="hm", thinking_logprobs=thoughts))
    assert contents(copy.logprobs) == contents(table)
    assert contents(copy.thinking_logprobs) == contents(thoughts)
    assert copy.thinking == "hm"


@given(st.dictionaries(texts, plain_values, max_size=3))
def test_free_fields_return_from_json_as_they_were(value: dict[str, Any]) -> None:
    calls = (ToolCall("look", value, "call_1", "{…"), ToolCall("look", None))
    copy = saved(APIResponse("m", usage=value, tool_calls=calls))
    assert repr(copy.usage) == repr(value)
    assert repr(copy.tool_calls) == repr(calls)


@pytest.mark.parametrize(
    "prompt",
    [
        "Is it?",
        RawPrompt("It is"),
        [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "It is "}],
        [{"role": "user", "content": [{"type": "text", "text": "Is it?"}]}],
        Conversation().system("Short.").user("Is it?").assistant_prefix("It is "),
        Conversation().user("Is it?"),
        None,
    ],
    ids=repr,
)
def test_a_prompt_returns_from_json_in_the_form_in_which_it_was_asked(prompt: Any) -> None:
    copy = saved(APIResponse("m", prompt=prompt)).prompt
    assert copy == prompt
    assert type(copy) is type(prompt)


@pytest.mark.parametrize(
    "params",
    [
        None,
        SamplingParams(),
        SamplingParams(logprobs=True, top_logprobs=3, temperature=0.5, seed=2**62, stop=["a", "b"]),
        SamplingParams(logit_bias={5: -100}, extra_body={"user": "me", "ids": [1, None]}),
    ],
    ids=repr,
)
def test_settings_return_from_json(params: SamplingParams | None) -> None:
    assert saved(APIResponse("m", sampling_params=params)).sampling_params == params


@pytest.mark.parametrize("name", sorted(set(errors.__dict__) - {"Sequence", "annotations"}))
def test_an_error_returns_from_json_with_its_class_and_message(name: str) -> None:
    kind = getattr(errors, name)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return
    copy = saved(APIResponse("m", is_error=True, error_message="It failed.", error=kind("It failed."), status_code=500))
    assert type(copy.error) is kind
    assert (str(copy.error), copy.error_message, copy.status_code, copy.is_error) == (
        "It failed.", "It failed.", 500, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "exception", [TypeError("x"), KeyError("x"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), OSError(2, "no")]
)
def test_any_other_exception_returns_from_json_with_its_message(exception: Exception) -> None:
    copy = saved(APIResponse("m", is_error=True, error_message="x", error=exception))
    assert isinstance(copy.error, Exception)
    assert str(copy.error) == str(exception)
    assert str(saved(copy).error) == str(exception)


def test_the_fields_of_an_error_return_but_not_the_body_of_the_reply() -> None:
    failure = errors.RequestError("no", model="m", status_code=429, body={"secret": KEY}, retry_after=2.5)
    copy = saved(APIResponse("m", is_error=True, error=failure)).error
    assert isinstance(copy, errors.RequestError)
    assert (copy.model, copy.status_code, copy.retry_after, copy.body) == ("m", 429, 2.5, None)


def test_an_error_of_the_package_s_own_use_is_saved_by_its_public_class() -> None:
    response = APIResponse("m", is_error=True, error=FailedAnswer("no", model="m"))
    assert response.to_dict()["error"]["class"] == "RequestError"


class Answer(BaseModel):
    value: int


@dataclass
class Pair:
    first: int
    second: float


@pytest.mark.parametrize(
    ("parsed", "plain"),
    [(Answer(value=3), {"value": 3}), ([Answer(value=1)], [{"value": 1}]), (Pair(1, math.inf), None), (None, None)],
)
def test_a_parsed_answer_returns_as_plain_json(parsed: Any, plain: Any) -> None:
    copy = saved(APIResponse("m", parsed=parsed)).parsed
    assert copy == (plain if plain is not None or parsed is None else {"first": 1, "second": math.inf})


def test_a_value_that_has_no_plain_form_does_not_cost_the_response() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    copy = saved(
        APIResponse("m", completion="Yes", parsed=deep, tool_calls=(ToolCall("f", {"x": deep}, raw_arguments="[["),))
    )
    assert copy.completion == "Yes"
    assert copy.parsed is None
    assert copy.tool_calls[0].arguments is None
    assert copy.tool_calls[0].raw_arguments == "[["


@pytest.mark.parametrize("data", [None, 3, [], {}, {"model": 3}, "text", {"version": 1}])
def test_data_that_is_no_response_is_refused_in_a_sentence(data: Any) -> None:
    with pytest.raises(SettingError, match=r"from_dict\(\) reads what to_dict\(\) returned"):
        APIResponse.from_dict(data)


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_another_version_is_refused_with_its_number(version: Any) -> None:
    with pytest.raises(SettingError, match=f"version {version!r}"):
        APIResponse.from_dict({**APIResponse("m").to_dict(), "version": version})


@pytest.mark.parametrize("name", sorted(set(APIResponse("m").to_dict()) - {"choices"}))
@pytest.mark.parametrize("value", [..., {}, [[]], 1.5, "x"], ids=repr)
def test_a_damaged_field_is_read_or_refused_in_a_sentence(name: str, value: Any) -> None:
    data = APIResponse("m", logprobs=Logprobs.from_entries([])).to_dict()
    data[name] = value
    if value is ...:
        del data[name]
    with contextlib.suppress(SettingError):
        copy = APIResponse.from_dict(data)
        assert isinstance(copy.completion, str | None)
        assert copy.to_dict() == {**data, "choices": []}


# Through a client -----------------------------------------------------------------------------------------------------


def test_a_response_knows_its_prompt_settings_and_tokens(server: ChatServer) -> None:
    prompts: list[Any] = ["One?", [{"role": "user", "content": "Two?"}], Conversation().user("Three?")]
    client = LLMClient("gpt-4o-mini", temperature=0.5)
    responses = client.process_prompts_sync(prompts, show_progress=False)
    assert [response.prompt for response in responses] == prompts
    assert responses[0].prompt is prompts[0]
    assert [response.sampling_params for response in responses] == [SamplingParams(temperature=0.5)] * 3
    assert (responses[0].input_tokens, responses[0].output_tokens, responses[0].cost) == (9, 2, None)


def test_the_prompt_of_a_response_does_not_change_with_the_list_that_was_passed(server: ChatServer) -> None:
    dialogue = [{"role": "user", "content": "One?"}]
    (response,) = LLMClient("gpt-4o-mini").process_prompts_sync([dialogue], show_progress=False)
    dialogue.append({"role": "user", "content": "Two?"})
    assert response.prompt == [{"role": "user", "content": "One?"}]


def test_failed_and_unsent_prompts_are_joined_with_their_prompts_too(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("bad key", status=401)
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=1, seed=1)
    with pytest.warns(UserWarning, match="not sent"):
        responses = client.process_prompts_sync(["One?", "Two?"], show_progress=False)
    assert [response.prompt for response in responses] == ["One?", "Two?"]
    assert all(response.sampling_params == SamplingParams(seed=1) for response in responses)


def test_equal_prompts_keep_the_seed_of_their_own_draw(server: ChatServer) -> None:
    responses = LLMClient("gpt-4o-mini", seed=7).process_prompts_sync(["Same?"] * 3, show_progress=False)
    assert [response.sampling_params.seed for response in responses if response.sampling_params] == [7, 8, 9]


def test_many_responses_share_one_object_of_settings(server: ChatServer) -> None:
    client = LLMClient("gpt-5-mini", logprobs=False, seed=3)
    responses = client.process_prompts_sync([f"{i}?" for i in range(20)], show_progress=False)
    assert len({id(response.sampling_params) for response in responses}) == 1


def test_a_cost_is_that_of_the_server(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, says("Hi"))
        return Reply({**body, "usage": {**body["usage"], "cost": 0.25}})

    server.answer = answer
    (response,) = LLMClient("gpt-4o-mini").process_prompts_sync(["Hi"], show_progress=False)
    assert response.cost == 0.25


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"cost": True, "prompt_tokens": "x"}])
def test_unknown_counts_are_none_and_not_zero(usage: Any) -> None:
    response = APIResponse("m", usage=usage)
    assert (response.input_tokens, response.output_tokens, response.cost) == (None, None, None)


def test_a_whole_batch_goes_to_json_lines_without_the_key(server: ChatServer) -> None:
    server.answer = lambda seen, number: (
        error(f"no such key {KEY}", status=400) if seen.question == "bad" else Reply(chat(seen, says("Hi", "!")))
    )
    client = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2)
    responses = client.process_prompts_sync(["good", "bad"], show_progress=False)
    lines = [json.dumps(response.to_dict(), allow_nan=False) for response in responses]
    assert KEY not in "".join(lines)
    copies = [APIResponse.from_dict(json.loads(line)) for line in lines]
    assert [copy.to_dict() for copy in copies] == [response.to_dict() for response in responses]
    assert contents(copies[0].logprobs) == contents(responses[0].logprobs)
    assert copies[0].raw_response is None
    assert copies[1].raw_response == {"error": responses[1].error_message}


@pytest.mark.parametrize("choices", [3, "x", {"a": 1}, [3], [None], [{}]])
def test_choices_that_are_none_are_refused(choices: Any) -> None:
    saved = APIResponse("m", completion="Yes").to_dict()
    with pytest.raises(SettingError):
        APIResponse.from_dict({**saved, "choices": choices})
