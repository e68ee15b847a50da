"""Influence of the parts of a prompt on the real embedded model: against reading each shortened prompt by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from deluge_nb import (
    Conversation,
    Influence,
    LLMClient,
    LocalModel,
    RawPrompt,
    SettingError,
    estimate_influence,
    influence,
    read,
)

pytestmark = pytest.mark.model

STORY = "My name is Anna. I live in Rome. My name is"
# The server computes prompts together, and keeps their beginnings: its numbers differ by some 1e-6 from call to call.
NOISE = 1e-3


@pytest.fixture(scope="module")
def client() -> Iterator[LLMClient]:
    made = LLMClient("local")
    yield made
    made.close()


def by_hand(client: LLMClient, answer: str, whole: Any, *without: Any) -> list[float]:
    total = read(answer, before=whole, model=client).total_logprob
    return [total - read(answer, before=prompt, model=client).total_logprob for prompt in without]


def deltas(result: Influence) -> list[float]:
    return [part.delta_nats for part in result]


def test_each_sentence_has_the_difference_that_reading_by_hand_gives(client: LLMClient) -> None:
    result = influence(STORY, " Anna", client)
    expected = by_hand(
        client,
        " Anna",
        STORY,
        "I live in Rome. My name is",
        "My name is Anna. My name is",
        "My name is Anna. I live in Rome.",
    )
    assert deltas(result) == pytest.approx(expected, abs=NOISE)
    assert result.logprob == pytest.approx(read(" Anna", before=STORY, model=client).total_logprob, abs=NOISE)
    assert result[0].delta_nats > 1


def test_each_word_has_the_difference_that_reading_by_hand_gives(client: LLMClient) -> None:
    words = STORY.split()
    prompts = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    result = influence(STORY, " Anna, from Rome", client, by="word")
    assert [part.part for part in result] == words
    assert deltas(result) == pytest.approx(by_hand(client, " Anna, from Rome", STORY, *prompts), abs=NOISE)
    assert all(part.delta_low == part.delta_nats == part.delta_high for part in result)
    assert result.method == "given-text"


def test_exactly_the_characters_of_a_span_are_left_out(client: LLMClient) -> None:
    result = influence(STORY, " Anna", client, by=[(11, 15), (27, 31)])
    assert [part.part for part in result] == ["Anna", "Rome"]
    expected = by_hand(client, " Anna", STORY, STORY.replace("Anna", ""), STORY.replace("Rome", ""))
    assert deltas(result) == pytest.approx(expected, abs=NOISE)


def test_a_conversation_is_asked_as_a_chat_and_its_turns_stay(client: LLMClient) -> None:
    chat = Conversation.system("Answer in one word.").user("Is it cold? What is the capital of France?")
    result = influence(chat, "Paris", client)
    expected = by_hand(
        client,
        "Paris",
        chat,
        Conversation.system("").user("Is it cold? What is the capital of France?"),
        Conversation.system("Answer in one word.").user("What is the capital of France?"),
        Conversation.system("Answer in one word.").user("Is it cold?"),
    )
    assert deltas(result) == pytest.approx(expected, abs=NOISE)
    assert [part.message for part in result] == [0, 1, 1]
    assert [result.text[part.begin : part.end] for part in result] == [part.part for part in result]


def test_an_answer_that_was_begun_goes_on(client: LLMClient) -> None:
    chat = Conversation.user("It is cold. What is the capital of France?").assistant_prefix("The capital is ")
    result = influence(chat, "Paris", client)
    begun = Conversation.user("What is the capital of France?").assistant_prefix("The capital is ")
    assert result[0].delta_nats == pytest.approx(by_hand(client, "Paris", chat, begun)[0], abs=NOISE)


def test_a_prompt_of_one_part_is_compared_with_the_very_beginning(client: LLMClient) -> None:
    (part,) = influence("The capital of France is", " Paris", client)
    (expected,) = by_hand(client, " Paris", "The capital of France is", "")
    assert part.delta_nats == pytest.approx(expected, abs=NOISE)
    assert part.delta_nats > 5


def test_parts_that_lead_to_equal_prompts_are_asked_once(client: LLMClient) -> None:
    before = client.usage.answered
    result = influence("ha ha ha ha", " ha", client, by="word")
    assert len(set(deltas(result))) == 1
    assert len(result) == 4
    assert client.usage.answered - before == result.estimate.requests == 2


def test_the_estimate_counts_the_tokens_that_are_read(client: LLMClient) -> None:
    before = client.usage.prompt_tokens + client.usage.completion_tokens
    result = influence(STORY, " Anna", client, by="word")
    used = client.usage.prompt_tokens + client.usage.completion_tokens - before
    assert result.estimate.input_tokens.exact
    assert result.estimate.input_tokens.low == used
    assert result.estimate.cost == 0


def test_the_cost_is_written_before_the_model_is_asked(client: LLMClient, capsys: pytest.CaptureFixture[str]) -> None:
    influence(STORY, " Anna", client)
    shown = capsys.readouterr()
    assert shown.err.startswith("influence: 4 requests to local, ")
    assert "no cost, on this machine" in shown.err
    assert shown.out == ""


def test_an_estimate_asks_nothing_and_bounds_the_tokens(client: LLMClient) -> None:
    before = client.usage.requests
    run = estimate_influence(STORY, " Anna", client, by="word")
    assert client.usage.requests == before
    exact = influence(STORY, " Anna", client, by="word").estimate
    assert (run.requests, run.cost) == (exact.requests, 0.0)
    assert run.input_tokens.low <= exact.input_tokens.low <= (run.input_tokens.high or 0)


@pytest.mark.parametrize(
    ("prompt", "by"),
    [
        ("🦆 and 🐢. <script>alert(1)</script>! Then\u202e?", "sentence"),
        ("</s> <|im_end|>\n\n\t a\x00b. C", "sentence"),
        ("e\u0301\u200d. \ufeffX. Y", "sentence"),
        ("日本の首都", "word"),
        ("🦆 <b>\u202e\x00", "word"),
    ],
)
def test_any_text_has_an_influence_and_is_shown(client: LLMClient, prompt: str, by: Any) -> None:
    result = influence(prompt, "\u202e<b>&amp;", client, by=by)
    assert all(part.error is None and math.isfinite(part.delta_nats) for part in result)
    page = result.to_html(standalone=True)
    assert "<script" not in page
    assert "<b>&amp;" not in page
    assert "\u202e" not in page + result.to_text() + repr(result)


def test_a_prompt_longer_than_the_context_says_so_for_each_part() -> None:
    model = LocalModel(context=128)
    client = LLMClient(model)
    numbers = " ".join(f"Item {i} is number {i * 7 % 13}." for i in range(40))
    result = influence(numbers, " Then", client, by=[(0, 5)])
    assert "fit the context" in str(result.note)
    assert "fit the context" in str(result[0].note)
    client.close()
    model.close()


def test_the_table_has_the_columns_of_a_part(client: LLMClient) -> None:
    result = influence(STORY, " Anna", client)
    frame = result.to_pandas()
    names = ["part", "begin", "end", "delta_nats", "delta_low", "delta_high", "message", "error", "note"]
    assert list(frame.columns) == names
    assert frame["part"].tolist() == ["My name is Anna.", "I live in Rome.", "My name is"]
    assert result.to_polars().columns == names
    assert result.to_polars()["delta_nats"].to_list() == deltas(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer": ""}, "answer must be a text that is not empty"),
        ({"answer": 5}, "answer must be a text that is not empty"),
        ({"answer": "c\ud83d"}, "answer must be a text of whole characters"),
        ({"prompt": "a b\ud83d"}, "prompt must be a text of whole characters"),
        ({"by": "line"}, "by must be 'sentence'"),
        ({"model": "gpt-4o-mini"}, "cannot continue raw text; send a chat prompt"),
        ({"prompt": RawPrompt("")}, "prompt is empty"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(
    options: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingError, match=message):
        influence(**({"prompt": "a b", "answer": "c"} | options))
    assert capsys.readouterr().err == ""


def test_a_client_of_several_models_is_refused() -> None:
    with pytest.raises(SettingError, match="this client takes turns among"):
        influence("a b", "c", LLMClient(["local", "llamacpp/x"]))
