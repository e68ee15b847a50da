"""The steps of one request, each alone: build, cache, send, respond, fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deluge_nb import Cache, LLMClient, LogprobsNotSupportedError, RequestError, SamplingParams, SettingError
from deluge_nb.client.cache.draws import DrawCache
from deluge_nb.client.credentials import Access
from deluge_nb.client.route import Route
from deluge_nb.client.sending.request import Item, as_failure, as_response, build_ask, is_cut_off, send
from deluge_nb.dialects.base import Completion
from deluge_nb.logprobs.table import Logprobs
from deluge_nb.models import REGISTRY
from deluge_nb.prompts import as_prompt
from deluge_nb.tools import as_output_schema
from deluge_nb.transport import portal
from deluge_nb.transport.streaming import StreamListener
from tests.openai_server import ChatServer, Reply, Seen, chat, error, says

PARAMS = SamplingParams(logprobs=True, top_logprobs=2)
ANSWER = Completion(
    text="Hi", logprobs=Logprobs.from_entries([{"token": "Hi", "logprob": -0.1, "top_logprobs": []}]), raw={"a": 1}
)


@pytest.fixture
def route(server: ChatServer) -> Iterator[Route]:
    opened = Route("gpt-4o-mini", access=Access(), attempts=1, timeout=10.0, transport=None)
    yield opened
    opened.close()


def item(route: Route, params: SamplingParams = PARAMS, prompt: str = "Hello?") -> Item:
    return Item(route, as_prompt(prompt), params)


def listener() -> StreamListener:
    return StreamListener(lambda deltas: None)


# build_ask ------------------------------------------------------------------------------------------------------------


def test_a_request_has_the_model_the_prompt_and_the_settings_of_its_item(route: Route) -> None:
    ask = build_ask(item(route), stream=True)
    assert (ask.model, ask.prompt, ask.params.top_logprobs, ask.stream) == (
        "gpt-4o-mini",
        as_prompt("Hello?"),
        2,
        True,
    )


def test_a_model_that_wanted_a_boolean_gets_one_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "key")
    route = Route("together/moonshot", access=Access(), attempts=1, timeout=1.0, transport=None)
    assert build_ask(item(route)).endpoint.counted_logprobs
    REGISTRY.observations.record_boolean_logprobs(route.endpoint, route.model)
    assert not build_ask(item(route)).endpoint.counted_logprobs


# DrawCache ------------------------------------------------------------------------------------------------------------


def test_equal_requests_of_a_call_have_different_keys_and_a_new_call_the_same_ones(
    route: Route, tmp_path: Path
) -> None:
    cache, ask = Cache(tmp_path / "answers"), build_ask(item(route))
    first, second = DrawCache(cache), DrawCache(cache)
    keys = [first.next_key(ask, route) for _ in range(3)]
    assert len(set(keys)) == 3
    assert [second.next_key(ask, route) for _ in range(3)] == keys


def test_without_a_cache_there_is_no_key_and_nothing_is_found(route: Route) -> None:
    draws, ask = DrawCache(None), build_ask(item(route))
    key = draws.next_key(ask, route)
    asyncio.run(draws.put(key, ask, ANSWER))
    assert key is None
    assert asyncio.run(draws.get(key, ask)) is None


def test_a_completion_that_was_put_is_found_under_its_key(route: Route, tmp_path: Path) -> None:
    draws, ask = DrawCache(Cache(tmp_path / "answers")), build_ask(item(route, SamplingParams(logprobs=True)))
    key = draws.next_key(ask, route)
    asyncio.run(draws.put(key, ask, ANSWER))
    found = asyncio.run(draws.get(key, ask))
    assert found is not None
    assert (found.text, found.raw) == ("Hi", {"a": 1})


# send -----------------------------------------------------------------------------------------------------------------


def sent(route: Route, ask: Any) -> Completion:
    return portal.run(send(ask, route.transport()))


def test_a_request_that_is_sent_becomes_a_completion(server: ChatServer, route: Route) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("Hi", "!")))
    assert sent(route, build_ask(item(route))).text == "Hi!"


def test_a_refusal_without_another_form_is_raised_at_once(server: ChatServer, route: Route) -> None:
    server.answer = lambda seen, number: error("no such thing", status=400)
    with pytest.raises(RequestError, match="no such thing"):
        sent(route, build_ask(item(route)))
    assert len(server.seen) == 1


def test_a_refusal_that_names_another_form_is_followed_once(server: ChatServer, route: Route) -> None:
    def reply(seen: Seen, number: int) -> Reply:
        if number == 0:
            return error("logprobs is not supported with tools + stream", status=400)
        return Reply(chat(seen, says("Hi")))

    server.answer = reply
    assert sent(route, build_ask(item(route), stream=True)).text == "Hi"
    assert [request.body.get("stream", False) for request in server.seen] == [True, False]


# as_response, as_failure ----------------------------------------------------------------------------------------------


def test_a_response_has_the_completion_and_the_value_that_fits_the_schema(route: Route) -> None:
    ask = build_ask(item(route, SamplingParams()), output_schema=as_output_schema(list[int]))
    response = as_response(ask, Completion(text="[1, 2]", logprobs=None, raw={}))
    assert (response.completion, response.parsed, response.note) == ("[1, 2]", [1, 2], None)


def test_an_answer_that_does_not_fit_the_schema_has_a_note(route: Route) -> None:
    ask = build_ask(item(route, SamplingParams()), output_schema=as_output_schema(list[int]))
    response = as_response(ask, Completion(text="none", logprobs=None, raw={}))
    assert response.parsed is None
    assert "does not fit output_schema" in (response.note or "")


def test_a_stream_that_was_stopped_is_an_answer_with_a_note(route: Route) -> None:
    stopped = listener()
    stopped.stop()
    response = as_response(build_ask(item(route, SamplingParams(logprobs=True))), ANSWER, stopped)
    assert is_cut_off(stopped)
    assert (response.is_error, response.note) == (False, "interrupted")


def test_a_stream_that_broke_off_is_an_error_with_what_arrived(route: Route) -> None:
    broken = listener()
    broken.error = RequestError("it broke off", model="gpt-4o-mini")
    response = as_response(build_ask(item(route)), ANSWER, broken)
    assert is_cut_off(broken)
    assert (response.is_error, response.error_message, response.completion) == (True, "it broke off", "Hi")


def test_a_whole_stream_is_not_cut_off() -> None:
    assert not is_cut_off(None)
    assert not is_cut_off(listener())


def test_a_refusal_of_logprobs_becomes_the_error_for_one(route: Route) -> None:
    refused = RequestError("logprobs are not available", model="gpt-4o-mini", status_code=400)
    response = as_failure(build_ask(item(route)), refused)
    assert isinstance(response.error, LogprobsNotSupportedError)
    assert response.status_code == 400


def test_a_failure_keeps_no_traceback(route: Route) -> None:
    try:
        raise RequestError("gone", model="gpt-4o-mini")
    except RequestError as raised:
        response = as_failure(build_ask(item(route)), raised)
    assert response.error is not None
    assert response.error.__traceback__ is None


def test_a_bug_is_reported_as_an_internal_error(route: Route) -> None:
    response = as_failure(build_ask(item(route)), ZeroDivisionError("division by zero"))
    assert response.error_message == "internal error: ZeroDivisionError: division by zero"


def test_a_stream_that_never_began_fails_with_the_reason_it_broke(route: Route) -> None:
    broken = listener()
    broken.error = RequestError("no more came in time", model="gpt-4o-mini")
    response = as_failure(build_ask(item(route)), RequestError("empty body", model="gpt-4o-mini"), broken)
    assert response.error_message == "no more came in time"


@pytest.mark.parametrize("value", [{1}, object(), b"x", float("nan"), "\ud800", {"x": [1, {2}]}, {(1, 2): 3}])
def test_a_field_that_json_does_not_have_is_refused_before_any_request(server: ChatServer, value: Any) -> None:
    client = LLMClient("gpt-4o-mini", extra_body={"deep": {"mine": value}})
    with pytest.raises(SettingError, match=r"^'deep\.mine.*' of the request must be "):
        client.process_prompts_sync(["Hello?"], show_progress=False)
    assert not server.seen


def test_values_of_numpy_are_sent_as_numbers(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", extra_body={"a": np.float32(0.5), "b": np.arange(2)})
    client.process_prompts_sync(["Hello?"], show_progress=False)
    assert (server.seen[0].body["a"], server.seen[0].body["b"]) == (0.5, [0, 1])


@pytest.mark.parametrize("settings", [{}, {"extra_body": {"a": 1}}])
def test_half_a_character_in_one_prompt_costs_no_other_prompt(server: ChatServer, settings: dict[str, Any]) -> None:
    client = LLMClient("gpt-4o-mini", **settings)
    bad, good = client.process_prompts_sync(["\ud800", "Hello?"], show_progress=False)
    assert isinstance(bad.error, SettingError)
    assert "'messages[0].content'" in str(bad.error)
    assert (good.completion, len(server.seen)) == ("Hello there", 1)
