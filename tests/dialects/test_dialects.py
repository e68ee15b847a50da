"""The Responses, Anthropic and Ollama dialects over a real socket: asked, read whole, read in pieces."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deluge_nb
from deluge_nb import (
    APIResponse,
    Conversation,
    LLMClient,
    LogprobsNotSupportedError,
    MalformedResponseError,
    RawPrompt,
    RequestError,
    SamplingParams,
    SettingError,
    Stream,
    Tool,
)
from deluge_nb.dialects.base import load
from deluge_nb.models.registry import DIALECTS
from tests.openai_server import ChatServer, Reply, event

ASKED = SamplingParams(logprobs=True, top_logprobs=2, max_new_tokens=20, temperature=0)
PLAIN = SamplingParams(max_new_tokens=20)
ADD = Tool("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
SHAPE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1+1?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "2"},
]


def token(text: str, logprob: float, *others: tuple[str, float]) -> dict[str, Any]:
    top = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in ((text, logprob), *others)]
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": top}


ROWS = [token("O", -0.0213, ("The", -4.1463)), token("slo", -0.25, ("tto", -2.0))]


@pytest.fixture
def at(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], LLMClient]:
    """A client for a model, whose provider is this server."""
    for name in ("ANTHROPIC", "OLLAMA", "VERTEX", "TOGETHER", "VLLM"):
        monkeypatch.setenv(f"{name}_BASE_URL", server.url)
        monkeypatch.setenv(f"{name}_API_KEY", f"key-of-{name.lower()}")

    return lambda model: LLMClient(model, max_attempts=1)


def ask(
    client: LLMClient, prompt: Any = "Capital of Norway?", params: SamplingParams = ASKED, **more: Any
) -> APIResponse:
    return client.process_prompts_sync([prompt], sampling_params=params, show_progress=False, **more)[0]


def heard(client: LLMClient, params: SamplingParams = ASKED, **more: Any) -> tuple[list[str], APIResponse]:
    stream = client.stream("Capital of Norway?", sampling_params=params, **more)
    assert isinstance(stream, Stream)
    texts = [one.text for one in stream]
    assert stream.response is not None
    return texts, stream.response


def answering(server: ChatServer, body: Any, status: int = 200) -> None:
    server.answer = lambda seen, number: Reply(body, status)


def sending(server: ChatServer, pieces: list[bytes], kind: str = "text/event-stream") -> None:
    server.answer = lambda seen, number: Reply(pieces=pieces, headers={"content-type": kind})


def assert_oslo(response: APIResponse) -> None:
    assert response.completion == "Oslo"
    assert response.logprobs is not None
    assert list(response.logprobs) == ROWS


# OpenAI's Responses ---------------------------------------------------------------------------------------------------

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "status": "completed",
    "model": "gpt-4.1-2025-04-14",
    "output": [
        {"type": "reasoning", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Oslo", "annotations": [], "logprobs": ROWS}],
        },
    ],
    "usage": {
        "input_tokens": 14,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 17,
    },
    "error": None,
}


def test_a_response_is_asked_for_and_read(server: ChatServer, at: Any) -> None:
    answering(server, RESPONSE)
    client = at("openai-responses/gpt-4.1")
    response = ask(client)
    assert_oslo(response)
    assert server.seen[0].path == "/v1/responses"
    assert server.seen[0].body == {
        "model": "gpt-4.1",
        "input": [{"role": "user", "content": "Capital of Norway?"}],
        "store": False,
        "temperature": 0.0,
        "max_output_tokens": 20,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
    }
    assert response.finish_reason == "stop"
    used = client.usage
    assert (used.prompt_tokens, used.completion_tokens, used.cached_tokens, used.reasoning_tokens) == (14, 3, 4, 1)


def test_a_response_in_pieces_is_the_same(server: ChatServer, at: Any) -> None:
    def part(row: dict[str, Any]) -> bytes:
        bare = [{"token": one["token"], "logprob": one["logprob"]} for one in row["top_logprobs"]]
        fields = {"token": row["token"], "logprob": row["logprob"], "top_logprobs": bare}
        return event({"type": "response.output_text.delta", "delta": row["token"], "logprobs": [fields]})

    last = event({"type": "response.completed", "response": RESPONSE})
    sending(server, [event({"type": "response.created", "response": {}}), *map(part, ROWS), last])
    texts, response = heard(at("openai-responses/gpt-4.1"))
    assert texts == ["O", "slo"]
    assert_oslo(response)
    sending(server, [part(ROWS[0])])
    stream = at("openai-responses/gpt-4.1").stream("?", sampling_params=ASKED)
    with pytest.raises(RequestError, match="ended before the answer did"):
        list(stream)
    assert stream.response.completion == "O"
    assert stream.response.logprobs.tokens == ["O"]


def test_a_response_s_tools_shape_and_effort_are_asked_for(server: ChatServer, at: Any) -> None:
    call = {"type": "function_call", "name": "add", "arguments": '{"a": 2}', "call_id": "c9"}
    answering(server, {**RESPONSE, "output": [call]})
    response = ask(at("openai-responses/gpt-5.1"), TALK, tools=[ADD], output_schema=SHAPE)
    body = server.seen[0].body
    assert body["reasoning"] == {"effort": "none"}
    assert body["text"]["format"]["schema"] == SHAPE
    assert body["tools"][0] == {
        "type": "function", "strict": False, "name": "add", "description": "Adds.", "parameters": ADD.parameters
    }  # fmt: skip
    assert body["input"][2:] == [
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
    ]
    assert [(one.name, one.arguments, one.id) for one in response.tool_calls] == [("add", {"a": 2}, "c9")]
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("change", "reason", "completion"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", "Oslo"),
        ({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]}, "stop", "No."),
    ],
)
def test_the_reason_for_the_end_of_a_response_is_reported(
    server: ChatServer, at: Any, change: Any, reason: str, completion: str
) -> None:
    answering(server, {**RESPONSE, **change})
    response = ask(at("openai-responses/gpt-4.1"), params=PLAIN)
    assert (response.finish_reason, response.completion) == (reason, completion)


@pytest.mark.parametrize(
    "settings", [{"stop": ("x",)}, {"seed": 3}, {"max_new_tokens": 5}, {"logit_bias": {5: 1}}], ids=str
)
def test_settings_that_responses_do_not_have_are_refused_before_any_request(
    server: ChatServer, at: Any, settings: Any
) -> None:
    response = ask(at("openai-responses/gpt-4.1"), params=SamplingParams(**settings))
    assert isinstance(response.error, SettingError)
    assert not server.seen


def test_models_that_only_reason_are_refused_there_as_well(at: Any) -> None:
    with pytest.raises(LogprobsNotSupportedError):
        ask(at("openai-responses/o3-mini"))


@pytest.mark.parametrize("failed", [{"status": "failed", "error": {"message": "gone"}}, {"error": {"message": "gone"}}])
def test_a_response_that_failed_is_an_error(server: ChatServer, at: Any, failed: Any) -> None:
    answering(server, {**RESPONSE, **failed})
    assert "gone" in (ask(at("openai-responses/gpt-4.1")).error_message or "")
    sending(server, [event({"type": "response.failed", "response": {"error": {"message": "gone"}}})])
    with pytest.raises(RequestError, match="gone"):
        list(at("openai-responses/gpt-4.1").stream("?"))


def test_a_response_without_output_is_reported(server: ChatServer, at: Any) -> None:
    answering(server, {"status": "completed"})
    assert isinstance(ask(at("openai-responses/gpt-4.1")).error, MalformedResponseError)


# Anthropic ------------------------------------------------------------------------------------------------------------

MESSAGE: dict[str, Any] = {
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Oslo"}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 5,
        "output_tokens": 4,
    },
}


def test_claude_is_asked_in_its_own_dialect(server: ChatServer, at: Any) -> None:
    answering(server, MESSAGE)
    client = at("claude-sonnet-4-5")
    response = ask(client, TALK, SamplingParams(stop=("x",), temperature=0.5), tools=[ADD])
    seen = server.seen[0]
    assert seen.path == "/v1/messages"
    assert (seen.headers["x-api-key"], seen.headers["anthropic-version"]) == ("key-of-anthropic", "2023-06-01")
    assert "authorization" not in seen.headers
    assert seen.body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "system": "Be brief.",
        "temperature": 0.5,
        "stop_sequences": ["x"],
        "messages": [
            {"role": "user", "content": "1+1?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "2"}]},
        ],
        "tools": [{"name": "add", "description": "Adds.", "input_schema": ADD.parameters}],
    }
    assert (response.completion, response.finish_reason) == ("Oslo", "stop")
    assert (client.usage.prompt_tokens, client.usage.cached_tokens, client.usage.completion_tokens) == (18, 5, 4)


def test_claude_s_prefill_is_a_last_message(server: ChatServer, at: Any) -> None:
    answering(server, MESSAGE)
    ask(at("claude-sonnet-4-5"), Conversation().user("Capital?").assistant_prefix("It is"), PLAIN)
    assert server.seen[0].body["messages"][-1] == {"role": "assistant", "content": "It is"}


def test_claude_s_tool_calls_are_read(server: ChatServer, at: Any) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 2}}
    answering(server, {**MESSAGE, "content": [call], "stop_reason": "tool_use"})
    response = ask(at("claude-sonnet-4-5"), params=PLAIN, tools=[ADD])
    assert [(one.name, one.arguments, one.id) for one in response.tool_calls] == [("add", {"a": 2}, "t1")]
    assert (response.completion, response.finish_reason) == (None, "tool_calls")


def test_claude_answers_in_a_shape(server: ChatServer, at: Any) -> None:
    shaped = {"type": "tool_use", "id": "t1", "name": "answer", "input": {"n": 3}}
    answering(server, {**MESSAGE, "content": [shaped], "stop_reason": "tool_use"})
    response = ask(at("claude-sonnet-4-5"), params=PLAIN, output_schema=SHAPE)
    assert server.seen[0].body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert (response.parsed, response.tool_calls, response.finish_reason) == ({"n": 3}, (), "stop")


def test_claude_is_streamed(server: ChatServer, at: Any) -> None:
    def delta(index: int, **fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": fields}

    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        delta(0, type="text_delta", text="Os"),
        delta(0, type="text_delta", text="lo"),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "add"}},
        delta(1, type="input_json_delta", partial_json='{"a"'),
        delta(1, type="input_json_delta", partial_json=": 2}"),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    sending(server, [b"event: x\n" + event(one) for one in events])
    texts, response = heard(at("claude-sonnet-4-5"), PLAIN, tools=[ADD])
    assert texts == ["Os", "lo"]
    assert response.completion == "Oslo"
    assert response.tool_calls[0].arguments == {"a": 2}
    assert response.usage is not None
    assert response.usage["completion_tokens"] == 9


def test_log_probabilities_of_claude_are_refused_before_any_request(server: ChatServer, at: Any) -> None:
    with pytest.raises(LogprobsNotSupportedError):
        ask(at("claude-sonnet-4-5"))
    assert not server.seen


def test_claude_s_failures_are_reported(server: ChatServer, at: Any) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    for status in (529, 200):
        answering(server, overloaded, status)
        assert "Overloaded" in (ask(at("claude-sonnet-4-5"), params=PLAIN).error_message or "")
    sending(server, [event(overloaded)])
    with pytest.raises(RequestError, match="Overloaded"):
        list(at("claude-sonnet-4-5").stream("?"))
    response = ask(at("claude-sonnet-4-5"), params=SamplingParams(seed=3))
    assert isinstance(response.error, SettingError)


# Ollama ---------------------------------------------------------------------------------------------------------------

CHAT: dict[str, Any] = {
    "model": "gemma3",
    "created_at": "2026-11-20T10:00:00Z",
    "message": {"role": "assistant", "content": "Oslo"},
    "done": True,
    "done_reason": "stop",
    "logprobs": ROWS,
    "prompt_eval_count": 19,
    "eval_count": 2,
}


def test_ollama_is_asked_in_its_own_dialect(server: ChatServer, at: Any) -> None:
    answering(server, CHAT)
    params = ASKED.replace(stop=("x",), seed=3, reasoning_effort="none")
    response = ask(at("ollama/gemma3"), TALK, params, tools=[ADD], output_schema=SHAPE)
    assert server.seen[0].path == "/api/chat"
    body = server.seen[0].body
    assert body["options"] == {"temperature": 0.0, "seed": 3, "num_predict": 20, "stop": ["x"]}
    assert (body["logprobs"], body["top_logprobs"], body["think"], body["stream"]) == (True, 2, False, False)
    assert body["format"] == SHAPE
    assert body["messages"][2]["tool_calls"] == [{"function": {"name": "add", "arguments": {"a": 1}}}]
    assert_oslo(response)
    assert response.usage == {"prompt_tokens": 19, "completion_tokens": 2, "total_tokens": 21}
    assert response.finish_reason == "stop"


def test_ollama_continues_raw_text(server: ChatServer, at: Any) -> None:
    reply = {name: value for name, value in CHAT.items() if name != "message"} | {"response": "Oslo"}
    answering(server, reply)
    assert_oslo(ask(at("ollama/gemma3"), RawPrompt("The capital of Norway is")))
    assert server.seen[0].path == "/api/generate"
    assert (server.seen[0].body["prompt"], server.seen[0].body["raw"]) == ("The capital of Norway is", True)


def test_ollama_s_tool_calls_are_read(server: ChatServer, at: Any) -> None:
    call = {"function": {"name": "add", "arguments": {"a": 2}}}
    answering(server, {**CHAT, "message": {"role": "assistant", "content": "", "tool_calls": [call]}})
    response = ask(at("ollama/gemma3"), params=PLAIN, tools=[ADD])
    assert (response.tool_calls[0].arguments, response.completion) == ({"a": 2}, None)


def test_ollama_is_streamed_line_by_line(server: ChatServer, at: Any) -> None:
    def line(text: str, rows: list[Any], **more: Any) -> bytes:
        fields = {"model": "gemma3", "message": {"role": "assistant", "content": text}, "logprobs": rows, **more}
        return json.dumps(fields).encode() + b"\n"

    last = line("", [], done=True, done_reason="stop", prompt_eval_count=19, eval_count=2)
    # The text of the first token is held back until the second.
    first = line("", ROWS[:1])
    sending(server, [first[:30], first[30:], line("Oslo", ROWS[1:]), last], "application/x-ndjson")
    texts, response = heard(at("ollama/gemma3"))
    assert texts == ["", "Oslo"]
    assert_oslo(response)
    assert response.usage == {"prompt_tokens": 19, "completion_tokens": 2, "total_tokens": 21}
    assert server.seen[0].body["stream"] is True


def test_ollama_s_failures_are_reported(server: ChatServer, at: Any) -> None:
    for status in (404, 200):
        answering(server, {"error": 'model "x" not found'}, status)
        assert 'model "x" not found' in (ask(at("ollama/x")).error_message or "")
    sending(server, [b'{"error": "out of memory"}\n'], "application/x-ndjson")
    with pytest.raises(RequestError, match="out of memory"):
        list(at("ollama/x").stream("?"))
    answering(server, {"model": "x"})
    assert isinstance(ask(at("ollama/x")).error, MalformedResponseError)


def test_an_entry_of_ollama_may_lack_empty_fields(server: ChatServer, at: Any) -> None:
    answering(server, {**CHAT, "logprobs": [{"token": "Oslo", "logprob": -0.04}]})
    response = ask(at("ollama/gemma3"), params=SamplingParams(logprobs=True))
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["Oslo"]


# Others ---------------------------------------------------------------------------------------------------------------


def test_mlx_is_refused_for_it_names_the_wrong_token(server: ChatServer) -> None:
    with pytest.raises(LogprobsNotSupportedError, match="may report any of the alternatives"):
        ask(LLMClient("mlx/some-model"))


def test_raw_text_goes_to_the_completions_route(server: ChatServer, at: Any) -> None:
    columns = {"tokens": [" a"], "token_logprobs": [-0.5], "top_logprobs": [{" a": -0.5, " b": -1.5}]}
    answering(server, {"choices": [{"text": " a", "logprobs": columns, "finish_reason": "stop"}]})
    response = ask(at("vllm/any"), RawPrompt("Once"))
    assert server.seen[0].path == "/v1/completions"
    assert (server.seen[0].body["prompt"], server.seen[0].body["logprobs"]) == ("Once", 2)
    assert response.logprobs is not None
    assert response.logprobs.tokens == [" a"]


def test_a_chat_shaped_table_of_completions_is_read(server: ChatServer, at: Any) -> None:
    answering(server, {"choices": [{"text": "Oslo", "logprobs": {"content": ROWS}, "finish_reason": "stop"}]})
    assert_oslo(ask(at("vllm/any"), RawPrompt("Once")))


def test_together_is_asked_with_a_boolean_if_it_refuses_a_number(server: ChatServer, at: Any) -> None:
    def answer(seen: Any, number: int) -> Reply:
        if not isinstance(seen.body["logprobs"], bool):
            message = "invalid type: integer `2`, expected a boolean"
            return Reply({"error": {"message": message}}, 400)
        return Reply({"choices": [{"message": {"content": "Oslo"}, "logprobs": {"content": ROWS}}]})

    server.answer = answer
    client = at("together/openai/gpt-oss-20b")
    assert_oslo(ask(client))
    assert_oslo(ask(client))
    assert [one.body["logprobs"] for one in server.seen] == [2, True, True]
    assert server.seen[-1].body["top_logprobs"] == 2


@pytest.mark.parametrize(
    ("key", "header", "value"),
    [("AIza-1", "x-goog-api-key", "AIza-1"), ("ya29.abc", "authorization", "Bearer ya29.abc")],
)
def test_vertex_takes_keys_and_access_tokens(
    server: ChatServer, at: Any, monkeypatch: Any, key: str, header: str, value: str
) -> None:
    monkeypatch.delenv("VERTEX_API_KEY")
    monkeypatch.setenv("VERTEX_ACCESS_TOKEN", key)
    answering(server, {"candidates": [{"content": {"parts": [{"text": "Oslo"}]}, "finishReason": "STOP"}]})
    assert ask(at("vertex/gemini-2.0-flash"), params=PLAIN).completion == "Oslo"
    assert server.seen[0].headers[header] == value
    assert len({"x-goog-api-key", "authorization"} & set(server.seen[0].headers)) == 1


MODULES = sorted((Path(deluge_nb.__file__).parent / "dialects").rglob("*.py"))


def defined(path: Path) -> set[str]:
    return {
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(
    ("name", "homes"),
    [
        ("feed", {"base.py", "events.py"}),
        ("end", {"base.py"}),
        ("parse_error", {"decode.py", "dialect.py"}),
        ("with_entries", {"openai.py", "dialect.py"}),
    ],
)
def test_shared_parts_of_dialects_are_written_once(name: str, homes: set[str]) -> None:
    assert {path.name for path in MODULES if name in defined(path)} == homes


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_has_the_functions_that_the_transport_calls(name: str) -> None:
    dialect = load(name)
    assert dialect is load(name)
    assert dialect.parse_error(400, b'{"error": {"message": "no", "code": "c"}}').message == "no"
    assert dialect.parse_error(500, b"").message
