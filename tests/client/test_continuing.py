"""Requests of a client: begun answers to servers that continue them, no chance, and nothing after refusals."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from deluge_nb import Conversation, LLMClient, SamplingParams, SettingError, classify, score_llm
from tests.openai_server import Answers, ChatServer, Distribution, Reply, Seen, chat, error, says

DEPARTMENTS = ["billing", "shipping"]
FIRST: Distribution = {"Shippi": 0.87, "shippi": 0.097, "Billing": 0.0138, "The": 0.0077, "billing": 0.0015}


def is_begun(seen: Seen) -> bool:
    return bool(seen.body["messages"][-1]["role"] == "assistant")


def restarting(seen: Seen, number: int) -> Reply:
    return Reply(chat(seen, [("Shippi", FIRST)]))


def continuing(seen: Seen, number: int) -> Reply:
    if not is_begun(seen):
        return restarting(seen, number)
    if seen.question.endswith("6,"):
        return Reply(chat(seen, says(" 7", ",", " 8")))
    after: dict[str, Distribution] = {"Shippi": {"ng": 0.99}, "shippi": {"ng": 0.99}, "The": {" end": 0.9}}
    rest: Distribution = after.get(seen.question, {".": 0.9, "!": 0.05})
    return Reply(chat(seen, [(next(iter(rest)), rest)]))


def refusing(seen: Seen, number: int) -> Reply:
    if is_begun(seen):
        return error("the conversation must end with a user message", status=400)
    return restarting(seen, number)


def own(server: ChatServer, **settings: Any) -> LLMClient:
    return LLMClient("m", base_url=server.url, logprobs=True, top_logprobs=5, max_attempts=1, **settings)


def trie(client: LLMClient, count: int = 1) -> Any:
    questions = [f"Which department? {number}" for number in range(count)]
    return classify(questions, DEPARTMENTS, client, method="trie", show_progress=False)


# Begun answers --------------------------------------------------------------------------------------------------------


def test_a_trie_is_followed_where_the_server_has_shown_that_it_continues(server: ChatServer) -> None:
    server.answer = continuing
    client = own(server)
    found = trie(client)[0]
    assert found.label == "shipping"
    assert found.lower["shipping"] == pytest.approx(0.967 * 0.99)
    trie(client)
    assert sum(seen.question.endswith("6,") for seen in server.seen) == 1


@pytest.mark.parametrize(("answer", "reason"), [(restarting, "starts a new one"), (refusing, "must end with a user")])
def test_a_trie_is_refused_before_anything_is_sent_for_the_inputs(
    server: ChatServer, answer: Answers, reason: str
) -> None:
    server.answer = answer
    client = own(server)
    with pytest.raises(SettingError, match=reason) as first:
        trie(client, 5)
    assert "continues=True" in str(first.value)
    assert "vllm/m" in str(first.value)
    with pytest.raises(SettingError, match="not proven to continue"):
        trie(client, 5)
    assert [seen.question for seen in server.seen] == ["1, 2, 3, 4, 5, 6,"]


def test_a_begun_answer_is_not_read_where_the_server_starts_again(server: ChatServer) -> None:
    server.answer = restarting
    prompt = Conversation().user("Which department?").assistant_prefix("It is")
    with pytest.raises(SettingError, match="not proven to continue"):
        classify([prompt], DEPARTMENTS, own(server), show_progress=False)
    assert len(server.seen) == 1


def test_a_begun_answer_that_the_user_sends_says_that_its_continuation_is_not_known(server: ChatServer) -> None:
    server.answer = continuing
    prompt = Conversation().user("Which department?").assistant_prefix("Shippi")
    client = own(server)
    (response,) = client.process_prompts_sync([prompt], show_progress=False)
    assert response.completion == "ng"
    assert "not known whether" in (response.note or "")
    client.require_continuing()
    (proven,) = client.process_prompts_sync([prompt], show_progress=False)
    assert "not known whether" not in (proven.note or "")


def test_a_failure_to_find_out_is_not_remembered(server: ChatServer) -> None:
    server.answer = lambda seen, number: error("busy", status=503)
    client = own(server)
    with pytest.raises(SettingError, match="busy"):
        client.require_continuing()
    server.answer = continuing
    client.require_continuing()


def test_a_list_that_looks_like_the_first_one_is_an_error_and_no_result(server: ChatServer) -> None:
    server.answer = restarting
    found = trie(own(server, continues=True))[0]
    assert found.is_error
    assert found.label is None
    assert "start a new answer" in (found.error_message or "")


def test_what_the_user_says_of_the_server_needs_no_request(server: ChatServer) -> None:
    server.answer = continuing
    assert trie(own(server, continues=True))[0].label == "shipping"
    assert not any(seen.question.endswith("6,") for seen in server.seen)
    with pytest.raises(SettingError, match="starts a new one"):
        trie(own(server, continues=False))
    with pytest.raises(SettingError, match="continues must be True, False or None"):
        own(server, continues=1)


# Chance ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "sent"), [({}, 0.0), ({"temperature": 0.5}, 0.5)])
def test_classify_and_score_llm_leave_nothing_to_chance_but_what_the_user_sets(
    server: ChatServer, settings: dict[str, Any], sent: float
) -> None:
    server.always(("yes", {"yes": 0.9, "no": 0.1}))
    client = LLMClient("gpt-4o-mini", logprobs=True, **settings)
    classify(["x"], ["yes", "no"], client, show_progress=False)
    score_llm("Is it {0}?", ["x"], client, return_probabilities=True, show_progress=False)
    score_llm("Is it {0}?", ["x"], client, return_probabilities=False, show_progress=False)
    assert [seen.body["temperature"] for seen in server.seen] == [sent] * 3


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5-mini", "gpt-5.1", "gpt-6-astra"])
def test_a_model_that_refuses_a_temperature_gets_none(server: ChatServer, model: str) -> None:
    server.always(("yes", {"yes": 0.9}))
    score_llm("Is it {0}?", ["x"], LLMClient(model), return_probabilities=False, show_progress=False)
    assert "temperature" not in server.seen[0].body


def test_equal_prompts_with_one_seed_are_different_draws(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", seed=7, max_concurrent_requests=1)
    client.process_prompts_sync(["a", "b", "a", "a"], show_progress=False)
    assert [seen.body["seed"] for seen in server.seen] == [7, 7, 8, 9]
    client.process_prompts_sync(["a"], sampling_params=SamplingParams(seed=2**63 - 1), show_progress=False)
    assert server.seen[-1].body["seed"] == 2**63 - 1


@pytest.mark.parametrize("params", [SamplingParams(seed=7, n=3), SamplingParams(seed=7, extra_body={"n": 3})])
def test_the_answers_to_equal_prompts_have_no_seed_in_common(server: ChatServer, params: SamplingParams) -> None:
    # vLLM draws the three answers to a request with the seeds 7, 8 and 9.
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=1)
    client.process_prompts_sync(["a", "a", "b"], sampling_params=params, show_progress=False)
    assert [seen.body["seed"] for seen in server.seen] == [7, 10, 7]


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("call", ["classify", "score_llm"])
def test_a_wrong_key_or_model_stops_the_call_with_one_warning(server: ChatServer, status: int, call: str) -> None:
    server.answer = lambda seen, number: error("no access", status=status)
    client = LLMClient("gpt-4o-mini", logprobs=True, max_concurrent_requests=3)
    inputs = [f"input {number}" for number in range(400)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if call == "classify":
            found: Any = classify(inputs, ["yes", "no"], client, show_progress=False)
        else:
            found = score_llm("{0}?", inputs, client, True, show_progress=False, return_details=True)
    assert len(server.seen) <= 3
    assert len(found) == 400
    assert all(result.is_error and "no access" in (result.error_message or "") for result in found)
    assert "not sent" in (found[399].error_message or "")
    assert [warning.category for warning in caught] == [UserWarning]
    assert "400 of 400 prompts failed" in str(caught[0].message)


def test_one_refusal_among_answers_stops_nothing(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if number == 1:
            return error("not this one", status=403)
        return Reply(chat(seen, says("Hello")))

    server.answer = answer
    client = LLMClient("gpt-4o-mini", max_concurrent_requests=1)
    responses = client.process_prompts_sync([str(number) for number in range(6)], show_progress=False)
    assert [response.is_error for response in responses] == [False, True, False, False, False, False]
    assert len(server.seen) == 6


def test_each_model_of_a_client_is_refused_by_itself(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if seen.body["model"] == "gpt-4o":
            return error("no such model", status=404)
        return Reply(chat(seen, says("Hello")))

    server.answer = answer
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], max_concurrent_requests=1)
    with pytest.warns(UserWarning, match="5 of 10 prompts failed, and 4 of them were not sent"):
        responses = client.process_prompts_sync([str(number) for number in range(10)], show_progress=False)
    assert [response.is_error for response in responses] == [False, True] * 5
    assert len(server.seen) == 6
