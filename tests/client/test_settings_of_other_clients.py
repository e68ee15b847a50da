"""Settings as people know them from other clients: taken, or refused with what to write here."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

import deluge_nb
from deluge_nb import APIResponse, Cache, Conversation, LLMClient, SettingError, as_logprobs
from tests.openai_server import ChatServer
from tests.secret_hunter import shown


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("request_timeout", "timeout="),
        ("max_retries", "max_attempts="),
        ("max_tokens", "max_new_tokens="),
        ("max_completion_tokens", "max_new_tokens="),
        ("default_headers", "extra_headers="),
        ("token", "api_key="),
        ("verbosity", "extra_body="),
        ("openai_api_key", "api_key="),
        ("azure_ad_token", "extra_headers="),
        ("default_query", "base_url="),
        ("http_client", "transport="),
        ("api_base", "base_url="),
        ("azure_endpoint", "base_url="),
        ("api_version", "base_url="),
        ("max_retires", "max_attempts="),
        ("top_k", "extra_body="),
        ("reasoning", "reasoning_effort="),
    ],
)
def test_a_name_of_another_client_is_refused_with_the_name_here(name: str, remedy: str) -> None:
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(SettingError, match=f"LLMClient has no setting '{name}'; write .*{remedy}") as info:
        LLMClient("gpt-4o-mini", **settings)
    assert info.value.setting == name


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("model", r"LLMClient\('gpt-4o-mini'\)"),
        ("stream", r"client\.stream\(prompt\)"),
        ("response_format", "output_schema="),
        ("tools", "tools="),
        ("progress", "show_progress="),
        ("fallback_models", "is_error"),
        ("postprocess", "after the call"),
    ],
)
def test_what_a_client_does_not_take_is_refused_with_what_to_do(name: str, remedy: str) -> None:
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(SettingError, match=f"LLMClient has no setting '{name}'; .*{remedy}"):
        LLMClient("gpt-4o-mini", **settings)


@pytest.mark.parametrize("name", ["model", "model_name", "model_names"])
def test_a_model_that_is_given_by_a_name_is_asked_to_come_first(name: str) -> None:
    settings: dict[str, Any] = {name: "gpt-4o-mini"}
    with pytest.raises(SettingError, match=rf"LLMClient has no setting '{name}'; the models come first: LLMClient\("):
        LLMClient(**settings)
    with pytest.raises(SettingError, match=r"Name at least one model, as in LLMClient\('local'\)"):
        LLMClient()


@pytest.mark.parametrize(
    ("write", "remedy"),
    [
        ("client.chat.completions.create()", r"process_prompts_sync\(\[prompt\]\)"),
        ("client.process_prompts([])", "process_prompts_async"),
        ("client.wait_for_all()", "as_completed"),
        ("client.with_model('x')", "make another client"),
        ("client.temperature", r"client\.sampling_params\[0\]\.temperature"),
        ("client.embeddings", "there is none here"),
        ("response.choices[0].message.content", r"response\.completion"),
        ("response.content", r"response\.completion"),
        ("response.model_dump()", "to_dict"),
        ("response.prompt_tokens", "input_tokens"),
        ("response.local_cache_hit", "from_cache"),
        ("response.choices[0].logprobs.content[0].token", r"logprobs\[0\]\['token'\]"),
        ("talk.add(1)", "with_response"),
        ("talk.with_user('x')", r"conversation\.user"),
        ("talk.with_image('x.png')", "image=path"),
        ("talk.to_openai()", "for message in conversation"),
        ("deluge_nb.AsyncOpenAI()", "LLMClient"),
        ("deluge_nb.RateLimitError", "is_error"),
    ],
)
def test_a_missing_attribute_says_what_to_write(write: str, remedy: str) -> None:
    response = APIResponse("m", logprobs=as_logprobs([{"token": "a", "logprob": -0.1}]))
    names = {"client": LLMClient("local"), "response": response, "talk": Conversation(), "deluge_nb": deluge_nb}
    for space in (names, copy.deepcopy({**names, "deluge_nb": None}) | {"deluge_nb": deluge_nb}):
        with pytest.raises(AttributeError, match=f"has no attribute '.*'; .*{remedy}"):
            eval(write, space)


def test_any_other_missing_attribute_is_reported_as_python_does() -> None:
    with pytest.raises(AttributeError, match=r"'LLMClient' object has no attribute 'usages'$") as caught:
        getattr(LLMClient("local"), "usages")  # noqa: B009 - a type checker would refuse it
    assert caught.value.name == "usages"
    assert not hasattr(APIResponse("m"), "content")


@pytest.mark.parametrize("call", ["process_prompts_sync", "process_prompts_async", "stream", "as_completed", "ask_all"])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [("temperature", r"SamplingParams\(temperature=…\)"), ("verbose", "show_progress="), ("cache", "use_cache=")],
)
def test_an_argument_of_another_client_says_what_to_write(call: str, name: str, remedy: str) -> None:
    with pytest.raises(TypeError, match=rf"{call}\(\) has no argument '{name}'; .*{remedy}"):
        getattr(LLMClient("local"), call)(["?"], **{name: 1})
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        getattr(LLMClient("local"), call)(["?"], nonsense=1)


def test_a_client_is_closed_at_the_end_of_with(server: ChatServer) -> None:
    with LLMClient("gpt-4o-mini") as client:
        assert not client.process_prompts_sync(["?"], show_progress=False)[0].is_error
        assert client._routes[0]._open is not None
    assert client._routes[0]._open is None


def test_uniform_weights_deal_the_prompts_out_evenly(server: ChatServer) -> None:
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], model_weights="uniform")
    responses = client.process_prompts_sync([str(i) for i in range(6)], show_progress=False)
    assert [response.model for response in responses] == ["gpt-4o-mini", "gpt-4o"] * 3


@pytest.mark.parametrize("weights", ["even", "", "uniform ", "11"])
def test_any_other_word_for_weights_is_refused(weights: Any) -> None:
    with pytest.raises(SettingError, match="model_weights must be 'uniform', or one number for each of the 2 models"):
        LLMClient(["gpt-4o-mini", "gpt-4o"], model_weights=weights)


def test_a_key_under_a_wrong_name_is_not_kept_by_the_error() -> None:
    with pytest.raises(SettingError, match="did you mean 'api_key'") as raised:
        LLMClient("gpt-4o-mini", **cast(Any, {"apikey": "sk-secret-1234567890"}))
    trace = raised.value.__traceback__
    assert trace is not None
    assert "sk-secret" not in shown(raised.value.with_traceback(trace.tb_next))


@pytest.mark.parametrize("transport", [5, httpx.HTTPTransport(), httpx.AsyncClient])
def test_what_carries_no_requests_is_refused(transport: Any) -> None:
    with pytest.raises(SettingError, match=r"transport must be an httpx\.AsyncBaseTransport, not "):
        LLMClient("gpt-4o-mini", transport=transport)


@pytest.mark.parametrize("tools", [5, "weather", print])
def test_tools_that_are_no_list_are_refused(tools: Any) -> None:
    with pytest.raises(SettingError, match="tools must be a list of functions, not"):
        LLMClient("gpt-4o-mini", api_key="sk-invalid").process_prompts_sync(["a"], tools=tools, show_progress=False)


@pytest.mark.parametrize("prompt", ["", ["a"], 5])
def test_a_stream_names_its_prompt_in_errors(prompt: Any) -> None:
    with pytest.raises(SettingError, match=r"^prompt(\[0\])? (is|must be)"):
        LLMClient("gpt-4o-mini", api_key="sk-invalid").stream(prompt)


@pytest.mark.parametrize("size", ["a", 0, True, 1.5])
def test_a_cache_without_room_is_refused(tmp_path: Path, size: Any) -> None:
    with pytest.raises(SettingError, match="max_bytes must be an integer of at least 1"):
        Cache(tmp_path / "answers.sqlite3", max_bytes=size)
