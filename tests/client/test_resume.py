"""Calls that go on where an interrupt ended them: what was answered is not asked again."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deluge_nb import APIResponse, LLMClient, PartialResponses, SettingError, classify, score_llm
from tests.memory_transport import MemoryTransport
from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, says

pytestmark = pytest.mark.filterwarnings("ignore:.*have less than 5 %")

PROMPTS = [f"q{number}" for number in range(6)]
LABELS = ["q1", "q2"]
Resume = Any


def process(client: LLMClient, resume: Resume) -> Any:
    return texts(client.process_prompts_sync(PROMPTS, show_progress=False, resume=resume))


def ask_all(client: LLMClient, resume: Resume) -> Any:
    answers = client.ask_all(PROMPTS, show_progress=False, resume=resume)
    return {model: texts(responses) for model, responses in answers.items()}


def as_they_arrive(client: LLMClient, resume: Resume) -> Any:
    return {index: response.completion for index, response in client.as_completed(PROMPTS, resume=resume)}


def sort_out(client: LLMClient, resume: Resume) -> Any:
    return shares(classify(PROMPTS, LABELS, client, show_progress=False, resume=resume))


def sort_out_calibrated(client: LLMClient, resume: Resume) -> Any:
    return shares(
        classify(
            PROMPTS,
            LABELS,
            client,
            calibration="contextual",
            content_free=["q1", "q2"],
            show_progress=False,
            resume=resume,
        )
    )


def follow_a_trie(client: LLMClient, resume: Resume) -> Any:
    return shares(classify(PROMPTS, LABELS, client, method="trie", show_progress=False, resume=resume))


def score(client: LLMClient, resume: Resume) -> Any:
    return score_llm("{0}", PROMPTS, client, return_probabilities=True, show_progress=False, resume=resume)


CALLS = [process, as_they_arrive, ask_all, sort_out, sort_out_calibrated, follow_a_trie, score]


def texts(responses: list[APIResponse]) -> list[str | None]:
    return [response.completion for response in responses]


def shares(results: Any) -> list[Any]:
    return [(result.label, result.probabilities, result.error_message) for result in results]


def client_of(transport: MemoryTransport) -> LLMClient:
    return LLMClient(
        ["gpt-4o-mini", "gpt-4o"],
        api_key="sk-test-0123456789",
        transport=transport,
        logprobs=True,
        top_logprobs=2,
        max_concurrent_requests=1,
        continues=True,
    )


def whole(call: Callable[[LLMClient, Resume], Any]) -> tuple[Any, int]:
    transport = MemoryTransport()
    return call(client_of(transport), None), transport.answered


def interrupted(call: Callable[[LLMClient, Resume], Any], moment: int) -> tuple[LLMClient, MemoryTransport]:
    """Make a call that a signal ends after some answers."""
    transport = MemoryTransport(
        lambda number: os.kill(os.getpid(), signal.SIGINT) if number == moment else None, limit=moment
    )
    client = client_of(transport)
    with pytest.raises(KeyboardInterrupt):
        call(client, None)
    transport.limit = None
    return client, transport


def count_arrived(client: LLMClient, expected: int) -> int:
    """Count the responses that were kept; a loop whose iterator a traceback holds may still be reading the last one."""
    for _ in range(500):
        arrived = sum(response is not None for response in client.interrupted)
        if arrived >= expected:
            break
        time.sleep(0.01)
    return arrived


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_call_goes_on_where_a_signal_ended_it(call: Callable[[LLMClient, Resume], Any]) -> None:
    result, requests = whole(call)
    for moment in {1, requests // 2, requests - 1}:
        client, transport = interrupted(call, moment)
        assert count_arrived(client, moment) == transport.answered == moment
        assert call(client, client.interrupted) == result
        assert transport.answered == client.usage.answered == requests


class Left(Exception):
    """Ends a loop from its body."""


def held(client: LLMClient, count: int) -> Generator[Any, None, None]:
    """Leave a loop after some responses, with a traceback or a variable that holds on to its iterator."""
    pairs = client.as_completed(PROMPTS).__iter__()
    with contextlib.suppress(Left):
        for number in range(1, len(PROMPTS) + 1):
            next(pairs)
            if number == count:
                raise Left
    return pairs


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_loop_that_was_left_and_is_held_keeps_its_responses_and_ends_when_it_is_resumed(count: int) -> None:
    transport = MemoryTransport(limit=count)
    client = client_of(transport)
    pairs = held(client, count)
    kept = client.interrupted
    assert (sum(response is not None for response in kept), len(kept.models)) == (count, len(PROMPTS))
    transport.limit = None
    assert as_they_arrive(client, kept) == whole(as_they_arrive)[0]
    assert transport.answered == client.usage.answered == len(PROMPTS)
    with pytest.raises(RuntimeError, match="ended by a call with resume="):
        list(pairs)
    pairs.close()
    assert client.interrupted is kept


async def test_an_asynchronous_loop_that_was_left_and_is_held_is_resumed() -> None:
    transport = MemoryTransport(limit=2)
    client = client_of(transport)
    pairs = client.as_completed(PROMPTS).__aiter__()
    for _ in range(2):
        await anext(pairs)
    kept = copy.copy(client.interrupted)
    assert sum(response is not None for response in kept) == 2
    transport.limit = None
    responses = await client.process_prompts_async(PROMPTS, show_progress=False, resume=client.interrupted)
    assert (texts(responses), transport.answered) == (PROMPTS, len(PROMPTS))
    await pairs.aclose()
    assert len(pickle.loads(pickle.dumps(kept))) == len(PROMPTS)


def test_a_loop_that_got_everything_leaves_nothing_to_resume() -> None:
    client = client_of(MemoryTransport())
    before = client.interrupted
    for number, _ in enumerate(client.as_completed(PROMPTS), start=1):
        assert sum(response is not None for response in client.interrupted) >= number
    assert client.interrupted is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
def test_a_call_goes_on_from_a_file() -> None:
    client, transport = interrupted(ask_all, 5)
    saved = json.dumps([response and response.to_dict() for response in client.interrupted])
    loaded = [response and APIResponse.from_dict(response) for response in json.loads(saved)]
    assert ask_all(client, loaded) == whole(ask_all)[0]
    assert transport.answered == 12


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
def test_each_place_names_its_model_and_its_prompt() -> None:
    client, _ = interrupted(ask_all, 5)
    kept = client.interrupted
    assert kept.models == ("gpt-4o-mini", "gpt-4o") * 6
    assert kept.prompts == tuple(prompt for prompt in PROMPTS for _ in range(2))
    by_model = kept.by_model()
    assert list(by_model) == ["gpt-4o-mini", "gpt-4o"]
    answered = {model: [response and response.completion for response in row] for model, row in by_model.items()}
    assert answered == {"gpt-4o-mini": ["q0", "q1", "q2", *[None] * 3], "gpt-4o": ["q0", "q1", *[None] * 4]}
    copied = pickle.loads(pickle.dumps(kept))
    assert (copied.models, copied.prompts, len(copied)) == (kept.models, kept.prompts, 12)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_responses_of_another_call_are_refused(call: Callable[[LLMClient, Resume], Any]) -> None:
    transport = MemoryTransport()
    client = client_of(transport)
    others = client.process_prompts_sync(["other"] * 12, show_progress=False)
    for resume, reason in [
        ([None], "one entry for each prompt and model"),
        (others[: 12 if call is ask_all else 8 if call is sort_out_calibrated else 6], "to another prompt"),
        ("q0", "resume must be client.interrupted"),
    ]:
        with pytest.raises(SettingError, match=reason):
            call(client, resume)
    assert transport.answered == 12


def test_a_failed_response_is_asked_again() -> None:
    client = client_of(MemoryTransport())
    responses = client.process_prompts_sync(PROMPTS, show_progress=False)
    failed = APIResponse(responses[1].model, is_error=True, error_message="no", prompt="q1")
    again = client.process_prompts_sync(PROMPTS, show_progress=False, resume=[responses[0], failed, *responses[2:]])
    assert texts(again) == PROMPTS
    assert client.usage.answered == 7


def test_responses_that_are_there_come_before_those_that_are_asked() -> None:
    transport = MemoryTransport()
    client = client_of(transport)
    responses = client.process_prompts_sync(PROMPTS, show_progress=False)
    transport.answered = 0
    pairs = list(client.as_completed(PROMPTS, resume=[None, *responses[1:4], None, responses[5]]))
    assert [index for index, _ in pairs[:4]] == [1, 2, 3, 5]
    assert [response for _, response in pairs[:4]] == [*responses[1:4], responses[5]]
    assert sorted(index for index, _ in pairs[4:]) == [0, 4]
    assert transport.answered == 2


def test_the_part_of_a_stream_that_was_left_is_no_answer_to_resume(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(pieces=chunks(seen, says("a", "b")), held=lambda index: index == 2)
    client = LLMClient("gpt-4o-mini")
    with client.stream("Hello?") as stream:
        next(stream)
    assert [response and response.completion for response in client.interrupted] == ["a"]
    server.answer = lambda seen, number: Reply(chat(seen, says("a", "b")))
    assert texts(client.process_prompts_sync(["Hello?"], show_progress=False, resume=client.interrupted)) == ["ab"]


def test_places_of_a_list_without_models_are_those_of_its_responses() -> None:
    kept = PartialResponses([APIResponse("a", prompt="x"), None])
    assert (kept.models, kept.prompts) == (("a", None), ("x", None))


def test_equal_prompts_stay_draws_of_their_own_with_a_cache(tmp_path: Path) -> None:
    class Numbered(MemoryTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.answered += 1
            body = chat(Seen(json.loads(request.content), {}, ""), says(str(self.answered)))
            return httpx.Response(200, json=body)

    def client() -> LLMClient:
        return LLMClient("gpt-4o-mini", api_key="sk-test-0123456789", transport=transport, cache=str(tmp_path / "c.db"))

    transport = Numbered()
    (first,) = client().process_prompts_sync(["x"], show_progress=False)
    responses = client().process_prompts_sync(["x"] * 3, show_progress=False, resume=[first, None, None])
    assert sorted(str(response.completion) for response in responses) == ["1", "2", "3"]
    assert sorted(texts(client().process_prompts_sync(["x"] * 3, show_progress=False)), key=str) == ["1", "2", "3"]
    assert transport.answered == 3
