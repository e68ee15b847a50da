"""Calls that end early: whatever ends them, at whatever moment, the responses that arrived are kept."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx
import pytest
from pydantic import BaseModel, field_validator

from deluge_nb import Conversation, LLMClient, PartialResponses, classify, classify_responses, influence, score_llm
from deluge_nb.client.interruption import keep
from tests.memory_transport import MemoryTransport, client_of
from tests.openai_server import ChatServer, Reply, Seen, chat, says

PROMPTS = [f"q{number}" for number in range(12)]


def ask(client: LLMClient) -> Any:
    return client.process_prompts_sync(PROMPTS, show_progress=False)


def ask_for_texts(client: LLMClient) -> Any:
    return client.process_prompts_sync(PROMPTS, return_completions_only=True, show_progress=False)


def ask_with_a_bar(client: LLMClient) -> Any:
    return client.process_prompts_sync(PROMPTS)


def score(client: LLMClient) -> Any:
    return score_llm("{0}", PROMPTS, client, return_probabilities=True, show_progress=False)


def sort_out(client: LLMClient) -> Any:
    return classify(PROMPTS, ["q1", "q2"], client, show_progress=False)


def follow_a_trie(client: LLMClient) -> Any:
    return classify(
        PROMPTS, ["q1", "q2"], client, method="trie", calibration="contextual", content_free=["q1"], show_progress=False
    )


def leave_out_parts(client: LLMClient) -> Any:
    return influence(Conversation.user(" ".join(PROMPTS)), "q1", client, by="word")


def ask_all_models(client: LLMClient) -> Any:
    return client.ask_all(PROMPTS, show_progress=False)


def ask_as_completed(client: LLMClient) -> Any:
    return list(client.as_completed(PROMPTS))


def stream(client: LLMClient) -> Any:
    with client.stream(PROMPTS[0]) as stream:
        return list(stream), stream.response


CALLS = [
    ask,
    ask_for_texts,
    ask_with_a_bar,
    score,
    sort_out,
    follow_a_trie,
    leave_out_parts,
    ask_all_models,
    ask_as_completed,
    stream,
]


def end_at_line(call: Callable[[LLMClient], Any], moment: int, error: BaseException) -> tuple[int, LLMClient, Any, int]:
    """Make a call in which the waiting thread gets an exception at a line that it runs; also return the lines run."""
    transport = MemoryTransport()
    client = client_of(transport, continues=True)
    lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == moment:
                sys.settrace(None)
                raise error
        return trace

    result = None
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = call(client)
    except type(error):
        pass
    finally:
        sys.settrace(before)
    return lines, client, result, transport.answered


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError("an alarm")], ids=["interrupt", "alarm"])
def test_an_exception_at_any_line_leaves_every_answer(
    call: Callable[[LLMClient], Any], error: BaseException, recwarn: pytest.WarningsRecorder
) -> None:
    end_at_line(call, 0, error)
    whole = end_at_line(call, 0, error)[0]
    for moment in range(1, whole + 1, max(1, whole // 20)):
        _, client, result, answered = end_at_line(call, moment, error)
        if result is None and answered:
            arrived = [response for response in client.interrupted if response is not None]
            assert len(arrived) == client.usage.answered == answered, moment
            assert all(not response.is_error and response.completion for response in arrived)


SIGNALS = """
    import os, signal, sys, threading, time, warnings
    from deluge_nb import classify, score_llm
    from tests.memory_transport import MemoryTransport, client_of

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prompts = [f"q{number}" for number in range(20)]
    calls = [
        lambda client: client.process_prompts_sync(prompts, show_progress=False),
        lambda client: client.process_prompts_sync(prompts, show_progress=True),
        lambda client: score_llm("{0}", prompts, client, True, show_progress=False),
        lambda client: classify(prompts, ["q1", "q2"], client, show_progress=False),
        lambda client: client.ask_all(prompts, show_progress=False)["gpt-4o-mini"],
        lambda client: list(client.as_completed(prompts)),
    ]

    def interrupt_after(delay, sent):
        time.sleep(delay)
        sent.set()
        os.kill(os.getpid(), signal.SIGINT)

    def attempt(call, last, delay):
        sent = threading.Event()
        thread = threading.Thread(target=interrupt_after, args=(delay, sent))
        transport = MemoryTransport(lambda number: number == last and thread.start())
        client, result = client_of(transport), None
        try:
            result = call(client)
            # Until the signal, if the call was faster. Python drops one that arrives in a finalizer.
            until = time.monotonic() + 3
            while time.monotonic() < until:
                time.sleep(0.01)
        except KeyboardInterrupt as error:
            notes = getattr(error, "__notes__", [])
        thread.join()
        if result is not None:
            assert len(result) == len(prompts)
            return 0
        arrived = [response for response in client.interrupted if response is not None]
        assert len(client.interrupted) == len(prompts)
        assert len(arrived) == transport.answered == client.usage.answered, (len(arrived), transport.answered)
        for prompt, response in zip(prompts, client.interrupted):
            assert response is None or response.completion == prompt
        assert any(f"the {len(arrived)} of {len(prompts)} responses" in note for note in notes), notes
        return 1

    cut = 0
    for moment in range(34):
        last = min(1 + moment, len(prompts))
        delay = max(0, moment - len(prompts)) * 0.0009
        cut += sum(attempt(call, last, delay) for call in calls)
    print("interrupted", cut)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
def test_two_hundred_signals_over_the_whole_call_lose_no_answer() -> None:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SIGNALS)], capture_output=True, text=True, timeout=150, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout.split()[-1]) > 50


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_an_exception_of_a_signal_s_handler_is_no_failure_of_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    import tqdm.auto

    def ring(number: int, frame: object) -> None:
        raise LookupError("the alarm rings")

    def update(bar: Any, count: float = 1) -> None:
        signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(tqdm.auto.tqdm, "update", update)
    before = signal.signal(signal.SIGUSR1, ring)
    client = client_of(MemoryTransport())
    try:
        with pytest.raises(LookupError, match="the alarm rings") as caught:
            client.process_prompts_sync(PROMPTS)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [response and response.completion for response in client.interrupted] == PROMPTS
    assert caught.value.__notes__ == ["client.interrupted has the 12 of 12 responses that arrived."]


@pytest.mark.parametrize("step", ["__init__", "update", "close"])
@pytest.mark.parametrize("error", [ValueError("no output"), BrokenPipeError(), RecursionError(), AttributeError("x")])
def test_a_progress_bar_that_fails_ends_no_call(monkeypatch: pytest.MonkeyPatch, step: str, error: Exception) -> None:
    import tqdm.auto

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(tqdm.auto.tqdm, step, fail)
    responses = client_of(MemoryTransport()).process_prompts_sync(PROMPTS)
    assert [response.completion for response in responses] == PROMPTS


def test_a_progress_bar_leaves_no_thread(capfd: pytest.CaptureFixture[str]) -> None:
    import tqdm

    client_of(MemoryTransport()).process_prompts_sync(PROMPTS)
    assert "12/12" in capfd.readouterr().err
    assert tqdm.tqdm.monitor is None


def interrupt(number: int) -> None:
    if number == 5:
        os.kill(os.getpid(), signal.SIGINT)


def without_logprobs(seen: Seen, number: int) -> Reply:
    body = chat(seen, says(seen.question))
    body["choices"][0]["logprobs"] = None
    return Reply(body)


@pytest.mark.parametrize("awaited", [False, True], ids=["waited", "awaited"])
def test_a_warning_as_an_error_leaves_every_answer(server: ChatServer, awaited: bool) -> None:
    server.answer = without_logprobs
    client = LLMClient("gpt-4o-mini", logprobs=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="12 of 12 answers came without") as caught:
            asyncio.run(client.process_prompts_async(PROMPTS, show_progress=False)) if awaited else ask(client)
    assert [response and response.completion for response in client.interrupted] == PROMPTS
    assert client.usage.answered == 12
    assert "client.interrupted has the 12 of 12" in caught.value.__notes__[0]


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.01, 0.03, 0.06])
async def test_a_cancelled_call_counts_what_it_keeps(server: ChatServer, delay: float) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return Reply(chat(seen, says(seen.question)), delay=0 if number % 3 else 0.05)

    server.answer = answer
    client = LLMClient("gpt-4o-mini", logprobs=True, max_concurrent_requests=4)
    prompts = [str(number) for number in range(400)]
    call = asyncio.create_task(client.process_prompts_async(prompts, show_progress=False))
    while len(server.seen) < 8:  # noqa: ASYNC110 - the server is in another thread
        await asyncio.sleep(0.001)
    await asyncio.sleep(delay)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    arrived = [response for response in client.interrupted if response is not None]
    assert len(client.interrupted) == 400
    assert 0 < len(arrived) == client.usage.answered < 400
    assert client.usage.requests >= len(arrived)
    assert f"the {len(arrived)} of 400 responses" in caught.value.__notes__[0]
    sent = len(server.seen)
    await asyncio.sleep(0.05)
    assert len(server.seen) == sent


async def loop_over(client: LLMClient) -> Any:
    return [pair async for pair in client.as_completed(PROMPTS)]


async def await_all(client: LLMClient) -> Any:
    return await client.process_prompts_async(PROMPTS, show_progress=False)


@pytest.mark.parametrize("call", [await_all, loop_over])
async def test_a_call_that_is_cancelled_again_and_again_ends_after_its_requests(
    call: Callable[[LLMClient], Any],
) -> None:
    client = client_of(MemoryTransport(limit=5))
    running = asyncio.create_task(call(client))
    while client.usage.answered < 5:  # noqa: ASYNC110 - the portal is in another thread
        await asyncio.sleep(0)
    while not running.done():  # as anyio does
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError) as caught:
        await running
    assert not client.interrupted.is_growing
    assert sum(response is not None for response in client.interrupted) == client.usage.answered == 5
    assert caught.value.__notes__ == ["client.interrupted has the 5 of 12 responses that arrived."]


async def test_a_call_that_is_cancelled_in_its_last_step_keeps_its_answers(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = without_logprobs
    client = LLMClient("gpt-4o-mini", logprobs=True)
    running = asyncio.create_task(await_all(client))

    def cancel(*arguments: Any, **options: Any) -> None:
        running.cancel()

    monkeypatch.setattr(warnings, "showwarning", cancel)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(asyncio.CancelledError) as caught:
            await running
    assert [response and response.completion for response in client.interrupted] == PROMPTS
    assert caught.value.__notes__ == ["client.interrupted has the 12 of 12 responses that arrived."]


def test_usage_counts_an_answer_as_soon_as_it_has_come() -> None:
    client = client_of(MemoryTransport(limit=5))
    for number, _ in enumerate(client.as_completed(PROMPTS), 1):
        assert number <= client.usage.answered <= client.usage.requests
        if number == 5:  # the others never come
            break
    assert client.usage.answered == 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
@pytest.mark.parametrize("call", [ask, ask_as_completed])
def test_a_second_interrupt_while_the_call_ends_leaves_the_answers(call: Callable[[LLMClient], Any]) -> None:
    class Interrupting(MemoryTransport):
        """Transport that interrupts as soon as a request that waits is cancelled."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await super().handle_async_request(request)
            except asyncio.CancelledError:
                signal.raise_signal(signal.SIGINT)
                raise

    client = client_of(Interrupting(interrupt, limit=5))
    with pytest.raises(KeyboardInterrupt) as caught:
        call(client)
    assert isinstance(caught.value.__context__, KeyboardInterrupt)
    assert sum(response is not None for response in client.interrupted) == client.usage.answered == 5
    assert caught.value.__notes__[0].startswith("client.interrupted has the 5 of 12 responses that arrived")


def test_the_note_says_that_a_call_still_takes_responses() -> None:
    responses, error = PartialResponses([None] * 3), KeyboardInterrupt()
    responses.follow(lambda: None)
    keep(client_of(MemoryTransport()), responses, error)
    assert error.__notes__ == ["client.interrupted has the 0 of 3 responses that arrived so far."]


def test_an_interrupted_classify_goes_on_where_it_ended() -> None:

    labels = ["q1", "q2"]
    whole = classify(PROMPTS, labels, client_of(MemoryTransport()), show_progress=False)
    transport = MemoryTransport(interrupt, limit=5)
    client = client_of(transport, max_concurrent_requests=1)
    with pytest.raises(KeyboardInterrupt) as caught:
        classify(PROMPTS, labels, client, show_progress=False)
    assert any("classify_responses(client.interrupted, labels)" in note for note in caught.value.__notes__)
    responses = client.interrupted
    missing = [row for row, response in enumerate(responses) if response is None]
    assert missing == list(range(5, 12))
    transport.limit = None
    rest = classify([PROMPTS[row] for row in missing], labels, client, show_progress=False)
    for row, result in zip(missing, rest, strict=True):
        responses[row] = result.responses[0]
    assert classify_responses(responses, labels).labels == whole.labels
    assert transport.answered == len(PROMPTS)


def test_a_loop_over_a_stream_that_ends_behind_its_last_token_leaves_the_answer(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini")
    earlier = PartialResponses([None])
    client.interrupted = earlier
    whole = "".join(token.text for token in client.stream("Hello?"))
    assert client.interrupted is earlier
    text = ""
    running = client.stream("Hello?")
    for token in running:
        text += token.text
        if text == whole:
            break
    assert running.wait(10)
    (response,) = client.interrupted
    assert response is not None
    assert response.completion == whole


def test_an_interrupted_score_llm_is_read_by_classify_responses() -> None:
    client = client_of(MemoryTransport(interrupt, limit=5), max_concurrent_requests=1)
    answers = ["yes", "no"] * 6
    with pytest.raises(KeyboardInterrupt):
        score_llm("{0}", answers, client, return_probabilities=True, show_progress=False)
    found = classify_responses(client.interrupted, ["yes", "no"])
    assert found.labels == [*answers[:5], *[None] * 7]


def test_a_call_that_has_sent_nothing_leaves_what_was_kept_before() -> None:
    client = client_of(MemoryTransport(interrupt, limit=5))
    with pytest.raises(KeyboardInterrupt):
        ask(client)
    kept = client.interrupted
    with pytest.raises(ValueError, match="sampling_params must be"):
        client.process_prompts_sync(["x"], sampling_params="none", show_progress=False)  # type: ignore[call-overload]
    assert client.interrupted is kept


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, MemoryError])
def test_an_exception_that_a_transport_raises_concerns_its_prompt_alone(error: type[BaseException]) -> None:
    def fail(number: int) -> None:
        if number == 3:
            raise error

    responses = ask(client_of(MemoryTransport(fail), max_concurrent_requests=1))
    assert [response.is_error for response in responses] == [number == 2 for number in range(12)]
    assert error.__name__ in responses[2].error_message
    assert ask(client_of(MemoryTransport()))[11].completion == "q11"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopIteration])
def test_a_body_that_cannot_be_closed_costs_no_answer(error: type[BaseException]) -> None:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield json.dumps({"choices": [{"message": {"content": "Hi"}}]}).encode()

        async def aclose(self) -> None:
            raise error

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Body()))
    client = client_of(transport, logprobs=False, top_logprobs=None)
    assert [response.completion for response in ask(client)] == ["Hi"] * 12


BUILT_IN = sorted(
    (kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)),
    key=lambda kind: kind.__name__,
)


def made(kind: type[BaseException]) -> BaseException:
    if issubclass(kind, BaseExceptionGroup):
        return kind("several", [ValueError("one")])
    if issubclass(kind, UnicodeDecodeError):
        return kind("utf-8", b"\xff", 0, 1, "bad")
    if issubclass(kind, UnicodeEncodeError):
        return kind("utf-8", "\ud800", 0, 1, "bad")
    if issubclass(kind, UnicodeTranslateError):
        return kind("\ud800", 0, 1, "bad")
    return kind("no \x1b]52;c;x\x07 good")


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.__name__)
def test_a_validator_may_raise_anything(kind: type[BaseException]) -> None:
    from deluge_nb.tools import OutputSchema

    class Adapter:
        def validate_json(self, data: str) -> str:
            if data == "q3":
                raise made(kind)
            return data

    schema = OutputSchema("answer", {"type": "string"}, cast(Any, Adapter()))
    client = client_of(MemoryTransport())
    responses = client.process_prompts_sync(PROMPTS, output_schema=schema, show_progress=False)
    assert [response.completion for response in responses] == PROMPTS
    assert not any(response.is_error for response in responses)
    assert [response.parsed for response in responses] == [None if text == "q3" else text for text in PROMPTS]
    note = responses[3].note or ""
    assert "does not fit output_schema" in note
    assert type(made(kind)).__name__ in note
    assert "\x1b" not in note


def test_an_exception_without_a_message_of_its_own_is_still_named() -> None:
    from pydantic import BaseModel, field_validator

    class Nameless(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            raise KeyError("no name")

    class SpeechlessError(Exception, metaclass=Nameless):
        def __str__(self) -> str:
            raise KeyError("no words")

    class Answer(BaseModel):
        value: int

        @field_validator("value")
        @classmethod
        def check(cls, value: int) -> int:
            raise SpeechlessError

    client = client_of(MemoryTransport())
    (response,) = client.process_prompts_sync(['{"value": 1}'], output_schema=Answer, show_progress=False)
    assert response.completion == '{"value": 1}'
    assert "SpeechlessError" in (response.note or "")


@pytest.mark.parametrize("text", ["[" * 5000, "[" * 200_000, '{"a":' * 5000, "1" * 5000, "NaN", " ", "\0"])
def test_an_answer_that_no_parser_can_read_costs_no_other(text: str) -> None:
    prompts = [text, *["{}"] * 40]
    client = client_of(MemoryTransport(), logprobs=False, top_logprobs=None)
    responses = client.process_prompts_sync(prompts, output_schema={"type": "object"}, show_progress=False)
    assert [response.completion for response in responses[1:]] == ["{}"] * 40
    assert all(response.parsed == {} for response in responses[1:])
    assert not responses[0].is_error


# Classes, because an instance would keep its traceback, and with it the silent exceptions, until the last test.
@pytest.mark.parametrize("failure", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_exception_without_a_message_costs_no_answer(server: ChatServer, failure: type[BaseException]) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise failure("a")

    class Answer(BaseModel):
        a: str

        @field_validator("a")
        @classmethod
        def check(cls, value: str) -> str:
            raise Silent

    server.answer = lambda seen, number: Reply(chat(seen, says('{"a": "b"}')))
    client = LLMClient("gpt-4o-mini")
    (response,) = client.process_prompts_sync(["?"], output_schema=Answer, show_progress=False)
    stream = client.stream("?", output_schema=Answer)
    assert "".join(token.text for token in stream) == response.completion == '{"a": "b"}'
    assert response.note == "the answer does not fit output_schema: Silent"
