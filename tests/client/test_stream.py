"""An answer as it comes, over a real socket: what is heard, what it amounts to, and what is kept when it ends early."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from deluge_nb import (
    Conversation,
    LLMClient,
    LogprobsNotSupportedError,
    RawPrompt,
    RequestError,
    SamplingParams,
    SettingError,
    StreamedToken,
    Tool,
    as_logprobs,
    register_endpoint,
)
from deluge_nb.client.calls.streamed import _Texts
from deluge_nb.client.stream import Stream
from deluge_nb.dialects.base import Delta
from deluge_nb.errors import MalformedResponseError
from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, entry, error, event, says

ASKED = SamplingParams(logprobs=True, top_logprobs=2)
HELLO = says("Hel", "lo", " 日", "本", p=0.8)


def streaming(server: ChatServer, *tokens: Any, cut: int | None = None) -> None:
    """Answer in pieces where that is asked for, at once where not."""

    def answer(seen: Seen, number: int) -> Reply:
        if not seen.body.get("stream"):
            return Reply(chat(seen, tokens))
        sent = chunks(seen, tokens)
        if cut is not None:
            whole = b"".join(sent)
            sent = [whole[i : i + cut] for i in range(0, len(whole), cut)]
        return Reply(pieces=sent)

    server.answer = answer


def sending(server: ChatServer, *pieces: Any, **headers: str) -> None:
    """Answer with these events, or bytes."""
    sent = [piece if isinstance(piece, bytes) else event(piece) for piece in pieces]
    server.answer = lambda seen, number: Reply(pieces=sent, headers=headers)


def client(model: str = "gpt-4o-mini", **options: Any) -> LLMClient:
    return LLMClient(model, sampling_params=ASKED, **options)


def piece(text: str | None = None, rows: Any = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    given = delta if text is None else {"content": text, **delta}
    return {"choices": [{"index": 0, "delta": given, "logprobs": rows, "finish_reason": finish}]}


def rows(*tokens: str) -> dict[str, Any]:
    return {"content": [{**entry(token, 0.5), "top_logprobs": []} for token in tokens]}


# What is heard --------------------------------------------------------------------------------------------------------


def test_tokens_come_with_their_log_probabilities_and_alternatives(server: ChatServer) -> None:
    streaming(server, *HELLO)
    tokens = list(client().stream("Hello?"))
    assert [token.text for token in tokens] == ["Hel", "lo", " 日", "本"]
    assert [token.token for token in tokens] == ["Hel", "lo", " 日", "本"]
    assert tokens[0].probability == pytest.approx(0.8)
    assert [one["token"] for one in tokens[0].top_logprobs] == ["Hel", "Hel?"]


def test_a_streamed_token_is_a_value_like_any_other(server: ChatServer) -> None:
    streaming(server, *HELLO)
    first, second, *_ = client().stream("Hello?")
    same = StreamedToken("Hel", "Hel", first.logprob, first.top_logprobs)
    assert first == same == pickle.loads(pickle.dumps(first)) == copy.copy(first)
    assert repr(first) == repr(same)
    assert first != second
    with pytest.raises(AttributeError):
        first.text = "other"  # type: ignore[misc]


def test_alternatives_of_a_streamed_token_are_made_when_they_are_asked_for() -> None:
    top: Any = [{"token": f"t{index}", "logprob": -9.0} for index in range(50_000)]
    table = as_logprobs([{"token": "t0", "logprob": -9.0, "top_logprobs": top}])
    before = sys.getallocatedblocks()
    (token,) = _Texts().tokens(Delta("t0", table))
    assert sys.getallocatedblocks() - before < 10_000
    assert token.top_logprobs == top


def test_a_token_is_there_before_the_next_is_sent(server: ChatServer) -> None:
    allowed = threading.Semaphore(2)
    server.answer = lambda seen, number: Reply(
        pieces=chunks(seen, HELLO), held=lambda place: place > 1 and not allowed.acquire(blocking=False)
    )
    heard: list[str] = []
    for token in client().stream("Hello?"):
        heard.append(token.text)
        for _ in range(3):
            allowed.release()
    assert heard == ["Hel", "lo", " 日", "本"]


def test_whoever_has_something_else_to_do_waits_no_longer_than_he_likes(server: ChatServer) -> None:
    go_on = threading.Event()
    server.answer = lambda seen, number: Reply(
        pieces=chunks(seen, HELLO), held=lambda place: place > 1 and not go_on.is_set()
    )
    with client().stream("Hello?") as stream:
        assert stream.wait(60)
        assert next(stream).text == "Hel"
        assert not stream.wait(0.05)
        go_on.set()
        assert stream.wait(60)
        assert [token.text for token in stream] == ["lo", " 日", "本"]
        assert stream.wait(0)


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_the_answer_is_that_of_a_call_that_waits_for_it(server: ChatServer, cut: int) -> None:
    streaming(server, *HELLO, cut=cut)
    asked = client()
    whole = asked.process_prompts_sync(["Hello?"], show_progress=False)[0]
    stream = asked.stream("Hello?")
    text = "".join(token.text for token in stream)
    assert stream.response is not None
    assert text == stream.response.completion == whole.completion == "Hello 日本"
    assert stream.response.logprobs == whole.logprobs
    assert stream.response.usage == whole.usage
    assert stream.response.finish_reason == whole.finish_reason == "stop"
    assert stream.response.served_model == whole.served_model
    assert stream.response.raw_response["choices"] == [
        {**whole.raw_response["choices"][0], "message": {"role": "assistant", "content": text, "refusal": None}}
    ]


def test_it_can_be_awaited(server: ChatServer) -> None:
    streaming(server, *HELLO)

    async def heard() -> list[str]:
        async with client().stream("Hello?") as stream:
            return [token.text async for token in stream]

    assert asyncio.run(heard()) == ["Hel", "lo", " 日", "本"]


def test_two_streams_can_be_awaited_at_once(server: ChatServer) -> None:
    streaming(server, *HELLO)

    async def heard(asked: LLMClient) -> str:
        return "".join([token.text async for token in asked.stream("Hello?")])

    async def both() -> list[str]:
        asked = client()
        return list(await asyncio.gather(heard(asked), heard(asked)))

    assert asyncio.run(both()) == ["Hello 日本"] * 2


def test_a_character_in_several_tokens_is_shown_when_it_is_whole(server: ChatServer) -> None:
    octets = list("é".encode())
    halves = [{"token": f"\\x{octet:02x}", "logprob": -0.5, "bytes": [octet]} for octet in octets]
    sending(server, piece("é", {"content": halves}), piece(finish="stop"))
    stream = client().stream("?")
    assert [token.text for token in stream] == ["", "é"]
    assert stream.response is not None
    assert stream.response.logprobs is not None
    assert stream.response.logprobs.text == "é"


def test_several_tokens_in_one_chunk_are_told_apart(server: ChatServer) -> None:
    sending(server, piece("ab", rows("a", "b")), piece("c", rows("c")), piece(finish="stop"))
    assert [token.text for token in client().stream("?")] == ["a", "b", "c"]


def test_text_without_log_probabilities_is_heard_all_the_same(server: ChatServer) -> None:
    sending(server, piece("a", rows("a")), piece("b"), piece(finish="stop"))
    tokens = list(client().stream("?"))
    assert [(token.text, token.probability) for token in tokens] == [("a", pytest.approx(0.5)), ("b", None)]


def test_log_probabilities_without_text_are_kept(server: ChatServer) -> None:
    sending(server, piece("", rows("<think>")), piece("a", rows("a")), piece(finish="stop"))
    stream = client().stream("?")
    assert [(token.text, token.token) for token in stream] == [("", "<think>"), ("a", "a")]
    assert stream.response is not None
    assert stream.response.completion == "a"
    assert stream.response.logprobs is not None
    assert stream.response.thinking_logprobs is not None
    assert (stream.response.thinking_logprobs.tokens, stream.response.logprobs.tokens) == (["<think>"], ["a"])


def test_comments_null_tables_and_chunks_without_choices_are_no_trouble(server: ChatServer) -> None:
    filtered: dict[str, Any] = {"choices": [], "prompt_filter_results": []}
    last: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 1}}
    sending(
        server, b": PROCESSING\n\n", filtered, piece("a", rows("a")), piece(finish="stop"), last, b"data: [DONE]\n\n"
    )
    stream = client().stream("?")
    assert [token.text for token in stream] == ["a"]
    assert stream.response is not None
    assert stream.response.usage == last["usage"]


def test_other_choices_are_passed_over(server: ChatServer) -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "zzz"}, "logprobs": rows("zzz"), "finish_reason": "stop"}]}
    sending(server, piece("a", rows("a")), other, piece(finish="stop"))
    assert [token.text for token in client().stream("?")] == ["a"]


def test_nan_and_lone_surrogates_do_not_end_a_stream(server: ChatServer) -> None:
    broken = json.dumps(piece("a", {"content": [{"token": "\ud83d", "logprob": float("nan"), "bytes": None}]}))
    sending(server, f"data: {broken}\n\n".encode(), piece(finish="stop"))
    (token,) = client().stream("?")
    assert token.logprob is None
    assert token.token == "�"


def test_a_server_that_answers_at_once_is_heard_at_once(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, HELLO))
    stream = client().stream("Hello?")
    assert [token.text for token in stream] == ["Hel", "lo", " 日", "本"]
    assert stream.response is not None
    assert stream.response.usage is not None


def test_without_log_probabilities_the_text_comes(server: ChatServer) -> None:
    streaming(server, *HELLO)
    stream = LLMClient("gpt-4o-mini").stream("Hello?")
    assert "".join(token.text for token in stream) == "Hello 日本"
    assert stream.response is not None
    assert stream.response.logprobs is None
    assert stream.response.note is None


def test_dropped_log_probabilities_are_noted(server: ChatServer) -> None:
    sending(server, piece("a"), piece(finish="stop"))
    stream = client().stream("?")
    assert [token.probability for token in stream] == [None]
    assert stream.response is not None
    assert "sent none" in (stream.response.note or "")


def test_tool_calls_are_put_together(server: ChatServer) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    first = {"index": 0, "id": "call_1", "function": {"name": "add", "arguments": ""}}
    more = [{"index": 0, "function": {"arguments": part}} for part in ('{"a": 1', ', "b": 2}')]
    second = {"index": 1, "id": "call_2", "function": {"name": "add", "arguments": "{}"}}
    sending(server, *(piece(tool_calls=[call]) for call in (first, *more, second)), piece(finish="tool_calls"))
    stream = LLMClient("gpt-4o-mini").stream("?", tools=[Tool.from_function(add)])
    assert list(stream) == []
    assert stream.response is not None
    assert [(call.name, call.arguments, call.id) for call in stream.response.tool_calls] == [
        ("add", {"a": 1, "b": 2}, "call_1"),
        ("add", {}, "call_2"),
    ]


def test_a_refusal_is_heard_and_noted(server: ChatServer) -> None:
    sending(
        server, piece(None, {"refusal": rows("No")["content"], "content": None}, refusal="No"), piece(finish="stop")
    )
    stream = client().stream("?")
    assert [token.text for token in stream] == ["No"]
    assert stream.response is not None
    assert "refused" in (stream.response.note or "")


def test_an_answer_in_a_shape_is_parsed_in_the_end(server: ChatServer) -> None:
    sending(server, piece('{"n":'), piece(" 3}"), piece(finish="stop"))
    stream = LLMClient("gpt-4o-mini").stream("?", output_schema={"type": "object", "properties": {"n": {}}})
    assert [token.text for token in stream] == ['{"n":', " 3}"]
    assert stream.response is not None
    assert stream.response.parsed == {"n": 3}


# Other dialects -------------------------------------------------------------------------------------------------------


def test_old_completions_are_streamed_in_their_columns(server: ChatServer) -> None:
    def part(text: str, logprob: float) -> dict[str, Any]:
        table = {"tokens": [text], "token_logprobs": [logprob], "top_logprobs": [{text: logprob, "x": -3.0}]}
        return {"choices": [{"index": 0, "text": text, "logprobs": table, "finish_reason": None}]}

    end = {"choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}]}
    sending(server, part(" a", -0.1), part(" b", -0.2), end)
    stream = client("davinci-002").stream(RawPrompt("Once"))
    assert [(token.text, token.logprob) for token in stream] == [(" a", -0.1), (" b", -0.2)]
    assert stream.response is not None
    assert stream.response.logprobs is not None
    assert stream.response.logprobs.tokens == [" a", " b"]


def test_a_number_as_a_chunks_log_probability_is_this_tokens(server: ChatServer) -> None:
    def part(text: str, logprob: float) -> dict[str, Any]:
        choice = {
            "index": 0,
            "delta": {"content": text},
            "logprobs": logprob,
            "top_logprobs": {text: logprob, "The": -4.1},
        }
        return {"choices": [choice]}

    sending(server, part("O", -0.02), part("slo", -0.001), piece(finish="stop"))
    stream = client("own", base_url=server.url).stream("?")
    assert [(token.text, token.logprob) for token in stream] == [("O", -0.02), ("slo", -0.001)]
    assert stream.response is not None
    assert stream.response.logprobs is not None
    assert [one["token"] for one in stream.response.logprobs[0]["top_logprobs"]] == ["O", "The"]


def test_google_is_streamed_reply_by_reply(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def part(text: str, logprob: float, **more: Any) -> dict[str, Any]:
        chosen = {"token": text, "tokenId": 7, "logProbability": logprob}
        table = {"chosenCandidates": [chosen], "topCandidates": [{"candidates": [chosen]}]}
        answer = {"content": {"role": "model", "parts": [{"text": text}]}, "logprobsResult": table, **more}
        return {"candidates": [answer], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}}

    monkeypatch.setenv("GEMINI_BASE_URL", server.url)
    monkeypatch.setenv("GEMINI_API_KEY", "key-of-a-test")
    sending(server, part("Os", -0.1), part("lo", -0.2, finishReason="STOP"))
    stream = client("gemini-2.0-flash").stream("?")
    assert [(token.text, token.logprob) for token in stream] == [("Os", -0.1), ("lo", -0.2)]
    assert stream.response is not None
    assert stream.response.logprobs is not None
    assert stream.response.completion == stream.response.logprobs.text == "Oslo"
    assert stream.response.finish_reason == "stop"
    assert server.seen[0].path.endswith(":streamGenerateContent")


def test_tokens_are_counted_in_a_stream_only_where_that_may_be_asked(server: ChatServer, monkeypatch: Any) -> None:
    streaming(server, *HELLO)
    list(client().stream("?"))
    assert server.seen[-1].body["stream_options"] == {"include_usage": True}
    monkeypatch.setenv("MISTRAL_BASE_URL", server.url)
    monkeypatch.setenv("MISTRAL_API_KEY", "key-of-a-test")
    list(client("mistral/mistral-small-latest").stream("?"))
    assert "stream_options" not in server.seen[-1].body


# Failures -------------------------------------------------------------------------------------------------------------


def test_a_refused_request_is_told_from_the_loop(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("no such model", status=404)
    stream = client().stream("?")
    with pytest.raises(RequestError, match="no such model"):
        list(stream)
    assert stream.response is not None
    assert stream.response.is_error


def test_refused_log_probabilities_are_told_as_such(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("logprobs are not supported", status=400)
    with pytest.raises(LogprobsNotSupportedError):
        list(client().stream("?"))


def test_a_server_in_trouble_is_asked_again_before_the_stream_has_begun(server: ChatServer) -> None:
    streaming(server, *HELLO)
    good = server.answer
    server.answer = lambda seen, number: good(seen, number) if number else error("busy", status=503, retry_after="0")
    assert "".join(token.text for token in client().stream("?")) == "Hello 日本"


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"error": {"message": "the backend fell over", "code": 500}}, "the backend fell over"),
        ({"object": "error", "message": "out of memory"}, "out of memory"),
        (b"data: {nonsense\n\n", "no JSON"),
        (b"", "ended before the answer did"),
    ],
)
def test_what_came_before_a_failure_is_kept(server: ChatServer, last: Any, why: str) -> None:
    sending(server, piece("a", rows("a")), piece("b", rows("b")), last)
    stream = client().stream("?")
    heard: list[str] = []
    with pytest.raises((RequestError, MalformedResponseError), match=why):
        heard.extend(token.text for token in stream)
    response = stream.response
    assert response is not None
    assert response.is_error
    assert why in (response.error_message or "")
    assert response.completion == "ab"
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["a", "b"]


def test_bad_settings_are_refused_before_anything_is_sent(server: ChatServer) -> None:
    with pytest.raises(LogprobsNotSupportedError):
        client("claude-sonnet-4-5").stream("?")
    with pytest.raises(SettingError, match="prompt"):
        client().stream(3)  # type: ignore[arg-type]
    assert not server.seen


# Ending early ---------------------------------------------------------------------------------------------------------


def held_after(server: ChatServer, count: int) -> None:
    """Send so many pieces, and then nothing for a long time."""
    until = time.monotonic() + 60
    server.answer = lambda seen, number: Reply(
        pieces=chunks(seen, HELLO),
        held=lambda place: place >= count and time.monotonic() < until and server.in_flight >= 0,
    )


def test_leaving_the_block_ends_the_stream_and_keeps_what_came(server: ChatServer) -> None:
    held_after(server, 3)
    asked = client()
    with asked.stream("?") as stream:
        assert [next(stream).text, next(stream).text] == ["Hel", "lo"]
    response = stream.response
    assert response is not None
    assert response.completion == "Hello"
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["Hel", "lo"]
    assert response.note == "interrupted"
    assert not response.is_error
    assert asked.interrupted == [response]


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_interrupt_at_the_first_step_of_leaving_the_block_keeps_a_delivered_answer(
    server: ChatServer, interrupted: bool
) -> None:
    asked, tracing = client(), sys.gettrace()

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code is Stream.__exit__.__code__:
            raise KeyboardInterrupt

    try:
        with suppress(KeyboardInterrupt), asked.stream("?") as stream:
            list(stream)
            if interrupted:
                sys.settrace(interrupt)
    finally:
        sys.settrace(tracing)
    assert stream.response is not None
    assert asked.interrupted == ([stream.response] if interrupted else [])


def test_a_stream_can_be_ended_before_anything_has_come(server: ChatServer) -> None:
    held_after(server, 0)
    with client().stream("?") as stream:
        pass
    assert stream.response is not None
    assert stream.response.completion is None or stream.response.completion == ""
    assert list(stream) == []


def test_a_cancelled_task_keeps_what_came(server: ChatServer) -> None:
    held_after(server, 3)
    stream = client().stream("?")

    async def listening() -> None:
        async with stream:
            async for _ in stream:
                pass

    async def cancelled() -> None:
        task = asyncio.create_task(listening())
        while stream.response is None and not task.done():
            await asyncio.sleep(0.05)
            if server.seen:
                await asyncio.sleep(0.2)
                task.cancel()
                break
        await asyncio.wait((task,))
        assert task.cancelled()

    asyncio.run(cancelled())
    assert stream.response is not None
    assert stream.response.completion == "Hello"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
def test_an_interrupt_keeps_what_came(server: ChatServer) -> None:
    held_after(server, 3)
    script = f"""
        import signal
        from deluge_nb import LLMClient, SamplingParams
        signal.signal(signal.SIGINT, signal.default_int_handler)
        client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True), base_url={server.url!r})
        try:
            with client.stream("?") as stream:
                for token in stream:
                    print(token.text, flush=True)
        except KeyboardInterrupt:
            print("kept", client.interrupted[0].completion, len(client.interrupted[0].logprobs), flush=True)
    """
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "sk-test-0123456789"},
    )
    assert running.stdout is not None
    assert [running.stdout.readline(), running.stdout.readline()] == ["Hel\n", "lo\n"]
    running.send_signal(signal.SIGINT)
    assert running.stdout.readline() == "kept Hello 2\n"
    assert running.wait(30) == 0


def test_usage_counts_streams_as_well(server: ChatServer) -> None:
    streaming(server, *HELLO)
    asked = client()
    list(asked.stream("?"))
    assert (asked.usage.answered, asked.usage.completion_tokens) == (1, 4)


# The embedded model ---------------------------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.parametrize(
    "prompt",
    [
        "What is the capital of France?",
        RawPrompt("Emoji: 😀😃🎉🌈 and 日本語 means Japanese. Emoji: 😀😃🎉🌈 and 日本語 means"),
        RawPrompt("日本語のテキスト：日本語のテキスト："),
        Conversation().user("Count.").assistant_prefix("one, two,"),
    ],
    ids=["chat", "emoji", "japanese", "prefill"],
)
def test_the_embedded_models_stream_is_its_whole_answer_to_the_last_row(prompt: Any) -> None:
    asked = LLMClient("local", sampling_params=ASKED.replace(temperature=0, max_new_tokens=32))
    whole = asked.process_prompts_sync([prompt], show_progress=False)[0]
    stream = asked.stream(prompt)
    text = "".join(token.text for token in stream)
    response = stream.response
    assert response is not None
    assert whole.completion is not None
    # Nothing reports a character that the last token leaves unfinished.
    assert whole.completion.rstrip("�") == text == response.completion
    assert whole.logprobs is not None
    assert response.logprobs is not None
    count = len(response.logprobs)
    assert response.logprobs.token_ids == whole.logprobs.token_ids[:count]
    assert response.logprobs.text.startswith(text)
    assert abs(response.logprobs.logprob - whole.logprobs.logprob[:count]).max() < 1e-3
    assert response.finish_reason == whole.finish_reason


@pytest.mark.model
def test_the_embedded_model_stops_when_told_to() -> None:
    asked = LLMClient("local", sampling_params=ASKED.replace(temperature=0, max_new_tokens=500))
    with asked.stream(RawPrompt("1, 2, 3, 4,")) as stream:
        for _ in range(5):
            next(stream)
    assert stream.response is not None
    assert stream.response.logprobs is not None
    assert 5 <= len(stream.response.logprobs) < 200
    assert stream.response.completion == stream.response.logprobs.text


@pytest.mark.model
def test_the_embedded_model_with_stop_strings_answers_at_once() -> None:
    asked = LLMClient("local", sampling_params=ASKED.replace(temperature=0, max_new_tokens=30, stop=(" 7",)))
    stream = asked.stream(RawPrompt("1, 2, 3, 4,"))
    assert "".join(token.text for token in stream) == " 5, 6,"


def test_an_endpoint_of_ones_own_can_be_streamed(server: ChatServer) -> None:
    register_endpoint("mine", base_url=server.url, key_required=False)
    streaming(server, *HELLO)
    assert "".join(token.text for token in client("mine/model").stream("?")) == "Hello 日本"


def test_a_server_that_cannot_stream_tools_with_log_probabilities_is_asked_at_once(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if seen.body.get("stream"):
            return error("logprobs is not supported with tools + stream", status=400)
        return Reply(chat(seen, HELLO))

    server.answer = answer
    stream = client().stream("?", tools=[Tool("f", "does", {"type": "object"})])
    assert "".join(token.text for token in stream) == "Hello 日本"
