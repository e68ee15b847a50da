"""Responses to prompts when servers misbehave."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import APIResponse, LLMClient, MalformedResponseError, RequestError, SamplingParams
from deluge_nb.dialects.base import Ask, load
from deluge_nb.models import REGISTRY
from deluge_nb.prompts import as_prompt
from deluge_nb.tools import OutputSchema
from deluge_nb.transport import portal
from deluge_nb.transport.http import Transport
from tests import fault_server
from tests.fault_server import FaultServer, compressed, cut, good, reply, slowly
from tests.openai_server import Seen, chat, says

pytestmark = pytest.mark.slow

KEY = "sk-test-0123456789"
ENVELOPE = {"error": {"message": "it is what it is", "type": "server_error", "code": None}}


@pytest.fixture
def faulty() -> Iterator[FaultServer]:
    with fault_server.running() as found:
        yield found


def ask(server: FaultServer, *prompts: str, **options: Any) -> list[APIResponse]:
    client = LLMClient(
        "gpt-4o-mini",
        base_url=server.url,
        api_key=KEY,
        sampling_params=SamplingParams(logprobs=True, top_logprobs=2),
        **options,
    )
    try:
        return client.process_prompts_sync(prompts or ["Hello?"], show_progress=False)
    finally:
        client.close()


def first_then_good(faulty: FaultServer, *steps: Any) -> None:
    faulty.answer = lambda seen, number: steps if number == 0 else good(seen)


# Cured by another try -------------------------------------------------------------------------------------------------

WAITS = [
    {"retry_after": "0"},
    {"retry_after": "0.01"},
    {"retry_after_ms": "5"},
    {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "12ms"},
    {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "0m0.01s"},
    {"x_ratelimit_remaining_tokens": "-1", "x_ratelimit_reset_tokens": "-1", "retry_after": "0"},
    {"anthropic_ratelimit_requests_remaining": "0", "anthropic_ratelimit_requests_reset": "2015-10-21T07:28:00Z"},
    {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "0.01"},
    {"x_ratelimit_remaining_requests_day": "0", "x_ratelimit_reset_requests_day": "0.02", "retry_after": "0"},
    {"retry_after": "Wed, 21 Oct 20150000000000000000 07:28:00 GMT"},
    {"retry_after": "99999999999999999999"},
    {"retry_after": "nan"},
    {"retry_after": "inf"},
    {"retry_after_ms": "1e400"},
    {"retry_after": "garbage", "x_ratelimit_remaining_requests": "\xff", "retry_after_ms": "1"},
]


@pytest.mark.parametrize("headers", WAITS, ids=lambda headers: ",".join(headers))
def test_a_429_is_tried_again_when_its_headers_say(faulty: FaultServer, headers: Any) -> None:
    first_then_good(faulty, *reply(ENVELOPE, 429, **headers))
    (response,) = ask(faulty)
    assert response.completion == "Hello?"
    assert len(faulty.seen) == 2


@pytest.mark.parametrize("status", [408, 409, 425, 429, 498, 500, 502, 503, 504, 529])
def test_a_server_in_trouble_is_tried_again(faulty: FaultServer, status: int) -> None:
    first_then_good(faulty, *reply(ENVELOPE, status, retry_after="0"))
    assert ask(faulty)[0].completion == "Hello?"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_connection_that_is_reset_is_tried_again(faulty: FaultServer, share: float) -> None:
    faulty.answer = lambda seen, number: cut(good(seen), share) if number == 0 else good(seen)
    assert ask(faulty)[0].completion == "Hello?"
    assert len(faulty.seen) == 2


# Reported as errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (reply(b'{"choices": [{"message": {"content": "Hel'), "no JSON"),
        (reply(b""), "an empty body"),
        (reply(b"<html><body>Welcome</body></html>", kind="text/html"), "no JSON"),
        (reply(b"[]"), "does not fit"),
        (reply({"choices": []}), "without choices"),
    ],
    ids=["truncated", "empty", "page", "list", "no choices"],
)
def test_a_body_that_is_no_answer_is_reported_and_not_retried(faulty: FaultServer, steps: Any, reason: str) -> None:
    faulty.answer = lambda seen, number: steps
    (response,) = ask(faulty)
    assert isinstance(response.error, MalformedResponseError)
    assert reason in str(response.error)
    assert len(faulty.seen) == 1


def test_an_error_inside_a_200_is_tried_again_like_its_status(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: reply({"error": {"code": 502, "message": "the upstream is gone"}})
    (response,) = ask(faulty, max_attempts=2)
    assert isinstance(response.error, RequestError)
    assert "the upstream is gone" in str(response.error)
    assert (response.status_code, len(faulty.seen)) == (502, 2)


def test_a_failed_choice_is_tried_again_and_keeps_its_text(faulty: FaultServer) -> None:
    choice = {"message": {"content": "The capital of Fra"}, "finish_reason": "error", "error": {"code": 502}}
    faulty.answer = lambda seen, number: reply({"choices": [choice]})
    (response,) = ask(faulty, max_attempts=1)
    assert (response.is_error, response.completion) == (True, "The capital of Fra")
    assert response.raw_response == {"choices": [choice]}
    first_then_good(faulty, *reply({"choices": [choice]}))
    assert ask(faulty)[0].completion == "Hello?"


def test_an_answer_cut_off_by_a_filter_is_no_failure_and_noted(faulty: FaultServer) -> None:
    choice = {"message": {"content": "Well"}, "finish_reason": "content_filter"}
    faulty.answer = lambda seen, number: reply({"choices": [choice]})
    with pytest.warns(UserWarning, match="without the log-probabilities"):
        (response,) = ask(faulty)
    assert (response.is_error, response.completion) == (False, "Well")
    assert "content filter" in (response.note or "")


def test_a_gateway_s_page_is_not_shown(faulty: FaultServer) -> None:
    page = b"<!doctype html><title>502</title><script>alert(1)</script>"
    faulty.answer = lambda seen, number: reply(page, 502, kind="text/html", retry_after="0")
    (response,) = ask(faulty)
    assert "answered 502" in (response.error_message or "")
    assert "<" not in (response.error_message or "")


def test_nan_and_lone_surrogates_cost_no_answer(faulty: FaultServer) -> None:
    def answer(seen: Seen, number: int) -> Any:
        body = chat(seen, says("fine", "odd"))
        odd = body["choices"][0]["logprobs"]["content"][1]
        odd["token"], odd["logprob"] = "\ud83d", float("nan")
        return reply(body)

    faulty.answer = answer
    (response,) = ask(faulty)
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["fine", "�"]
    assert response.logprobs[1]["logprob"] is None


@pytest.mark.parametrize("kind", ["text/html", "text/plain; charset=latin-1", "application/octet-stream", None])
def test_a_wrong_content_type_does_not_matter(faulty: FaultServer, kind: str | None) -> None:
    faulty.answer = lambda seen, number: reply(chat(seen, says("é")), kind=kind)
    assert ask(faulty)[0].completion == "é"


def test_a_compressed_answer_is_read(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: compressed(seen)
    assert ask(faulty)[0].completion == "Hello?"


def test_a_broken_compression_is_reported(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: reply(b"this is no gzip", content_encoding="gzip")
    (response,) = ask(faulty, max_attempts=2)
    assert isinstance(response.error, RequestError)


def test_a_redirect_is_reported_and_not_followed(faulty: FaultServer) -> None:
    with fault_server.running() as other:
        faulty.answer = lambda seen, number: reply(b"", 307, location=f"{other.url}/chat/completions")
        (response,) = ask(faulty)
        assert not other.seen
    assert KEY in faulty.seen[0].headers["authorization"]
    assert isinstance(response.error, RequestError)
    assert f"it has moved to {other.url}" in str(response.error)
    assert len(faulty.seen) == 1


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/other/chat/completions", "it has moved to {root}/other/chat/completions; pass that as base_url"),
        ("//h.example/v1", "it has moved to http://h.example/v1; pass that as base_url"),
        ("chat/completions/", "it has moved to {root}/v1/chat/chat/completions/; pass that as base_url"),
        ("/v1/chat/completions/", "it redirects to {root}/v1/chat/completions/, where this base_url leads already"),
        ("", "where this base_url leads already"),
        ("ftp://h/", "it redirects to 'ftp://h/', which is no address of a server"),
        ("http://[h/", "it redirects to 'http://[h/', which is no address of a server"),
    ],
)
def test_a_redirect_is_reported_as_an_address_that_can_be_passed(
    faulty: FaultServer, location: str, reason: str
) -> None:
    faulty.answer = lambda seen, number: reply(b"", 308, location=location)
    (response,) = ask(faulty)
    assert reason.format(root=faulty.url.removesuffix("/v1")) in str(response.error)


@pytest.mark.parametrize("status", [403, 502, 511])
def test_of_a_page_in_place_of_a_reason_the_title_is_reported(faulty: FaultServer, status: int) -> None:
    page = b"<!DOCTYPE html><html><head><TITLE lang='en'>\n Log in &amp; go\n</TITLE></head><body>no</body></html>"
    faulty.answer = lambda seen, number: reply(page, status, kind="text/html")
    (response,) = ask(faulty, max_attempts=1)
    assert str(response.error).endswith(f"answered {status}: a page with the title 'Log in & go'")


def test_a_server_that_asks_for_a_login_as_proxies_do_is_no_proxy(
    faulty: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    faulty.answer = lambda seen, number: reply({"error": "log in"}, 407)
    (response,) = ask(faulty)
    assert str(response.error).endswith("answered 407: log in")


def test_a_silent_server_runs_into_the_timeout(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: [30.0]
    (response,) = ask(faulty, timeout=0.1, max_attempts=2)
    assert "no answer within 0.1 seconds (2 tries, which may be billed)" in (response.error_message or "")
    assert len(faulty.seen) == 2


def test_a_status_after_several_tries_names_their_number(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: reply(ENVELOPE, 503, retry_after="0")
    (response,) = ask(faulty, max_attempts=3)
    assert (response.error_message or "").endswith("answered 503: it is what it is (3 tries)")
    assert len(faulty.seen) == 3


def test_every_request_is_reported_retries_included(faulty: FaultServer) -> None:
    first_then_good(faulty, *reply(ENVELOPE, 500, retry_after="0"))
    endpoint = replace(REGISTRY.resolve("m", base_url=faulty.url).endpoint, base_url=faulty.url)
    asked = Ask("m", endpoint, as_prompt("Hello?"), SamplingParams())
    transport = Transport(endpoint, key=None)
    sent: list[int] = []
    completion = portal.run(
        transport.carry(load(endpoint.dialect).exchange(asked), "m", on_request=lambda: sent.append(1))
    )
    transport.close()
    assert completion.text == "Hello?"
    assert len(sent) == len(faulty.seen) == 2


def test_an_answer_that_comes_byte_by_byte_runs_into_the_total_timeout(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: slowly(good(seen), 0.05)
    (response,) = ask(faulty, timeout=0.5)
    assert "still coming after 5 seconds" in (response.error_message or "")
    assert len(faulty.seen) == 1


def test_a_slow_answer_is_read_when_there_is_time(faulty: FaultServer) -> None:
    faulty.answer = lambda seen, number: slowly(good(seen), 0.001)
    assert ask(faulty, timeout=5)[0].completion == "Hello?"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_answer_that_would_fill_the_memory_is_refused(faulty: FaultServer, packed: bool) -> None:
    endless = b" " * (65 << 20)
    steps = reply(gzip.compress(endless), content_encoding="gzip") if packed else reply(endless)
    faulty.answer = lambda seen, number: steps
    (response,) = ask(faulty)
    assert "longer than 64 MB" in (response.error_message or "")
    assert len(faulty.seen) == 1


def test_a_long_answer_is_read(faulty: FaultServer) -> None:
    def answer(seen: Seen, number: int) -> Any:
        return reply({**chat(seen, says("fine")), "padding": "x" * (32 << 20)})

    faulty.answer = answer
    assert ask(faulty)[0].completion == "fine"


# All of it at once ----------------------------------------------------------------------------------------------------


def some_fault(seen: Seen, dice: random.Random) -> Any:
    body = chat(seen, says(seen.question))
    faults: list[Any] = [
        reply(ENVELOPE, 429, retry_after="0.01"),
        reply(ENVELOPE, 429, retry_after_ms="3"),
        reply(ENVELOPE, 429, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="5ms"),
        reply({"error": {"message": "no credit", "code": "insufficient_quota"}}, 429),
        reply(ENVELOPE, 400),
        reply(ENVELOPE, 500, retry_after="0"),
        reply(ENVELOPE, 529, retry_after="0.01"),
        reply(b"<html>bad gateway</html>", 502, kind="text/html", retry_after="0"),
        reply({"error": {"message": "inside"}}),
        reply(b'{"choices": [{'),
        reply({**body, "choices": []}),
        reply(b"", 302, location="http://192.0.2.1/"),
        cut(good(seen), dice.random()),
        cut(good(seen), 0.5, None),
        compressed(seen),
        reply(str(body).encode()),
        reply(body, kind="text/html"),
        [1.2],
    ]
    return dice.choice(faults)


# By the name that a question ends in: faults that another try does not cure, and that do not take long.
FAULTS: dict[str, Any] = {
    "good": good,
    "busy": lambda seen: reply(ENVELOPE, 503, retry_after="0"),
    "limit": lambda seen: reply(ENVELOPE, 429, retry_after_ms="1"),
    "quota": lambda seen: reply({"error": {"message": "no credit", "code": "insufficient_quota"}}, 429),
    "bad": lambda seen: reply(ENVELOPE, 400),
    "page": lambda seen: reply(b"<html>bad gateway</html>", 502, kind="text/html", retry_after="0"),
    "inside": lambda seen: reply({"error": {"message": "inside"}}),
    "half": lambda seen: reply(b'{"choices": [{'),
    "nothing": lambda seen: reply(b""),
    "no choices": lambda seen: reply({"choices": []}),
    "deep": lambda seen: reply(b"[" * 100_000),
    "moved": lambda seen: reply(b"", 302, location="http://192.0.2.1/"),
    "cut": lambda seen: cut(good(seen), 0.5),
    "no gzip": lambda seen: reply(b"this is no gzip", content_encoding="gzip"),
    "odd usage": lambda seen: reply({**chat(seen, says(seen.question)), "usage": {"prompt_tokens": 1e999, "cost": []}}),
    "odd schema": good,
}


class Picky:
    """Adapter whose validator fails in its own way for some answers."""

    def validate_json(self, data: str) -> str:
        if data.endswith("odd schema"):
            raise LookupError("not that one")
        return data


@pytest.fixture(scope="module")
def judge() -> Iterator[FaultServer]:
    with fault_server.running() as found:
        found.answer = lambda seen, number: FAULTS[seen.question.partition(" ")[2]](seen)
        yield found


def facts(response: APIResponse) -> tuple[Any, ...]:
    return response.completion, response.is_error, response.logprobs, response.parsed, response.note


@settings(max_examples=12)
@given(names=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=8))
def test_any_faults_of_any_prompts_cost_no_other_answer(judge: FaultServer, names: list[str]) -> None:
    prompts = [f"{number} {name}" for number, name in enumerate(names)]
    schema = OutputSchema("answer", {"type": "string"}, cast(Any, Picky()))
    client = LLMClient(
        "gpt-4o-mini", base_url=judge.url, api_key=KEY, max_attempts=2, timeout=5, logprobs=True, top_logprobs=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = client.process_prompts_sync(prompts, output_schema=schema, show_progress=False)
        alone = [
            client.process_prompts_sync([prompt], output_schema=schema, show_progress=False)[0] for prompt in prompts
        ]
    client.close()
    assert list(map(facts, together)) == list(map(facts, alone))
    for prompt, name, response in zip(prompts, names, together, strict=True):
        if name in ("good", "odd usage", "odd schema"):
            assert response.completion == prompt
            assert (response.parsed is None) == (name == "odd schema")
        else:
            assert response.is_error
            assert response.error_message
    assert client.usage.answered + client.usage.failed == 2 * len(prompts)


def test_fifty_rounds_of_faults_leave_nothing_behind(faulty: FaultServer) -> None:
    dice = random.Random(5)
    faulty.answer = lambda seen, number: some_fault(seen, dice) if dice.random() < 0.4 else good(seen)
    client = LLMClient(
        "gpt-4o-mini", base_url=faulty.url, api_key=KEY, timeout=0.3, max_attempts=2, logprobs=True, top_logprobs=2
    )
    process = psutil.Process()
    others = set(process.children())
    prompts = [f"question {number}" for number in range(6)]
    memory: list[int] = []
    threads = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(50):
            responses = client.process_prompts_sync(prompts, show_progress=False)
            assert [r.is_error or r.completion == prompt for r, prompt in zip(responses, prompts, strict=True)]
            memory.append(process.memory_info().rss)
            threads = threads if number > 5 else threading.active_count()
    client.close()
    gc.collect()
    until = time.monotonic() + 10
    while (leftover() or connections(faulty)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not leftover()
    assert not connections(faulty)
    assert threading.active_count() <= threads
    assert set(process.children()) <= others
    assert memory[-1] - memory[10] < 30 << 20


def leftover() -> set[str]:
    async def tasks() -> set[str]:
        return {repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    return portal.run(tasks())


def connections(server: FaultServer) -> int:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    found = psutil.Process().net_connections("tcp")
    return sum(1 for one in found if one.raddr and one.raddr.port == port and one.status != psutil.CONN_TIME_WAIT)


def test_two_thousand_prompts_among_faults_all_end_in_order_and_leave_nothing_behind(faulty: FaultServer) -> None:
    dice = random.Random(7)
    faulty.answer = lambda seen, number: some_fault(seen, dice) if dice.random() < 0.4 else good(seen)
    prompts = [f"question {i}" for i in range(2000)]
    before = psutil.Process().memory_info().rss
    responses = ask(faulty, *prompts, timeout=1.0, max_attempts=3, max_concurrent_requests=100)
    assert len(responses) == 2000
    for prompt, response in zip(prompts, responses, strict=True):
        if response.is_error:
            assert isinstance(response.error, RequestError | MalformedResponseError)
            assert response.error_message
            assert KEY not in str(response.error)
        else:
            assert response.completion == prompt
            assert response.logprobs is not None
    answered = sum(not response.is_error for response in responses)
    assert 1300 < answered < 2000
    assert psutil.Process().memory_info().rss - before < 100 << 20
    gc.collect()
    until = time.monotonic() + 10
    while (leftover() or connections(faulty)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not leftover()
    assert not connections(faulty)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
def test_an_interrupt_at_any_moment_keeps_finished_responses(faulty: FaultServer) -> None:
    dice = random.Random(11)
    faulty.answer = lambda seen, number: [0.02, *(some_fault(seen, dice) if dice.random() < 0.3 else good(seen))]
    script = f"""
        import signal
        from deluge_nb import LLMClient, SamplingParams
        signal.signal(signal.SIGINT, signal.default_int_handler)
        client = LLMClient(
            "gpt-4o-mini", base_url={faulty.url!r}, api_key={KEY!r}, timeout=1.0, max_concurrent_requests=20,
            sampling_params=SamplingParams(logprobs=True, top_logprobs=2), max_attempts=2,
        )
        prompts = [f"question {{i}}" for i in range(20_000)]
        print("ready", flush=True)
        for _ in range(3):
            try:
                client.process_prompts_sync(prompts, show_progress=False)
            except KeyboardInterrupt:
                kept = client.interrupted
                assert len(kept) == len(prompts)
                for prompt, one in zip(prompts, kept):
                    assert one is None or one.is_error or one.completion == prompt, (prompt, one)
                print(sum(one is not None and not one.is_error for one in kept), flush=True)
        print("done", flush=True)
    """
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    for _ in range(3):
        before = len(faulty.seen)
        until = time.monotonic() + 30
        while len(faulty.seen) < before + 60 and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(dice.random() * 0.3)
        running.send_signal(signal.SIGINT)
        assert int(running.stdout.readline()) > 0
    assert running.stdout.readline() == "done\n"
    assert running.wait(30) == 0


def test_a_client_that_was_used_before_answers_when_the_interpreter_ends(faulty: FaultServer) -> None:
    script = f"""
        import atexit
        from deluge_nb import LLMClient
        client = LLMClient("gpt-4o-mini", base_url={faulty.url!r}, api_key={KEY!r}, max_attempts=1)
        ask = lambda: print(client.process_prompts_sync(["Hello?"], show_progress=False)[0].completion)
        atexit.register(ask)
        ask()
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.split() == ["Hello?", "Hello?"]


def test_long_answers_that_arrive_together_are_read_each_for_itself(faulty: FaultServer) -> None:
    """Every third is broken, in a way of its own."""
    failed = {"finish_reason": "error", "error": {"code": 400, "message": "no"}}

    def answer(seen: Seen, number: int) -> list[fault_server.Step]:
        turn, whole = int(seen.question.split()[-1]), chat(seen, says(seen.question, *["word "] * 300))
        if turn % 6 == 0:
            whole["choices"][0].update(failed)
        if turn % 6 == 3:
            return reply(json.dumps(whole)[:-2].encode())
        return reply(whole)

    faulty.answer = answer
    responses = ask(faulty, *[f"question {turn}" for turn in range(60)], max_concurrent_requests=60)
    for turn, response in enumerate(responses):
        assert response.is_error == (turn % 3 == 0)
        if turn % 6 != 3:
            assert (response.completion or "").startswith(f"question {turn}word")
    good_ones = [response.logprobs for response in responses if not response.is_error]
    assert all(table is not None and len(table) == 301 for table in good_ones)
