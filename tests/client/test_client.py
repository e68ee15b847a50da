"""LLMClient over a real socket: order, concurrency, retries, failures as data, settings that are refused."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import threading
import time
import traceback
import weakref
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from deluge_nb import (
    Conversation,
    LLMClient,
    LogprobsMissingError,
    LogprobsNotSupportedError,
    Message,
    MissingKeyError,
    RawPrompt,
    RequestError,
    SamplingParams,
    SettingError,
    Tool,
    UnknownModelError,
    extract_prob,
    register_model,
)
from deluge_nb.errors import MalformedResponseError
from deluge_nb.models.spec import Endpoint
from tests.openai_server import ChatServer, Reply, Seen, chat, error, says

KEY = "sk-test-0123456789"
WITH_LOGPROBS = SamplingParams(logprobs=True, top_logprobs=2)


def ask(client: LLMClient, *prompts: Any, **options: Any) -> list[Any]:
    return client.process_prompts_sync(list(prompts) or ["Hello?"], show_progress=False, **options)


# What is sent -------------------------------------------------------------------------------------------------------


def test_a_prompt_becomes_a_chat_request_with_the_settings(server: ChatServer) -> None:
    params = SamplingParams(
        logprobs=True,
        top_logprobs=3,
        temperature=0.5,
        top_p=0.9,
        max_new_tokens=7,
        seed=1,
        stop="END",
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logit_bias={50: -100},
        extra_body={"user": "me"},
    )
    ask(LLMClient("gpt-4o-mini", sampling_params=params))
    assert server.seen[0].path == "/v1/chat/completions"
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.seen[0].body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hello?"}],
        "logprobs": True,
        "top_logprobs": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_completion_tokens": 7,
        "seed": 1,
        "stop": ["END"],
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logit_bias": {"50": -100.0},
        "user": "me",
    }


def test_nothing_is_sent_that_was_not_set(server: ChatServer) -> None:
    ask(LLMClient("gpt-4o-mini"))
    assert set(server.seen[0].body) == {"model", "messages"}


@pytest.mark.parametrize(
    "prompt",
    [
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        (Message("system", "Be brief."), Message("user", "Hi")),
        Conversation().system("Be brief.").user("Hi"),
    ],
)
def test_a_prompt_may_be_a_list_of_messages_or_a_conversation(server: ChatServer, prompt: Any) -> None:
    ask(LLMClient("gpt-4o-mini"), prompt)
    assert server.seen[0].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_prompts_may_come_from_any_iterable(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")
    assert len(client.process_prompts_sync(("a", "b"), show_progress=False)) == 2
    assert len(client.process_prompts_sync((text for text in "abc"), show_progress=False)) == 3
    assert client.process_prompts_sync([], show_progress=False) == []


def test_a_reasoning_model_is_asked_in_the_way_in_which_it_gives_logprobs(server: ChatServer) -> None:
    ask(LLMClient("gpt-5.1", logprobs=True))
    assert server.seen[0].body["reasoning_effort"] == "none"
    ask(LLMClient("gpt-5.1"))
    assert "reasoning_effort" not in server.seen[1].body


# What comes back ----------------------------------------------------------------------------------------------------


def test_a_response_has_the_text_the_table_and_the_circumstances(server: ChatServer) -> None:
    server.always(("Par", {"Par": 0.75, "Ly": 0.125}), ("is", {"is": 0.5, "k": 0.25}))
    response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0]
    assert response.completion == response.logprobs.text == "Paris"
    assert response.logprobs[0]["top_logprobs"][1]["token"] == "Ly"
    assert extract_prob("par", response.logprobs) == pytest.approx(0.75)
    assert (response.model, response.served_model) == ("gpt-4o-mini", "gpt-4o-mini-2026")
    assert (response.finish_reason, response.status_code) == ("stop", 200)
    assert response.usage["completion_tokens"] == 2
    assert (response.is_error, response.error_message, response.note) == (False, None, None)


def test_the_raw_response_is_the_body_as_it_came(server: ChatServer) -> None:
    sent: list[Any] = []

    def answer(seen: Seen, number: int) -> Reply:
        sent.append(chat(seen, says("Hello", " there")))
        return Reply(sent[-1])

    server.answer = answer
    responses = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS)) + ask(LLMClient("gpt-4o-mini"))
    assert [response.raw_response for response in responses] == sent


def test_responses_come_in_the_order_of_the_prompts(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return Reply(chat(seen, says(seen.question)), delay=0.2 - 0.01 * int(seen.question))

    server.answer = answer
    client = LLMClient("gpt-4o-mini")
    prompts = [str(i) for i in range(20)]
    assert ask(client, *prompts, return_completions_only=True) == prompts


def test_no_more_requests_are_under_way_than_allowed(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("x")), delay=0.03)
    ask(LLMClient("gpt-4o-mini", max_concurrent_requests=3), *"abcdefghijkl")
    assert server.most_in_flight == 3


def test_a_repr_is_one_short_line(server: ChatServer) -> None:
    server.always(*says(*(f" word{i}" for i in range(500))))
    response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0]
    assert len(repr(response)) < 200
    assert "500 tokens" in repr(response)


def test_a_response_survives_pickling(server: ChatServer) -> None:
    response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0]
    again = pickle.loads(pickle.dumps(response))
    assert again.logprobs == response.logprobs
    assert again.raw_response == response.raw_response


def test_the_client_keeps_no_response(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS)
    table = ask(client)[0].logprobs
    vocabulary = weakref.ref(table.columns[1].base if table.columns[1].base is not None else table.columns[1])
    del table
    gc.collect()
    assert vocabulary() is None


def test_several_models_take_turns(server: ChatServer) -> None:
    settings = [SamplingParams(temperature=0), SamplingParams(temperature=1)]
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], sampling_params=settings)
    responses = ask(client, "a", "b", "c")
    assert [response.model for response in responses] == ["gpt-4o-mini", "gpt-4o", "gpt-4o-mini"]
    sent = {seen.question: (seen.body["model"], seen.body["temperature"]) for seen in server.seen}
    assert sent == {"a": ("gpt-4o-mini", 0.0), "b": ("gpt-4o", 1.0), "c": ("gpt-4o-mini", 0.0)}


# Replies that are odd and yet answers -------------------------------------------------------------------------------


def test_null_logprobs_are_a_success_with_a_warning_and_a_single_request(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, says("Yes"))
        body["choices"][0]["logprobs"] = None
        return Reply(body)

    server.answer = answer
    client = LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS)
    with pytest.warns(UserWarning, match="1 of 1 answers came without") as caught:
        response = ask(client)[0]
    assert caught[0].filename == __file__
    assert (response.completion, response.is_error, response.logprobs) == ("Yes", False, None)
    assert "gpt-4o-mini" in (response.note or "")
    assert len(server.seen) == 1


@pytest.mark.parametrize("missing", ["logprobs", "bytes", "top_logprobs"])
def test_fields_that_are_absent_are_no_failure(server: ChatServer, missing: str) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, says("Yes"))
        choice = body["choices"][0]
        if missing == "logprobs":
            del choice["logprobs"]
        else:
            for entry in choice["logprobs"]["content"]:
                del entry[missing]
        return Reply(body)

    server.answer = answer
    if missing == "logprobs":
        with pytest.warns(UserWarning, match="came without"):
            assert ask(LLMClient("gpt-4o-mini", logprobs=True))[0].logprobs is None
    else:
        response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0]
        assert response.logprobs.tokens == ["Yes"]


def test_a_tool_call_is_an_answer_without_a_warning(server: ChatServer, recwarn: pytest.WarningsRecorder) -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}]

    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, [], finish="tool_calls", content=None, tool_calls=calls)
        body["choices"][0]["logprobs"] = None
        return Reply(body)

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    server.answer = answer
    tool = Tool.from_function(add)
    response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS), tools=[tool])[0]
    assert server.seen[0].body["tools"][0]["function"]["name"] == "add"
    assert not response.is_error
    assert tool.call(response.tool_calls[0].arguments) == 3
    assert not recwarn.list
    assert len(server.seen) == 1


def test_a_refusal_keeps_its_table(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, says("I", " can't"), content=None, refusal="I can't")
        table = body["choices"][0]["logprobs"]
        table["content"], table["refusal"] = None, table["content"]
        return Reply(body)

    server.answer = answer
    response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0]
    assert response.completion == response.logprobs.text == "I can't"
    assert "refused" in (response.note or "")
    assert response.raw_response["choices"][0]["logprobs"]["content"] is None


def test_half_an_emoji_and_a_lone_surrogate_arrive_whole(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, [])
        body["choices"][0]["message"]["content"] = "🦆"
        body["choices"][0]["logprobs"]["content"] = [
            {"token": "\\xf0\\x9f\\xa6", "logprob": -0.1, "bytes": [240, 159, 166], "top_logprobs": []},
            {"token": "\ud83e", "logprob": -9999.0, "bytes": [134], "top_logprobs": []},
        ]
        return Reply(json.dumps(body).encode())

    server.answer = answer
    response = ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0]
    assert response.error_message is None
    assert response.logprobs.text == "🦆"
    assert response.logprobs.tokens[1] == "\ufffd"
    assert response.logprobs.censored.tolist() == [False, True]


def test_numbers_that_json_does_not_know_are_read_as_withheld(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = json.dumps(chat(seen, says("a"))).replace('"bytes": [97]', '"bytes": [97], "x": NaN', 1)
        return Reply(body.replace('"x": NaN', '"x": -Infinity').encode())

    server.answer = answer
    assert ask(LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS))[0].logprobs.tokens == ["a"]


def test_a_prefill_that_the_server_repeats_is_not_part_of_the_completion(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return Reply(chat(seen, says(" Paris"), content="The capital is Paris"))

    server.answer = answer
    prompt = Conversation().user("Capital of France?").assistant_prefix("The capital is ")
    response = ask(LLMClient("my-model", base_url=server.url, logprobs=True, continues=True), prompt)[0]
    assert server.seen[0].body["messages"][-1] == {"role": "assistant", "content": "The capital is"}
    assert response.completion == " Paris"


# Failures -----------------------------------------------------------------------------------------------------------


def test_one_failure_leaves_the_other_answers_alone(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if seen.question == "b":
            return error("Invalid prompt: your prompt was flagged.", status=400)
        return Reply(chat(seen, says(seen.question)))

    server.answer = answer
    a, b, c = ask(LLMClient("gpt-4o-mini"), "a", "b", "c")
    assert [a.completion, b.completion, c.completion] == ["a", None, "c"]
    assert (b.is_error, b.status_code, b.logprobs) == (True, 400, None)
    assert b.error_message == "'gpt-4o-mini' at OpenAI answered 400: Invalid prompt: your prompt was flagged."
    assert b.raw_response["error"]["message"] == "Invalid prompt: your prompt was flagged."
    assert isinstance(b.error, RequestError)


def test_a_request_that_is_wrong_is_not_repeated(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("'logprobs' is not supported with this model.", status=400)
    ask(LLMClient("gpt-4o-mini", logprobs=True))
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_passing_trouble_is_tried_again(server: ChatServer, status: int) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return error("busy", status=status, retry_after="0") if number == 0 else Reply(chat(seen, says("ok")))

    server.answer = answer
    assert ask(LLMClient("gpt-4o-mini"))[0].completion == "ok"
    assert len(server.seen) == 2


def test_retry_after_is_obeyed(server: ChatServer) -> None:
    arrived: list[float] = []

    def answer(seen: Seen, number: int) -> Reply:
        arrived.append(time.monotonic())
        return error("slow down", status=429, retry_after="1") if number == 0 else Reply(chat(seen, says("ok")))

    server.answer = answer
    assert ask(LLMClient("gpt-4o-mini"))[0].completion == "ok"
    assert arrived[1] - arrived[0] >= 1.0


def test_a_very_long_retry_after_is_reported_and_not_waited_for(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("come back tomorrow", status=429, retry_after="86400")
    response = ask(LLMClient("gpt-4o-mini"))[0]
    assert "86400 seconds" in response.error_message
    assert response.error.retry_after == 86400
    assert len(server.seen) == 1


def test_an_exhausted_quota_is_not_tried_again(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("You exceeded your quota.", status=429, code="insufficient_quota")
    assert ask(LLMClient("gpt-4o-mini"))[0].status_code == 429
    assert len(server.seen) == 1


def test_attempts_end_at_the_limit(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("down", status=503, retry_after="0")
    response = ask(LLMClient("gpt-4o-mini", max_attempts=3))[0]
    assert (response.is_error, response.status_code, len(server.seen)) == (True, 503, 3)


def test_a_server_that_is_not_there_is_a_failure_with_its_address() -> None:
    client = LLMClient("m", base_url="http://127.0.0.1:9/v1", max_attempts=1)
    response = ask(client)[0]
    assert response.is_error
    assert "http://127.0.0.1:9/v1" in response.error_message
    assert response.raw_response == {"error": response.error_message}


def test_a_silent_server_is_given_up_after_the_timeout(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("late")), delay=5)
    response = ask(LLMClient("gpt-4o-mini", timeout=0.2, max_attempts=1))[0]
    assert "no answer within 0.2 seconds" in response.error_message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"<html>oops</html>", ""),
        (b"<html>" + b"oops" * 100, ""),
        (b"{}", "choices"),
        (b'{"choices": [{}]}', "message"),
        (b'{"choices": 3}', "choices"),
    ],
)
def test_a_body_that_does_not_fit_names_the_field_and_is_not_retried(
    server: ChatServer, body: bytes, field: str
) -> None:
    server.answer = lambda seen, number: Reply(body)
    response = ask(LLMClient("gpt-4o-mini", logprobs=True))[0]
    assert response.is_error
    assert isinstance(response.error, MalformedResponseError)
    assert field in response.error.field
    assert response.raw_response == (
        json.loads(body) if body[:1] == b"{" else body.decode() or {"error": str(response.error)}
    )
    assert len(server.seen) == 1


def test_an_error_inside_a_success_is_an_error(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply({"error": {"message": "upstream is down", "code": 502}})
    response = ask(LLMClient("gpt-4o-mini"))[0]
    assert response.is_error
    assert "upstream is down" in response.error_message


def test_missing_logprobs_of_a_failed_prompt_are_explained_when_used(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("no", status=400)
    with pytest.raises(LogprobsMissingError, match="error_message"):
        extract_prob("yes", ask(LLMClient("gpt-4o-mini", logprobs=True))[0].logprobs)


# Keys ---------------------------------------------------------------------------------------------------------------


def test_a_missing_key_is_named_with_its_variable() -> None:
    with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
        ask(LLMClient("gpt-4o-mini"))


def test_arguments_win_over_the_environment(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    ask(LLMClient("gpt-4o-mini", base_url=server.url, api_key="sk-mine"))
    assert server.seen[0].headers["authorization"] == "Bearer sk-mine"


def test_a_server_of_one_s_own_needs_no_key(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert not ask(LLMClient("llama-3.1-8b-instant", base_url=server.url))[0].is_error
    assert "authorization" not in server.seen[0].headers


def test_a_provider_s_key_is_not_sent_to_a_server_of_one_s_own(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret")
    ask(LLMClient("llama-3.1-8b-instant", base_url=server.url))
    assert "authorization" not in server.seen[0].headers


def test_a_provider_s_key_does_not_follow_openai_s_address(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "ok-secret")
    other = Endpoint("other", "Other", "http://127.0.0.1:9/v1", key_variables=("OTHER_API_KEY",))
    register_model("other-model", endpoint=other)
    response = ask(LLMClient("other-model", max_attempts=1))[0]
    assert "127.0.0.1:9" in response.error_message
    assert not server.seen


def test_a_key_shows_nowhere(server: ChatServer) -> None:
    server.answer = lambda seen, number: error(f"Incorrect API key provided: {KEY}", status=401)
    client = LLMClient("gpt-4o-mini", api_key=KEY, max_attempts=1)
    response = ask(client)[0]
    trace = "".join(traceback.TracebackException.from_exception(response.error, capture_locals=True).format())
    shown = [
        repr(client),
        repr(response),
        response.error_message,
        str(response.raw_response),
        trace,
        repr(vars(client)),
    ]
    assert "[key]" in response.error_message
    assert not [text for text in shown if KEY in text]


def test_a_key_shows_in_no_traceback_of_a_failed_connection() -> None:
    client = LLMClient("gpt-4o-mini", api_key=KEY, base_url="http://127.0.0.1:9", max_attempts=1)
    failed = ask(client)[0].error
    trace = "".join(traceback.TracebackException.from_exception(failed, capture_locals=True).format())
    assert KEY not in trace
    assert failed.__context__ is None or KEY not in repr(vars(failed.__context__))


# Settings and refusals ----------------------------------------------------------------------------------------------


def test_client_settings_are_a_list() -> None:
    client = LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS)
    assert client.sampling_params[0].logprobs is True


def test_settings_of_a_call_take_the_place_of_the_client_s(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(temperature=0))
    assert ask(client, sampling_params=[WITH_LOGPROBS])[0].logprobs is not None
    assert ask(client, sampling_params=WITH_LOGPROBS)[0].logprobs is not None
    assert ask(client)[0].logprobs is None


def test_shortcuts_fill_in_what_the_settings_leave_open() -> None:
    given = SamplingParams(temperature=0)
    client = LLMClient("gpt-4o-mini", sampling_params=given, logprobs=True, top_logprobs=5)
    assert client.sampling_params == [SamplingParams(temperature=0, logprobs=True, top_logprobs=5)]
    assert given == SamplingParams(temperature=0)
    with pytest.raises(SettingError, match=r"temperature=1.* contradicts"):
        LLMClient("gpt-4o-mini", sampling_params=given, temperature=1.0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"top_logprobs": 5}, "needs logprobs=True"),
        ({"logprobs": True, "top_logprobs": 25}, "top_logprobs must be an integer from 0 to 20"),
        ({"top_logprob": 5}, "did you mean 'top_logprobs'"),
        ({"max_concurrent_request": 5}, "did you mean 'max_concurrent_requests'"),
        ({"max_attempts": 0}, "max_attempts must be an integer of at least 1"),
        ({"timeout": 0}, "timeout must be"),
        ({"sampling_params": []}, "sampling_params must be"),
        ({"sampling_params": [1]}, "sampling_params must be"),
        ({"sampling_params": [SamplingParams(), SamplingParams()]}, "one for each of the 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_at_construction(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        LLMClient("gpt-4o-mini", **settings)


def test_a_model_without_logprobs_is_refused_at_construction_with_one_that_has_them() -> None:
    with pytest.raises(LogprobsNotSupportedError, match=r"'claude-sonnet-4-5' gives no .* 'gpt-4o-mini'") as refused:
        LLMClient("claude-sonnet-4-5", sampling_params=WITH_LOGPROBS)
    assert refused.value.alternative == "gpt-4o-mini"
    with pytest.raises(LogprobsNotSupportedError):
        LLMClient(["gpt-4o-mini", "claude-sonnet-4-5"], logprobs=True)


def test_a_model_without_logprobs_is_refused_per_call_and_after_a_change_as_well(server: ChatServer) -> None:
    client = LLMClient("claude-sonnet-4-5", base_url=server.url)
    with pytest.raises(LogprobsNotSupportedError):
        ask(client, sampling_params=WITH_LOGPROBS)
    client.sampling_params[0] = WITH_LOGPROBS
    with pytest.raises(LogprobsNotSupportedError):
        ask(client)
    assert not server.seen


@pytest.mark.parametrize(
    "url", ["", "not an address", "ftp://127.0.0.1/v1", "127.0.0.1:8000/v1", "http://", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_at_construction(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match=r"base_url must be a server's address such as 'http://127.0.0.1:8000/v1'"):
        LLMClient("m", base_url=url)
    if url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        with pytest.raises(SettingError, match="OPENAI_BASE_URL must be a server's address"):
            LLMClient("gpt-4o-mini")


def test_an_unknown_model_is_refused_with_names_that_are_close() -> None:
    with pytest.raises(UnknownModelError, match="'gpt-4o-mini'"):
        LLMClient("gtp-4o-mini")


def test_an_unknown_model_is_tried_on_a_server_of_one_s_own(server: ChatServer) -> None:
    assert ask(LLMClient("my-finetune", base_url=server.url, logprobs=True))[0].logprobs is not None
    assert ask(LLMClient("my-finetune"))[0].completion == "Hello there"  # OPENAI_BASE_URL is set


def test_a_server_of_one_s_own_is_asked_by_the_name_as_it_was_written(server: ChatServer) -> None:
    ask(LLMClient("openai/gpt-4o", base_url=server.url))
    assert server.seen[0].body["model"] == "openai/gpt-4o"


def test_raw_text_and_the_whole_vocabulary_are_for_servers_that_have_them() -> None:
    client = LLMClient("gpt-4o-mini", api_key="k")
    with pytest.raises(SettingError, match="cannot continue raw text"):
        ask(client, RawPrompt("Once"))
    with pytest.raises(SettingError, match="full_vocab=True is for models"):
        LLMClient("gpt-4o-mini", logprobs=True, full_vocab=True)
    with pytest.raises(SettingError, match="cannot continue the beginning of an answer"):
        ask(client, Conversation().user("Hi").assistant_prefix("Well"))
    with pytest.raises(SettingError, match="log-likelihood"):
        client.score_continuations_sync([("a", "b")])


def test_a_lone_string_is_not_taken_letter_by_letter() -> None:
    with pytest.raises(SettingError, match=r"put the one you have in brackets"):
        LLMClient("gpt-4o-mini").process_prompts_sync("Hello")


# Answers of a given shape -------------------------------------------------------------------------------------------


class City(BaseModel):
    name: str
    people: int


def test_an_answer_of_a_given_shape_is_read(server: ChatServer) -> None:
    server.always(*says('{"name": "Paris", "people": 2}'))
    response = ask(LLMClient("gpt-4o-mini"), output_schema=City)[0]
    shape = server.seen[0].body["response_format"]["json_schema"]
    assert (shape["name"], shape["strict"], shape["schema"]["required"]) == ("City", True, ["name", "people"])
    assert response.parsed == City(name="Paris", people=2)


def test_an_answer_that_does_not_fit_keeps_its_text(server: ChatServer) -> None:
    server.always(*says("I do not know"))
    response = ask(LLMClient("gpt-4o-mini"), output_schema=City)[0]
    assert (response.completion, response.parsed, response.is_error) == ("I do not know", None, False)
    assert "does not fit" in (response.note or "")


# Loops, threads, interruption ---------------------------------------------------------------------------------------


async def test_the_synchronous_call_works_inside_a_running_loop(server: ChatServer) -> None:
    assert ask(LLMClient("gpt-4o-mini"))[0].completion == "Hello there"


async def test_the_asynchronous_call_leaves_the_loop_free(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("ok")), delay=0.3)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    responses = await LLMClient("gpt-4o-mini").process_prompts_async(["a", "b"], show_progress=False)
    ticking.cancel()
    assert [response.completion for response in responses] == ["ok", "ok"]
    assert ticks > 10


async def test_a_cancelled_call_keeps_what_had_arrived(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return Reply(chat(seen, says(seen.question)), delay=0 if seen.question == "a" else 30)

    server.answer = answer
    client = LLMClient("gpt-4o-mini")
    call = asyncio.create_task(client.process_prompts_async(["a", "b"], show_progress=False))
    while len(server.seen) < 2 or server.in_flight != 1:  # noqa: ASYNC110 - the server is in another thread
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [response and response.completion for response in client.interrupted] == ["a", None]


def test_a_client_can_be_used_from_many_threads(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", sampling_params=WITH_LOGPROBS)
    server.answer = lambda seen, number: Reply(chat(seen, says(seen.question)))
    found: dict[int, list[str | None]] = {}

    def call(number: int) -> None:
        prompts = [f"{number}-{i}" for i in range(5)]
        found[number] = ask(client, *prompts, return_completions_only=True)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"{number}-{i}" for i in range(5)] for number in range(6)}


def test_calls_share_their_connections(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")
    for _ in range(5):
        ask(client)
    assert len({seen.port for seen in server.seen}) == 1


def test_any_transport_may_take_the_place_of_the_network() -> None:
    class Canned(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=chat(Seen(json.loads(request.content), {}, ""), says("canned")))

    assert ask(LLMClient("gpt-4o-mini", api_key="k", transport=Canned()))[0].completion == "canned"


def test_the_progress_bar_counts_the_prompts(server: ChatServer, capfd: pytest.CaptureFixture[str]) -> None:
    LLMClient("gpt-4o-mini").process_prompts_sync(["a", "b", "c"])
    assert "3/3" in capfd.readouterr().err


def test_nothing_is_printed_without_a_progress_bar(server: ChatServer, capfd: pytest.CaptureFixture[str]) -> None:
    ask(LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5, max_new_tokens=500)))
    assert capfd.readouterr() == ("", "")
