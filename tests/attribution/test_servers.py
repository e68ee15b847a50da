"""Influence on servers: every form of given text, alternatives in its place, and what fails."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import (
    Conversation,
    DelugeError,
    LLMClient,
    LogprobsMissingError,
    LogprobsNotSupportedError,
    estimate_influence,
    influence,
    read,
)
from tests import fault_server, given_text_server, openai_server
from tests.given_text_server import logprob_of, pieces_of
from tests.memory_transport import MemoryTransport, client_of
from tests.openai_server import Reply, Seen, chat, error

FORMS = {"vllm/toy": "prompt_logprobs", "toy": "echo", "sglang/toy": "sglang", "tgi/toy": "tgi"}
CHAT = Conversation.system("Be kind. Be brief.").user("It rains. Is it wet?")


def total(before: str, answer: str) -> float:
    """Return the toy model's log-probability of an answer."""
    pieces = pieces_of(before + answer)
    skipped = len(pieces_of(before))
    numbers = [logprob_of(pieces[i - 1], pieces[i]) for i in range(skipped, len(pieces))]
    return math.fsum(number for number in numbers if number is not None)


@pytest.mark.parametrize("model", FORMS)
def test_every_form_of_given_text_has_the_exact_difference(model: str) -> None:
    with given_text_server.running() as toy, LLMClientAt(toy.url, model) as client:
        result = influence("The old man said. He was", " king of all.", client, by="word")
        whole = total("The old man said. He was", " king of all.")
        without_last = total("The old man said. He", " king of all.")
        assert result.method == "given-text"
        assert result.logprob == pytest.approx(whole, abs=1e-9)
        assert result[-1].delta_nats == pytest.approx(whole - without_last, abs=1e-9)
        # The toy model looks back one token only.
        assert [part.delta_nats for part in result][:-1] == pytest.approx([0.0] * 5, abs=1e-9)


class LLMClientAt:
    """Client of a model at an address, closed at the end."""

    def __init__(self, url: str, model: str, **options: Any) -> None:
        self.client = LLMClient(model, base_url=url, max_attempts=1, **options)

    def __enter__(self) -> LLMClient:
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.close()


def test_a_chat_is_read_where_the_server_can() -> None:
    chat = Conversation.system("Be kind.").user("Who is he? Say it.")
    with given_text_server.running(bos=True) as toy, LLMClientAt(toy.url, "vllm/toy") as client:
        result = influence(chat, "he was", client)
        whole = read("he was", before=chat, model=client).total_logprob
        without = read("he was", before=Conversation.system("Be kind.").user("Who is he?"), model=client).total_logprob
    assert result.method == "given-text"
    assert result[2].delta_nats == pytest.approx(whole - without, abs=1e-9)


def test_a_chat_that_the_server_cannot_read_is_asked_for_alternatives() -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "sglang/m") as client:
        server.answer = depends_on("rains")
        assert influence(CHAT, "Yes", client).method == "alternatives"


def test_an_answer_without_a_number_is_an_error_and_no_sum_of_the_rest() -> None:
    with given_text_server.running() as toy, LLMClientAt(toy.url, "toy") as client:
        (part,) = influence("The old man", " said so", client)
    assert "has no log-probability" in str(part.error)
    assert math.isnan(part.delta_nats)
    assert math.isnan(part.delta_low)


def test_a_server_that_does_not_prove_its_numbers_is_asked_for_alternatives_and_the_note_says_why() -> None:
    with (
        given_text_server.running(ignores_echo=True, lists_drawn_only=True) as toy,
        LLMClientAt(toy.url, "toy") as client,
    ):
        result = influence("The old man said. He was", " king", client)
    assert result.method == "alternatives"
    assert "is not proven to return the log-probabilities of given text" in str(result.note)
    assert "is not proven" in result.to_text()
    assert "is not proven" in result.to_html()
    assert all(part.delta_low <= part.delta_high or math.isnan(part.delta_low) for part in result)


def weights(question: str, seed: int = 0) -> dict[str, float]:
    draw = random.Random(f"{seed} {question}")
    raw = {token: math.exp(draw.gauss(0, 1.5)) for token in ("Yes", "No", "Ye", "s", "Maybe", "Y", "es")}
    return {token: weight / sum(raw.values()) for token, weight in raw.items()}


def beginning(text: str, distribution: Mapping[str, float]) -> float:
    """Return the probability that tokens which are drawn from one distribution again and again begin with a text."""
    return math.fsum(
        p if token.startswith(text) else p * beginning(text[len(token) :], distribution)
        for token, p in distribution.items()
        if token.startswith(text) or text.startswith(token)
    )


def rendered(messages: list[Any]) -> str:
    return json.dumps([message["content"] for message in messages])


def toy_chat(seed: int, k: int, length: int) -> Callable[[Seen, int], Reply]:
    def answer(seen: Seen, number: int) -> Reply:
        distribution = weights(rendered(seen.body["messages"]), seed)
        drawn = random.Random(number).choices(list(distribution), list(distribution.values()), k=length)
        body = chat(seen, [(token, distribution) for token in drawn], finish="length")
        for row in body["choices"][0]["logprobs"]["content"]:
            row["top_logprobs"] = row["top_logprobs"][:k]
        return Reply(body)

    return answer


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 7), st.integers(1, 3))
def test_the_true_difference_is_within_the_bounds(seed: int, k: int, length: int) -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = toy_chat(seed, k, length)
        result = influence(CHAT, "Yes", client)
    contents = [
        ["Be kind. Be brief.", "It rains. Is it wet?"],
        ["Be brief.", "It rains. Is it wet?"],
        ["Be kind.", "It rains. Is it wet?"],
        ["Be kind. Be brief.", "Is it wet?"],
        ["Be kind. Be brief.", "It rains."],
    ]
    truth = [math.log(beginning("Yes", weights(json.dumps(texts), seed))) for texts in contents]
    assert result.method == "alternatives"
    assert result.logprob_low - 1e-9 <= truth[0] <= result.logprob_high + 1e-9
    for part, number in zip(result, truth[1:], strict=True):
        assert part.error is None
        if not math.isnan(part.delta_low):
            assert part.delta_low - 1e-9 <= truth[0] - number <= part.delta_high + 1e-9
        if not math.isnan(part.delta_nats):
            assert part.delta_low - 1e-9 <= part.delta_nats <= part.delta_high + 1e-9


def depends_on(*words: str) -> Callable[[Seen, int], Reply]:
    """Return answers that are "Yes" with a probability that grows with the words in the question."""

    def answer(seen: Seen, number: int) -> Reply:
        text = rendered(seen.body["messages"])
        p = 0.2 + 0.3 * sum(word in text for word in words)
        return Reply(chat(seen, [("Yes", {"Yes": p, "No": 0.95 - p})], finish="length"))

    return answer


def test_a_part_that_makes_the_answer_likelier_has_a_positive_difference_with_its_bounds() -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = depends_on("rains", "wet")
        result = influence(CHAT, "Yes", client)
    assert [part.delta_nats for part in result] == pytest.approx([0, 0, math.log(8 / 5), math.log(8 / 5)])
    assert result[2].delta_low == pytest.approx(math.log(0.80 / 0.55))
    assert result[2].delta_high == pytest.approx(math.log(0.85 / 0.50))
    assert "bounds" in result.to_html()


def test_an_answer_that_is_not_listed_without_a_part_has_a_bound_on_one_side() -> None:
    def answer(seen: Seen, number: int) -> Reply:
        listed = {"Yes": 0.6, "No": 0.3} if "rains" in rendered(seen.body["messages"]) else {"No": 0.9, "Oh": 0.08}
        return Reply(chat(seen, [("No", listed)], finish="length"))

    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = answer
        part = influence(CHAT, "Yes", client)[2]
    assert math.isnan(part.delta_nats)
    assert part.delta_low == pytest.approx(math.log(0.6 / 0.02))
    assert part.delta_high == math.inf


def test_an_answer_that_is_never_listed_has_no_numbers_and_the_note_says_so() -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = depends_on("rains")
        result = influence(CHAT, "Perhaps", client)
    assert all(math.isnan(part.delta_nats) and math.isnan(part.delta_low) for part in result)
    assert "do not hold the answer" in str(result.note)
    assert "unknown" in result.to_text()


def test_a_model_that_reasons_first_is_refused_with_the_reason() -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = lambda seen, number: Reply(
            chat(seen, [("Yes", {"Yes": 0.9})], finish="length", reasoning_content="Hm.")
        )
        with pytest.raises(LogprobsMissingError, match="reasons before it answers"):
            influence(CHAT, "Yes", client)


def test_a_part_whose_request_fails_is_a_row_with_the_reason_and_the_others_stay() -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if "kind" not in rendered(seen.body["messages"]):
            return error("out of memory", status=400)
        return depends_on("rains")(seen, number)

    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = answer
        result = influence(CHAT, "Yes", client)
    assert "out of memory" in str(result[0].error)
    assert math.isnan(result[0].delta_nats)
    assert [part.error for part in result][1:] == [None, None, None]
    assert "1 failed" in repr(result)
    assert "out of memory" in result.to_html()
    assert result.to_pandas()["error"].isna().tolist() == [False, True, True, True]


def test_a_whole_prompt_that_fails_is_the_error_itself() -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        server.answer = lambda seen, number: error("no such model", status=404)
        with pytest.raises(DelugeError, match="no such model"), pytest.warns(UserWarning, match="5 of 5 prompts"):
            influence(CHAT, "Yes", client)


def test_a_connection_that_breaks_costs_one_part_only() -> None:
    with fault_server.running() as server, LLMClientAt(server.url, "m") as client:

        def answer(seen: Seen, number: int) -> Any:
            steps = fault_server.reply(depends_on("rains")(seen, number).body)
            return fault_server.cut(steps, 0.5) if "brief" not in rendered(seen.body["messages"]) else steps

        server.answer = answer
        result = influence(CHAT, "Yes", client)
    assert [part.error is None for part in result] == [True, False, True, True]


def test_equal_prompts_are_asked_once_and_a_cache_asks_nothing_twice(tmp_path: Any) -> None:
    with (
        openai_server.running() as server,
        LLMClientAt(server.url, "m", cache=tmp_path / "answers.sqlite") as client,
    ):
        server.answer = depends_on("ha")
        first = influence(Conversation.user("ha ha ha"), "Yes", client, by="word")
        assert len(server.seen) == 2
        again = influence(Conversation.user("ha ha ha"), "Yes", client, by="word")
        assert len(server.seen) == 2
    assert list(first) == list(again)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts in another way")
def test_an_interrupt_keeps_the_responses_that_came() -> None:
    transport = MemoryTransport(lambda number: os.kill(os.getpid(), signal.SIGINT) if number == 3 else None, limit=3)
    client = client_of(transport, max_concurrent_requests=1)
    with pytest.raises(KeyboardInterrupt):
        influence(CHAT, "Yes", client)
    arrived = [response is not None for response in client.interrupted]
    assert arrived == [True, True, True, False, False]
    assert client.interrupted.prompts[2] == Conversation.system("Be kind.").user("It rains. Is it wet?")


def test_a_message_that_is_left_empty_is_asked_as_one() -> None:
    with openai_server.running() as server, LLMClientAt(server.url, "m") as client:
        influence(Conversation.system("Be kind.").user("Is it?"), "Yes", client)
        asked = sorted(rendered(seen.body["messages"]) for seen in server.seen)
    assert asked == ['["", "Is it?"]', '["Be kind.", ""]', '["Be kind.", "Is it?"]']


def test_an_empty_raw_prompt_cannot_be_answered_and_its_row_says_so() -> None:
    with (
        given_text_server.running(ignores_echo=True, lists_drawn_only=True) as toy,
        LLMClientAt(toy.url, "toy") as client,
    ):
        (part,) = influence("The old man said", " king", client)
    assert part.error == "Nothing is left to ask without this part."


def test_a_model_without_log_probabilities_is_refused_before_anything_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(LogprobsNotSupportedError):
        influence(CHAT, "Yes", LLMClient("claude-sonnet-4-5", api_key="k"))
    assert capsys.readouterr().err == ""


def test_an_estimate_has_the_price_of_all_prompts() -> None:
    client = LLMClient("gpt-4o-mini", api_key="k")
    run = estimate_influence(CHAT, "Yes", client, prices={"gpt-4o-mini": (0.15, 0.6)})
    assert run.requests == 5
    assert run.most_output_tokens == 15
    assert 0 < (run.cost or 0) < 0.001
    assert estimate_influence(CHAT, "Yes", client).cost is None
