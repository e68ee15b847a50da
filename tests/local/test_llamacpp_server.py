"""A real llama.cpp server, spoken to as its users would: over chat, completions, and its own interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from deluge_nb import APIResponse, Conversation, LLMClient, RawPrompt, SamplingParams, Tool
from deluge_nb.local import default_server
from deluge_nb.models.registry import register_endpoint

pytestmark = pytest.mark.model

ASKED = SamplingParams(logprobs=True, top_logprobs=20, temperature=0, max_new_tokens=12)
QUESTION = Conversation().system("You are a helpful assistant.").user("What is the capital of France?")
PLAIN = RawPrompt("The capital of France is")

Ask = Callable[..., APIResponse]


def chat_client() -> LLMClient:
    address = default_server().address()
    return LLMClient("smollm2", base_url=f"{address.base_url}/v1", api_key=address.key)


def native_client() -> LLMClient:
    address = default_server().address()
    register_endpoint("own", address.base_url, dialect="llamacpp")
    return LLMClient("own/smollm2", api_key=address.key)


@pytest.fixture(params=["whole", "streamed"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Ask at once, or in pieces, which are held against the whole."""

    def asked(client: LLMClient, prompt: Any, params: SamplingParams = ASKED, **more: Any) -> APIResponse:
        if request.param == "whole":
            (response,) = client.process_prompts_sync([prompt], sampling_params=params, show_progress=False, **more)
        else:
            stream = client.stream(prompt, sampling_params=params, **more)
            text = "".join(token.text for token in stream)
            assert stream.response is not None
            response = stream.response
            assert text == (response.completion or "")
        assert not response.is_error, response.error_message
        return response

    return asked


def native(prompt: Any) -> APIResponse:
    """Return the rows that the embedded model's own dialect reads."""
    return LLMClient("local").process_prompts_sync([prompt], sampling_params=ASKED, show_progress=False)[0]


def assert_same(found: APIResponse, wanted: APIResponse) -> None:
    assert found.logprobs is not None
    assert wanted.logprobs is not None
    count = len(wanted.logprobs)
    # The chat route has a row for the end of the turn as well.
    assert count <= len(found.logprobs) <= count + 1
    assert found.logprobs.tokens[:count] == wanted.logprobs.tokens
    assert np.abs(found.logprobs.logprob[:count] - wanted.logprobs.logprob).max() < 1e-3
    for mine, theirs in zip(found.logprobs, wanted.logprobs, strict=False):
        ours = {one["token"]: one["logprob"] for one in mine["top_logprobs"]}
        others = {one["token"]: one["logprob"] for one in theirs["top_logprobs"]}
        assert len(ours) == len(others) == 20
        shared = ours.keys() & others.keys()
        assert len(shared) >= 19
        assert max(abs((ours[one] or 0) - (others[one] or 0)) for one in shared) < 1e-3


def test_a_chat_gives_the_native_dialect_s_rows(ask: Ask) -> None:
    response = ask(chat_client(), QUESTION)
    wanted = native(QUESTION)
    assert response.completion == wanted.completion
    assert_same(response, wanted)
    assert response.usage is not None
    assert response.usage["completion_tokens"] >= 7


def test_old_completions_give_the_native_dialect_s_rows(ask: Ask) -> None:
    response = ask(chat_client(), PLAIN)
    wanted = native(PLAIN)
    assert response.completion == wanted.completion
    assert_same(response, wanted)


def test_the_native_interface_of_a_server_of_one_s_own_is_the_embedded_model_s(ask: Ask) -> None:
    for prompt in (QUESTION, PLAIN):
        response = ask(native_client(), prompt)
        wanted = native(prompt)
        assert response.logprobs is not None
        assert response.completion == wanted.completion
        assert_same(response, wanted)


@pytest.mark.parametrize("client", [chat_client, native_client], ids=["chat", "native"])
def test_an_answer_is_continued_from_its_beginning(ask: Ask, client: Callable[[], LLMClient]) -> None:
    begun = QUESTION.assistant_prefix("The capital of France is")
    response = ask(client(), begun)
    assert response.completion is not None
    assert response.completion.startswith(" Paris")
    assert response.logprobs is not None
    assert response.logprobs.tokens[0] == " Paris"


class City(BaseModel):
    """A city."""

    name: str
    big: bool


@pytest.mark.parametrize("client", [chat_client, native_client], ids=["chat", "native"])
def test_an_answer_has_the_shape_asked_for(ask: Ask, client: Callable[[], LLMClient]) -> None:
    prompt = Conversation().user("Name the capital of France, in JSON.")
    response = ask(client(), prompt, ASKED.replace(max_new_tokens=60), output_schema=City)
    assert isinstance(response.parsed, City)
    assert response.logprobs is not None
    assert response.logprobs.text.startswith(response.completion or "?")


@pytest.mark.parametrize("client", [chat_client, native_client], ids=["chat", "native"])
def test_tools_may_be_offered(ask: Ask, client: Callable[[], LLMClient]) -> None:
    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return city

    params = SamplingParams(temperature=0, max_new_tokens=40)
    response = ask(client(), "What is the weather in Paris?", params, tools=[Tool.from_function(weather)])
    # A model this small may call the tool or write about it; the response must show which.
    assert response.completion or [call.name for call in response.tool_calls] == ["weather"]
