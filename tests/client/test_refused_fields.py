"""A field that a server refuses is left out where the user did not set it, and named where he did."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from deluge_nb import LLMClient, RawPrompt, RequestError, SamplingParams, Tool, score_llm
from deluge_nb.models import COMPATIBLE, LogprobSupport, ModelSpec
from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, says

Wording = Callable[[str], tuple[int, Any]]
HELLO = says("Hel", "lo")


def openai_style(field: str) -> tuple[int, Any]:
    return 400, {"error": {"message": f"Unrecognized request argument supplied: {field}", "type": "invalid_request"}}


def with_param(field: str) -> tuple[int, Any]:
    message = "This parameter is not supported with this model."
    return 400, {"error": {"message": message, "param": field, "code": "unsupported_parameter"}}


def pydantic_style(field: str) -> tuple[int, Any]:
    return 422, {
        "detail": [{"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}]
    }


def plain_text(field: str) -> tuple[int, Any]:
    return 400, f'json: unknown field "{field}"'.encode()


def by_key(field: str) -> tuple[int, Any]:
    return 400, {field: ["This field is not allowed."]}


def with_all_known_fields(field: str) -> tuple[int, Any]:
    known = "`model`, `messages`, `temperature`, `top_p`, `seed`, `max_tokens`"
    return 422, {"error": f"Failed to deserialize the JSON body: unknown field `{field}`, expected one of {known}"}


def by_pointer(field: str) -> tuple[int, Any]:
    return 400, {"errors": [{"source": {"pointer": f"/{field}"}, "title": "Invalid attribute"}]}


def by_list_of_keys(field: str) -> tuple[int, Any]:
    return 400, {"error": {"issues": [{"code": "unrecognized_keys", "keys": [field], "path": []}]}}


def by_schema(field: str) -> tuple[int, Any]:
    fault = {"instancePath": "", "params": {"additionalProperty": field}, "message": "must NOT have more properties"}
    return 400, {"message": "Bad Request", "errors": [fault]}


def inside_the_field(field: str) -> tuple[int, Any]:
    return 422, {"detail": [{"loc": ["body", field, "include_usage"], "msg": "Extra inputs are not permitted"}]}


def in_camel_case(field: str) -> tuple[int, Any]:
    first, *others = field.split("_")
    name = first + "".join(word.title() for word in others)
    return 400, {"error": {"message": f'Unrecognized field "{name}" (class ChatRequest)', "param": field}}


def in_words(field: str) -> tuple[int, Any]:
    return 400, {"message": f"{field.replace('_', ' ').capitalize()} is not supported by this model ({field})."}


def in_chinese(field: str) -> tuple[int, Any]:
    return 400, {"code": 1210, "message": f"参数{field}不支持"}


def with_the_request(field: str) -> tuple[int, Any]:
    request = {"model": "m", "temperature": 0.5, "max_tokens": 1, "stream_options": None, "top_logprobs": 1}
    return 400, {"error": {"message": f"unexpected property {field}", "request": request}}


def of_python(field: str) -> tuple[int, Any]:
    return 500, {"detail": f"generate() got an unexpected keyword argument '{field}'"}


def of_an_older_llama_cpp(field: str) -> tuple[int, Any]:
    return 500, {"error": {"code": 500, "message": f"Unsupported param: {field}", "type": "server_error"}}


def of_a_plan(field: str) -> tuple[int, Any]:
    return 403, {"error": f"The parameter {field} is not available on your plan."}


def in_a_success(field: str) -> tuple[int, Any]:
    return 200, {"error": {"code": 400, "message": f"Unknown parameter: {field}"}}


def in_a_success_without_a_code(field: str) -> tuple[int, Any]:
    return 200, pydantic_style(field)[1]


def beside_the_name_of_a_kind(field: str) -> tuple[int, Any]:
    return 400, {"status": 400, "error": "Bad Request", "message": f'Unrecognized field "{field}" (class Request)'}


WORDINGS = [
    *(openai_style, with_param, pydantic_style, plain_text, by_key, with_all_known_fields, by_pointer),
    *(by_list_of_keys, by_schema, inside_the_field, in_camel_case, in_words, in_chinese, with_the_request, of_python),
    *(of_an_older_llama_cpp, of_a_plan, in_a_success, in_a_success_without_a_code, beside_the_name_of_a_kind),
]


def refusing(server: ChatServer, field: str, wording: Wording) -> None:
    """Refuse requests that have a field; answer others, in a stream where that is asked for."""

    def answer(seen: Seen, number: int) -> Reply:
        if field in seen.body:
            status, body = wording(field)
            return Reply(body, status)
        return Reply(pieces=chunks(seen, HELLO)) if seen.body.get("stream") else Reply(chat(seen, HELLO))

    server.answer = answer


def ask(client: LLMClient, streamed: bool) -> str | None:
    if not streamed:
        response = client.process_prompts_sync(["?"], show_progress=False)[0]
        return response.error_message if response.is_error else response.completion
    stream = client.stream("?")
    return "".join(token.text for token in stream)


# The fields that the client sends of its own accord.
OWN = ["stream_options", "top_logprobs", "temperature", "max_completion_tokens", "provider"]


@dataclass(frozen=True)
class Served:
    """A model whose registry row adds settings that the user does not choose."""

    name: str
    spec: ModelSpec


@pytest.fixture
def model(server: ChatServer) -> Served:
    support = LogprobSupport("full", body={"provider": {"require_parameters": True}})
    defaults = {"temperature": 0.7, "max_new_tokens": 60}
    endpoint = replace(COMPATIBLE, base_url=server.url)
    return Served("own-model", ModelSpec("own-model", endpoint, support, defaults=defaults))


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("field", [*OWN, "max_tokens"])
def test_a_field_of_the_clients_own_is_left_out_and_that_is_remembered(
    server: ChatServer, model: Served, field: str, streamed: bool, wording: Wording
) -> None:
    refusing(server, field, wording)
    client = LLMClient(model, sampling_params=SamplingParams(logprobs=True))
    assert ask(client, streamed) == "Hello"
    sent = len(server.seen)
    was_sent = field in server.seen[0].body
    assert sent == 1 + was_sent
    assert was_sent or field == "max_completion_tokens" or (field == "stream_options" and not streamed)
    assert ask(client, streamed) == "Hello"
    assert len(server.seen) == sent + 1
    if field == "max_tokens":
        assert server.seen[-1].body["max_completion_tokens"] == 60


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("temperature", {"temperature": 0.5}),
        ("top_p", {"top_p": 0.5}),
        ("seed", {"seed": 1}),
        ("stop", {"stop": ["x"]}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 2}),
        ("presence_penalty", {"presence_penalty": 1}),
        ("frequency_penalty", {"frequency_penalty": 1}),
        ("logit_bias", {"logit_bias": {1: 1}}),
        ("reasoning_effort", {"reasoning_effort": "low"}),
        ("my_field", {"extra_body": {"my_field": 1}}),
        ("stream_options", {"extra_body": {"stream_options": {"include_usage": False}}}),
    ],
)
def test_a_field_that_the_user_set_is_named_and_never_dropped(
    server: ChatServer, field: str, settings: dict[str, Any], streamed: bool, wording: Wording
) -> None:
    refusing(server, field, wording)
    client = LLMClient("my-model", base_url=server.url, sampling_params=SamplingParams(**settings))
    if streamed:
        stream = client.stream("?")
        with pytest.raises(Exception, match=field):
            list(stream)
    else:
        assert field in (ask(client, False) or "")
    assert len(server.seen) == 1


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize(("model", "field"), [("gpt-4o-mini", "max_completion_tokens"), ("my-model", "max_tokens")])
def test_the_limit_of_tokens_is_kept_under_its_other_name(
    server: ChatServer, model: str, field: str, wording: Wording
) -> None:
    refusing(server, field, wording)
    client = LLMClient(model, base_url=server.url, max_new_tokens=7)
    assert [ask(client, False), ask(client, False)] == ["Hello", "Hello"]
    assert len(server.seen) == 3
    other = {"max_tokens", "max_completion_tokens"} - {field}
    assert [request.body.get(*other) for request in server.seen] == [None, 7, 7]


def test_a_limit_that_is_too_high_is_not_sent_under_another_name(server: ChatServer) -> None:
    message = "max_tokens is too large: 9000. This model supports at most 4096 completion tokens."
    server.answer = lambda seen, number: Reply({"error": {"message": message, "param": "max_tokens"}}, 400)
    client = LLMClient("my-model", base_url=server.url, max_new_tokens=9000)
    assert "max_tokens" in (ask(client, False) or "")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "message",
    [
        "Streaming is not supported. Set stream=false.",
        "logprobs are only available without streaming",
        "logprobs is not supported with tools + stream",
        "Unsupported parameter: 'stream'",
    ],
)
def test_a_server_that_cannot_stream_is_asked_at_once(server: ChatServer, message: str) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if seen.body.get("stream"):
            return Reply({"error": {"message": message}}, 400)
        return Reply(chat(seen, HELLO))

    server.answer = answer
    client = LLMClient("gpt-4o-mini", logprobs=True)
    for requests in (2, 3):
        tokens = list(client.stream("?"))
        assert [token.token for token in tokens] == ["Hel", "lo"]
        assert len(server.seen) == requests


def test_several_fields_are_left_out_one_after_the_other(server: ChatServer, model: Served) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        for field in ("stream_options", "temperature", "max_tokens"):
            if field in seen.body:
                status, body = openai_style(field)
                return Reply(body, status)
        return Reply(pieces=chunks(seen, HELLO))

    server.answer = answer
    client = LLMClient(model)
    assert [ask(client, True), ask(client, True)] == ["Hello", "Hello"]
    assert len(server.seen) == 5


def test_the_temperature_that_scoring_adds_is_left_out(server: ChatServer) -> None:
    refusing(server, "temperature", with_param)
    client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=2))
    score_llm("{0}", ["a", "b"], client, True, show_progress=False)
    assert "temperature" not in server.seen[-1].body
    chosen = LLMClient("gpt-4o-mini", temperature=0.5)
    assert "temperature" in (ask(chosen, False) or "")


def test_a_server_of_ones_own_is_asked_for_one_alternative_and_none_is_shown(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, HELLO)
        if not seen.body.get("top_logprobs"):
            body["choices"][0]["logprobs"] = None
        return Reply(body)

    server.answer = answer
    for params in (SamplingParams(logprobs=True), SamplingParams(logprobs=True, top_logprobs=0)):
        client = LLMClient("my-model", base_url=server.url, sampling_params=params)
        response = client.process_prompts_sync(["?"], show_progress=False)[0]
        assert server.seen[-1].body["top_logprobs"] == 1
        assert response.logprobs is not None
        assert (response.logprobs.tokens, response.logprobs.most_alternatives) == (["Hel", "lo"], 0)
        assert response.note is None
        assert response.raw_response["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        assert [token.top_logprobs for token in client.stream("?")] == [[], []]


def test_old_completions_of_ones_own_server_are_asked_for_one_alternative(server: ChatServer) -> None:
    table = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}]}
    server.answer = lambda seen, number: Reply({"choices": [{"text": "a", "logprobs": table}]})
    client = LLMClient("my-model", base_url=server.url, logprobs=True)
    response = client.process_prompts_sync([RawPrompt("x")], show_progress=False)[0]
    assert server.seen[-1].body["logprobs"] == 1
    assert response.logprobs is not None
    assert response.logprobs.most_alternatives == 0


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("streamed", [False, True])
def test_no_field_is_left_out_for_one_of_the_users_that_is_refused(
    server: ChatServer, model: Served, streamed: bool, wording: Wording
) -> None:
    refusing(server, "my_field", wording)
    client = LLMClient(model, sampling_params=SamplingParams(logprobs=True, extra_body={"my_field": 1}))
    if streamed:
        stream = client.stream("?")
        with pytest.raises(RequestError, match="my_field"):
            list(stream)
    else:
        assert "my_field" in (ask(client, False) or "")
    assert len(server.seen) == 1


@pytest.mark.parametrize("model", ["my-model", "openai-responses/gpt-4o-mini"])
@pytest.mark.parametrize("settings", [{"tools": [Tool("look", "", {})]}, {"output_schema": {"type": "object"}}])
def test_a_field_inside_others_is_left_out(server: ChatServer, model: str, settings: Any) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if '"strict"' in json.dumps(seen.body):
            return Reply({"error": {"message": "Unknown parameter: 'tools[0].strict'."}}, 400)
        text = [{"type": "message", "content": [{"type": "output_text", "text": "{}"}]}]
        return Reply(chat(seen, says("{}")) | {"output": text})

    server.answer = answer
    client = LLMClient(model, base_url=server.url)
    for _ in range(2):
        (response,) = client.process_prompts_sync(["?"], show_progress=False, **settings)
        assert response.completion == "{}"
    was_sent = '"strict"' in json.dumps(server.seen[0].body)
    assert len(server.seen) == 2 + was_sent
    fields = ("tools", "response_format", "text")
    assert [name in server.seen[-1].body for name in fields] == [name in server.seen[0].body for name in fields]


def test_a_stream_that_is_not_acceptable_is_asked_for_at_once(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply({}, 406) if seen.body.get("stream") else Reply(chat(seen, HELLO))
    client = LLMClient("my-model", base_url=server.url)
    assert [ask(client, True), ask(client, True)] == ["Hello", "Hello"]
    assert len(server.seen) == 3


def test_a_stream_nobody_asked_for_is_read_where_the_field_that_declines_it_is_refused(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if "stream" in seen.body:
            return Reply({"error": "unknown field: stream"}, 400)
        return Reply(b'{"message": {"content": "Hel"}}\n{"message": {"content": "lo"}, "done": true}\n')

    server.answer = answer
    monkeypatch.setenv("OLLAMA_BASE_URL", server.url)
    client = LLMClient("ollama/any")
    assert [ask(client, False), ask(client, False)] == ["Hello", "Hello"]
    assert len(server.seen) == 3
