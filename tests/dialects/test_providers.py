"""The dialects of single providers: their requests, and the parsing of their replies."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx
import pytest

from deluge_nb import (
    APIResponse,
    Conversation,
    LLMClient,
    LogprobsNotSupportedError,
    RawPrompt,
    SamplingParams,
    find_models,
    register_endpoint,
)
from deluge_nb.errors import RequestError, SettingError
from deluge_nb.models import REGISTRY
from tests.openai_server import ChatServer, Reply, Seen, chat, error, says

ASKED = SamplingParams(logprobs=True, top_logprobs=2, max_new_tokens=8, temperature=0)
GEMINI: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Oslo"}]},
            "finishReason": "STOP",
            "logprobsResult": {
                "chosenCandidates": [
                    {"token": "Os", "tokenId": 23914, "logProbability": -0.0201},
                    {"token": "lo", "tokenId": 507, "logProbability": -0.0013},
                ],
                "topCandidates": [
                    {
                        "candidates": [
                            {"token": "The", "tokenId": 651, "logProbability": -0.01},
                            {"token": "A", "tokenId": 652, "logProbability": -4.2},
                        ]
                    },
                    {"candidates": [{"token": "lo", "tokenId": 507, "logProbability": -0.0013}]},
                ],
            },
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 9,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 14,
    },
    "modelVersion": "gemini-2.0-flash-001",
}
COHERE = {
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Oslo."}]},
    "logprobs": [
        {"text": "Oslo", "token_ids": [58210, 4], "logprobs": [-0.0319, -0.5]},
        {"text": ".", "token_ids": [21], "logprobs": None},
    ],
    "usage": {"tokens": {"input_tokens": 71, "output_tokens": 4}, "cached_tokens": 0},
}
COMPLETION: dict[str, Any] = {
    "model": "gpt-3.5-turbo-instruct",
    "choices": [
        {
            "text": " Oslo\u2013",
            "finish_reason": "length",
            "logprobs": {
                "tokens": [" Oslo", "bytes:\\xe2\\x80", "bytes:\\x93"],
                "token_logprobs": [-0.0914, -0.2, -0.1],
                "top_logprobs": [{" the": -3.1, " Oslo": -0.0914}, None, {}],
                "text_offset": [22, 27, 27],
            },
        }
    ],
    "usage": {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9},
}
TOGETHER = {
    "choices": [
        {
            "message": {"role": "assistant", "content": "Oslo"},
            "finish_reason": "stop",
            "logprobs": {
                "token_ids": [46, 1129],
                "tokens": ["O", "slo"],
                "token_logprobs": [-0.021, -0.000003],
                "top_logprobs": [{"O": -0.021, "The": -4.14}, {"slo": -0.000003}],
            },
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
}
CHAT = {
    "choices": [
        {
            "message": {"role": "assistant", "content": "Oslo"},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "Oslo", "logprob": -0.1, "bytes": None, "top_logprobs": None}]},
        }
    ]
}


class Provider:
    """Answers every request with one body, and keeps what was asked."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.body, self.status, self.requests = body, status, list[httpx.Request]()
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, json=self.body)

    def ask(self, model: str, prompt: Any = "Capital of Norway?", params: SamplingParams = ASKED, **more: Any) -> Any:
        client = LLMClient(
            model, sampling_params=params, api_key="key-0123456789", transport=self.transport, max_attempts=1
        )
        return client.process_prompts_sync([prompt], show_progress=False, **more)[0]

    @property
    def sent(self) -> dict[str, Any]:
        return json.loads(self.requests[-1].content)


def row(response: APIResponse, place: int) -> list[tuple[str, float | None]]:
    assert response.logprobs is not None, response.error_message
    return [(one["token"], one["logprob"]) for one in response.logprobs[place]["top_logprobs"]]


# Google ---------------------------------------------------------------------------------------------------------------


def test_google_is_asked_in_its_own_words_with_the_key_in_its_own_header() -> None:
    provider = Provider(GEMINI)
    provider.ask("gemini-2.0-flash", Conversation().system("Be brief.").user("Capital?").assistant_prefix("It is"))
    request = provider.requests[0]
    assert str(request.url).endswith("/v1beta/models/gemini-2.0-flash:generateContent")
    assert request.headers["x-goog-api-key"] == "key-0123456789"
    assert "authorization" not in request.headers
    assert provider.sent == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Capital?"}]},
            {"role": "model", "parts": [{"text": "It is"}]},
        ],
        "generationConfig": {"temperature": 0, "maxOutputTokens": 8, "responseLogprobs": True, "logprobs": 2},
    }


def test_google_s_answer_has_the_chosen_tokens_even_where_they_are_not_among_the_likeliest() -> None:
    response = Provider(GEMINI).ask("gemini-2.0-flash")
    assert (response.completion, response.finish_reason) == ("Oslo", "stop")
    assert response.logprobs.tokens == ["Os", "lo"]
    assert response.logprobs.logprob.tolist() == [-0.0201, -0.0013]
    assert row(response, 0) == [("The", -0.01), ("A", -4.2)]
    assert response.raw_response == GEMINI


def test_google_s_counts_are_given_in_openai_s_names_with_thoughts_as_output() -> None:
    usage = Provider(GEMINI).ask("gemini-2.0-flash").usage
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (9, 5, 14)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 4}


def test_google_s_blocked_prompt_is_an_error_with_the_reason() -> None:
    response = Provider({"promptFeedback": {"blockReason": "SAFETY"}}).ask("gemini-2.0-flash")
    assert response.is_error
    assert "the prompt was blocked (SAFETY)" in response.error_message


def test_google_s_tools_and_calls_go_both_ways() -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return city

    body = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]}}]}
    provider = Provider(body)
    response = provider.ask("gemini-2.0-flash", params=SamplingParams(), tools=[weather])
    assert (response.completion, response.finish_reason) == (None, "tool_calls")
    assert (response.tool_calls[0].name, response.tool_calls[0].arguments) == ("weather", {"city": "Oslo"})
    assert provider.sent["tools"][0]["functionDeclarations"][0]["description"] == "Tell the weather."
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    provider.ask(
        "gemini-2.0-flash",
        [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
        SamplingParams(),
    )
    assert provider.sent["contents"][1:] == [
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "rain"}}}]},
    ]


# Cohere, old completions, Together ------------------------------------------------------------------------------------


def test_cohere_gives_a_row_for_every_token_of_a_stretch_of_text() -> None:
    provider = Provider(COHERE)
    response = provider.ask("command-a", params=SamplingParams(logprobs=True, top_p=0.9))
    assert (provider.sent["logprobs"], provider.sent["p"]) == (True, 0.9)
    assert response.logprobs.text == response.completion == "Oslo."
    assert response.logprobs.logprob[:2].tolist() == [-0.0319, -0.5]
    assert response.logprobs[2]["logprob"] is None
    assert response.usage["total_tokens"] == 75


def test_alternatives_of_cohere_are_refused_before_any_request() -> None:
    with pytest.raises(SettingError, match="the chosen tokens only"):
        Provider(COHERE).ask("command-a")


def test_an_old_completion_continues_raw_text_and_its_odd_bytes_are_read() -> None:
    provider = Provider(COMPLETION)
    response = provider.ask("gpt-3.5-turbo-instruct", RawPrompt("The capital is"))
    assert provider.requests[0].url.path == "/v1/completions"
    assert provider.sent == {
        "model": "gpt-3.5-turbo-instruct",
        "prompt": "The capital is",
        "logprobs": 2,
        "max_tokens": 8,
        "temperature": 0,
    }
    assert response.completion == response.logprobs.text == " Oslo\u2013"
    assert row(response, 0) == [(" Oslo", -0.0914), (" the", -3.1)]


def test_an_old_completion_holds_no_conversation() -> None:
    response = Provider(COMPLETION).ask("davinci-002", Conversation().system("Be brief.").user("Hi"))
    assert response.is_error
    assert "cannot hold a conversation" in response.error_message


def test_together_is_asked_for_a_number_and_its_columns_are_read() -> None:
    provider = Provider(TOGETHER)
    response = provider.ask("together/meta-llama/Llama-3.3-70B")
    assert provider.sent["model"] == "meta-llama/Llama-3.3-70B"
    assert provider.sent["logprobs"] == 2
    assert "top_logprobs" not in provider.sent
    assert response.logprobs.text == "Oslo"
    assert row(response, 0) == [("O", -0.021), ("The", -4.14)]


def test_columns_of_different_lengths_cost_the_table_and_not_the_text() -> None:
    broken = json.loads(json.dumps(TOGETHER))
    broken["choices"][0]["logprobs"]["token_logprobs"].pop()
    with pytest.warns(UserWarning, match="without the log-probabilities"):
        response = Provider(broken).ask("together/x")
    assert (response.is_error, response.completion, response.logprobs) == (False, "Oslo", None)
    assert "choices[0].logprobs.token_logprobs" in (response.note or "")
    assert response.raw_response == broken


# What a request must also say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("deepseek-flash", {"thinking": {"type": "disabled"}}),
        ("openrouter/openai/gpt-4.1-mini", {"provider": {"require_parameters": True}}),
        ("gpt-6-luna", {"reasoning_effort": "none"}),
    ],
)
def test_a_request_for_log_probabilities_has_the_required_fields(model: str, said: dict[str, Any]) -> None:
    provider = Provider(CHAT)
    provider.ask(model)
    assert said.items() <= provider.sent.items()
    provider.ask(model, params=SamplingParams())
    assert not said.keys() & provider.sent.keys()


def test_a_field_of_one_s_own_against_that_is_refused_before_any_request() -> None:
    with pytest.raises(LogprobsNotSupportedError, match="only with thinking="):
        Provider(CHAT).ask("deepseek-flash", params=ASKED.replace(extra_body={"thinking": {"type": "enabled"}}))


@pytest.mark.parametrize(
    ("model", "message", "request_fields"),
    [
        ("mistral-large-latest", {"prefix": True}, {}),
        ("deepseek-flash", {"prefix": True}, {}),
        ("groq/llama-3.3-70b", {}, {}),
        ("vllm/qwen", {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_the_beginning_of_an_answer_is_marked_as_the_server_wants_it(
    model: str, message: dict[str, Any], request_fields: dict[str, Any]
) -> None:
    provider = Provider(CHAT)
    provider.ask(model, Conversation().user("Capital?").assistant_prefix("It is"))
    assert provider.sent["messages"][-1] == {"role": "assistant", "content": "It is", **message}
    assert request_fields.items() <= provider.sent.items()


@pytest.mark.parametrize(
    "model", ["o3-mini", "gpt-6-astra", "gpt-6.1-sol", "grok-4.20", "sonar-pro", "vertex/gemini-3"]
)
def test_models_without_log_probabilities_are_refused_before_any_request(model: str) -> None:
    with pytest.raises(LogprobsNotSupportedError, match="gives no log-probabilities"):
        LLMClient(model, logprobs=True)


# Three ways of not giving them ----------------------------------------------------------------------------------------

REFUSALS: list[tuple[int, Any]] = [
    (403, {"error": {"message": "You are not allowed to request logprobs from this model", "code": None}}),
    (400, {"object": "error", "message": "Logprobs are not enabled for this model", "code": "3051"}),
    (400, {"error": {"message": "`logprobs` is not supported with this model", "param": "logprobs"}}),
    (400, {"type": "error", "error": {"message": "logprobs: Extra inputs are not permitted"}}),
    (422, {"error": "`top_n_tokens` must be >= 0 and <= 5. Given: 9", "error_type": "validation"}),
    (400, [{"error": {"code": 400, "message": "Logprobs is not enabled for this model", "status": "INVALID"}}]),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_a_refusal_of_log_probabilities_is_distinguished_from_every_other_error(status: int, body: Any) -> None:
    response = Provider(body, status).ask("gpt-4o-mini")
    assert isinstance(response.error, LogprobsNotSupportedError)
    assert response.status_code == status
    assert "leave out logprobs=True" in response.error_message


def test_a_wrong_key_is_no_refusal_of_log_probabilities() -> None:
    response = Provider({"error": {"message": "Incorrect API key provided"}}, 403).ask("gpt-4o-mini")
    assert not isinstance(response.error, LogprobsNotSupportedError)


def test_an_unknown_model_that_refused_is_not_asked_again_in_this_session() -> None:
    provider = Provider(REFUSALS[0][1], REFUSALS[0][0])
    assert provider.ask("openai/new").is_error
    with pytest.raises(LogprobsNotSupportedError, match="earlier in this session"):
        provider.ask("openai/new")
    provider.ask("openai/new", params=SamplingParams())
    assert len(provider.requests) == 2


def test_an_answer_without_the_field_says_that_the_model_sent_none() -> None:
    silent = {"choices": [{"message": {"content": "Oslo"}, "finish_reason": "stop"}]}
    with pytest.warns(UserWarning, match="without the log-probabilities"):
        response = Provider(silent).ask("openai/new")
    assert (response.logprobs, response.note) == (None, "'new' sent none")


def test_fewer_alternatives_than_make_sense_are_noted() -> None:
    assert (
        Provider(CHAT).ask("gpt-4o-mini").note == "'gpt-4o-mini' gave no alternatives per token where 2 were requested"
    )


def test_an_empty_list_is_noted() -> None:
    empty: dict[str, Any] = {"choices": [{"message": {"content": "Oslo"}, "logprobs": {"content": []}}]}
    assert Provider(empty).ask("gpt-4o-mini").note == "'gpt-4o-mini' sent an empty list of log-probabilities"


# Waiting --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"code": 429, "message": "x", "details": [{"retryDelay": "46s"}]}}, 46),
        ({"error": {"message": "Rate limit reached. Please try again in 5.289s."}}, 5.289),
        ({"error": {"message": "Please retry after 37 seconds."}}, 37),
        ({"error": {"message": "try again in 120ms"}}, 0.12),
        ({"error": {"message": "Please try again in 6m0s."}}, 360),
        ({"error": {"message": "Please try again in 2m59.56s."}}, 179.56),
        ({"error": {"message": "Slow down."}}, None),
        ({"error": {"message": "try again in 5ſ"}}, None),
    ],
)
def test_a_wait_that_only_the_body_names_is_read(body: Any, seconds: float | None) -> None:
    assert Provider(body, 429).ask("gpt-4o-mini").error.retry_after == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_a_tier_without_quota_is_not_waited_for() -> None:
    provider = Provider({"error": {"message": "Quota exceeded, limit: 0. Please retry in 0.01s."}}, 429)
    client = LLMClient("gpt-4o-mini", api_key="k" * 20, transport=provider.transport, max_attempts=3)
    assert client.process_prompts_sync(["Hi"], show_progress=False)[0].is_error
    assert len(provider.requests) == 1


# The registry ---------------------------------------------------------------------------------------------------------


def test_models_are_found_by_provider_and_by_support() -> None:
    assert find_models(provider="Google") == ["gemini-2.0-flash", "gemini-1.5-pro"]
    assert "vllm/…" in find_models()
    assert "o3-mini" in find_models(logprobs=False)
    with pytest.raises(SettingError, match="did you mean 'openai'"):
        find_models(provider="opanai")


def test_an_endpoint_of_one_s_own_is_asked_in_its_dialect() -> None:
    register_endpoint("home", "http://127.0.0.1:9/v2/", dialect="cohere")
    provider = Provider(COHERE)
    assert provider.ask("home/mine", params=SamplingParams(logprobs=True)).completion == "Oslo."
    assert str(provider.requests[0].url) == "http://127.0.0.1:9/v2/chat"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a/b"}, "without a slash"),
        ({"dialect": "klingon"}, "must be one of openai"),
        ({"colour": "red"}, "no field 'colour'"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        register_endpoint(**{"name": "home", "base_url": "http://127.0.0.1:9", **change})


def test_azure_without_an_address_says_where_to_put_it() -> None:
    with pytest.raises(SettingError, match="AZURE_OPENAI_BASE_URL"):
        LLMClient("azure/gpt-4o")


def test_azure_s_key_goes_into_its_own_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_BASE_URL", "http://127.0.0.1:9/openai/v1")
    provider = Provider(CHAT)
    provider.ask("azure/gpt-4o")
    assert provider.requests[0].headers["api-key"] == "key-0123456789"
    assert provider.sent["model"] == "gpt-4o"


def test_features_that_exclude_each_other_are_refused_before_any_request(server: ChatServer) -> None:
    REGISTRY.register_model("picky*", forbids=["output_schema"])
    client = LLMClient("picky-1", base_url=server.url, sampling_params=ASKED)
    with pytest.raises(LogprobsNotSupportedError, match="no log-probabilities together with output_schema"):
        client.process_prompts_sync(["?"], output_schema={"type": "object"}, show_progress=False)
    assert not server.seen
    assert not client.process_prompts_sync(["?"], show_progress=False)[0].is_error


def test_a_combination_that_was_refused_is_not_asked_again_and_leaves_the_rest_alone(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if "response_format" in seen.body:
            return error("logprobs cannot be combined with response_format", status=400)
        return Reply(chat(seen, says("fine")))

    server.answer = answer
    client = LLMClient("own-model", base_url=server.url, sampling_params=ASKED)
    (first,) = client.process_prompts_sync(["?"], output_schema={"type": "object"}, show_progress=False)
    assert isinstance(first.error, LogprobsNotSupportedError)
    with pytest.raises(LogprobsNotSupportedError, match="which it refused earlier in this session"):
        client.process_prompts_sync(["?"], output_schema={"type": "object"}, show_progress=False)
    assert len(server.seen) == 1
    assert client.process_prompts_sync(["?"], show_progress=False)[0].completion == "fine"


def table_of(server: ChatServer, *rows: dict[str, Any], text: str) -> APIResponse:
    """Return the response made of a chat completion with these entries."""
    choice = {"message": {"role": "assistant", "content": text}, "logprobs": {"content": rows}, "finish_reason": "stop"}
    server.answer = lambda seen, number: Reply({"choices": [choice]})
    client = LLMClient("own-model", base_url=server.url, sampling_params=ASKED)
    return client.process_prompts_sync(["?"], show_progress=False)[0]


def bare(token: str, logprob: float | None, *others: tuple[str, float]) -> dict[str, Any]:
    top = [{"token": text, "logprob": value} for text, value in others]
    return {"token": token, "logprob": logprob, "top_logprobs": top}


def test_a_row_for_the_end_of_the_text_is_kept(server: ChatServer) -> None:
    response = table_of(server, bare("a", -0.1, ("a", -0.1), ("b", -3)), bare("</s>", -0.01), text="a")
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["a", "</s>"]
    assert response.completion == "a"


def test_rows_of_reasoning_before_the_text_are_kept_apart(server: ChatServer) -> None:
    rows = [bare(token, -0.5, (token, -0.5), ("x", -2)) for token in ("hm", "</think>", "Oslo")]
    response = table_of(server, *rows, text="Oslo")
    assert response.logprobs is not None
    assert response.thinking_logprobs is not None
    assert (response.thinking_logprobs.tokens, response.logprobs.tokens) == (["hm", "</think>"], ["Oslo"])


@pytest.mark.parametrize("floor", [-3.4028234663852886e38, -9999.0])
def test_a_floor_is_no_probability(server: ChatServer, floor: float) -> None:
    response = table_of(server, bare("a", floor, ("b", -0.1), ("c", floor)), text="a")
    assert response.logprobs is not None
    assert response.logprobs.censored.tolist() == [True]
    assert [one["logprob"] for one in response.logprobs[0]["top_logprobs"]] == [-0.1, floor]


def test_tokens_named_by_their_ids_are_kept_as_they_are_named(server: ChatServer) -> None:
    response = table_of(server, bare("token_id:65", -0.1, ("token_id:65", -0.1), ("token_id:66", -3)), text="A")
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["token_id:65"]


def test_zeros_throughout_are_noted(server: ChatServer) -> None:
    response = table_of(server, *[bare("a", 0.0, ("a", 0.0))] * 4, text="aaaa")
    assert "one alternative per token" in (response.note or "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"object": "error", "message": "bad thing", "type": "BadRequest", "code": 400}, "bad thing"),
        ({"code": "x", "error": "it says no"}, "it says no"),
        ({"error": {"message": "a bad request", "param": None}}, "a bad request"),
        ({"message": "plain"}, "plain"),
        ({"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": {}}]}, "Field required"),
        ([{"error": {"code": 400, "message": "in a list", "status": "INVALID_ARGUMENT"}}], "in a list"),
    ],
)
def test_a_reason_is_found_in_every_envelope(server: ChatServer, body: Any, message: str) -> None:
    server.answer = lambda seen, number: Reply(body, 400)
    client = LLMClient("own-model", base_url=server.url)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert response.error_message == f"'own-model' at OpenAI-compatible server answered 400: {message}"


COHERE_EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "thinking", "thinking": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"thinking": "Hm"}}}},
    {"type": "content-start", "index": 1, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    *(
        {
            "type": "content-delta",
            "index": 1,
            "delta": {"message": {"content": {"text": text}}},
            "logprobs": {"text": text, "token_ids": [number], "logprobs": [-0.25]},
        }
        for number, text in enumerate(("Os", "lo"))
    ),
    {"type": "content-end", "index": 1},
    {
        "type": "message-end",
        "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 3, "output_tokens": 2}}},
    },
]


def ask_cohere(server: ChatServer, monkeypatch: pytest.MonkeyPatch, events: list[Any], streamed: bool) -> APIResponse:
    monkeypatch.setenv("COHERE_API_KEY", "cohere-0123456789")
    monkeypatch.setenv("COHERE_BASE_URL", server.url)
    server.answer = lambda seen, number: Reply(pieces=[b"data: %b\n\n" % json.dumps(item).encode() for item in events])
    client = LLMClient("cohere/command-r7b-12-2024", logprobs=True, max_attempts=1)
    if not streamed:
        return client.process_prompts_sync(["?"], show_progress=False)[0]
    stream = client.stream("?")
    with contextlib.suppress(RequestError):
        list(stream)
    assert stream.response is not None
    return stream.response


@pytest.mark.parametrize("streamed", [False, True])
def test_a_stream_that_cohere_sends_unasked_is_read(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    response = ask_cohere(server, monkeypatch, COHERE_EVENTS, streamed)
    assert (response.completion, response.thinking, response.finish_reason) == ("Oslo", "Hm", "stop")
    assert response.logprobs is not None
    assert response.logprobs.logprob.tolist() == [-0.25, -0.25]
    assert response.output_tokens == 2


def test_a_tool_call_in_a_stream_of_cohere_is_read(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def piece(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"tool-call-{kind}", "index": 0, "delta": {"message": {"tool_calls": fields}}}

    events = [
        piece("start", id="1", function={"name": "f", "arguments": ""}),
        piece("delta", function={"arguments": '{"a"'}),
        piece("delta", function={"arguments": ": 1}"}),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]
    (call,) = ask_cohere(server, monkeypatch, events, False).tool_calls
    assert (call.name, call.arguments, call.id) == ("f", {"a": 1}, "1")


def test_a_stream_of_cohere_that_fails_is_an_error(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [*COHERE_EVENTS[:-1], {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "gone"}}]
    response = ask_cohere(server, monkeypatch, events, False)
    assert response.is_error
    assert "gone" in (response.error_message or "")
