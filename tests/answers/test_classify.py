"""classify: shares, bounds and calibration of a set of answers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from deluge_nb import (
    Conversation,
    LLMClient,
    LogprobsNotSupportedError,
    RawPrompt,
    SamplingParams,
    SettingError,
    classify,
    register_model,
    score_llm,
)
from deluge_nb.models.registry import resolve
from tests.openai_server import ChatServer, Distribution, Reply, Seen, chat, error

FEELINGS = ["positive", "negative", "neutral"]


def client(**settings: Any) -> LLMClient:
    return LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5), **settings)


def ask(server: ChatServer, *tokens: tuple[str, Distribution], labels: Any = FEELINGS, **options: Any) -> Any:
    server.always(*tokens)
    return classify(["How is it?"], labels, client(), show_progress=False, **options)[0]


def test_the_share_of_each_answer_comes_with_bounds_and_the_mass_it_rests_on(server: ChatServer) -> None:
    found = ask(server, ("Positive", {"Positive": 0.6, " positive": 0.1, "negative": 0.1, "The": 0.15}))
    assert found.label == "positive"
    assert found.probability == pytest.approx(7 / 8)
    assert found.probabilities == pytest.approx({"positive": 7 / 8, "negative": 1 / 8, "neutral": 0.0})
    assert found.lower == pytest.approx({"positive": 0.7, "negative": 0.1, "neutral": 0.0})
    assert found.upper == pytest.approx({"positive": 0.75, "negative": 0.15, "neutral": 0.05})
    assert found.matched_mass == pytest.approx(0.8)
    assert found.decided
    assert not found.is_error


def test_an_answer_that_hidden_tokens_could_overtake_is_not_decided(server: ChatServer) -> None:
    found = ask(server, ("Positive", {"Positive": 0.4, "negative": 0.3}))
    assert found.label == "positive"
    assert not found.decided


def test_later_tokens_settle_a_piece_of_a_word(server: ChatServer) -> None:
    tokens = [("Ne", {"Ne": 0.8, "positive": 0.2}), ("utral", {"utral": 0.7, "gative": 0.3})]
    found = ask(server, *tokens)
    assert found.lower == pytest.approx({"positive": 0.2, "neutral": 0.56, "negative": 0.24})
    assert found.label == "neutral"
    assert found.matched_mass == pytest.approx(1)


def test_white_space_before_the_answer_is_a_step_with_its_own_probability(server: ChatServer) -> None:
    tokens = [("\n", {"\n": 0.9, "positive": 0.1}), ("negative", {"negative": 0.8, "positive": 0.2})]
    found = ask(server, *tokens)
    assert found.lower == pytest.approx({"positive": 0.1 + 0.18, "negative": 0.72, "neutral": 0.0})


def test_a_token_that_was_drawn_from_outside_the_list_counts(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        body = chat(seen, [("Positive", {"Negative": 0.5, "Positive": 0.2})])
        body["choices"][0]["logprobs"]["content"][0]["top_logprobs"].pop()
        return Reply(body)

    server.answer = answer
    found = classify(["x"], FEELINGS, client(), show_progress=False)[0]
    assert found.lower == pytest.approx({"positive": 0.2, "negative": 0.5, "neutral": 0.0})


def test_spellings_of_an_answer_are_added_up(server: ChatServer) -> None:
    labels = {"good": ["good", "great"], "bad": "bad"}
    found = ask(server, ("Great", {"Great": 0.5, "good": 0.2, "bad": 0.3}), labels=labels)
    assert found.probabilities == pytest.approx({"good": 0.7, "bad": 0.3})


def test_without_a_match_there_is_no_answer_but_bounds_of_the_hidden_probability(server: ChatServer) -> None:
    found = ask(server, ("Well", {"Well": 0.9, "Hm": 0.05}))
    assert (found.label, found.probability, found.probabilities) == (None, None, {})
    assert found.upper["positive"] == pytest.approx(0.05)
    assert not found.is_error


@pytest.mark.slow
def test_a_failed_request_is_a_result_with_the_reason(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if "two" in seen.question:
            return error("no such thing", status=400)
        return Reply(chat(seen, [("positive", {"positive": 0.9})]))

    server.answer = answer
    found = classify(["one", "two", "three"], FEELINGS, client(), template="Feel {0}.", show_progress=False)
    assert found.labels == ["positive", None, "positive"]
    assert "no such thing" in (found[1].error_message or "")
    frame = found.to_pandas(details=True)
    assert frame["input"].tolist() == ["one", "two", "three"]
    assert frame["p_positive"].isna().tolist() == [False, True, False]
    assert frame["error"].isna().tolist() == [True, False, True]
    assert found.probability.shape == (3,)
    assert found.probabilities.shape == (3, 3)
    assert repr(found) == "Classifications(3 inputs, positive / negative / neutral, by first-token, 1 failed)"
    assert found[1:].labels == [None, "positive"]


def test_the_request_asks_for_alternatives_even_if_the_client_does_not(server: ChatServer) -> None:
    server.always(("positive", {"positive": 0.9}))
    classify(["x"], FEELINGS, LLMClient("gpt-4o-mini"), show_progress=False)
    assert server.seen[0].body["logprobs"] is True
    assert server.seen[0].body["top_logprobs"] == 20
    assert server.seen[0].body["max_completion_tokens"] <= 4


def test_a_model_that_gives_fewer_alternatives_is_asked_for_as_many_as_it_gives(server: ChatServer) -> None:
    openai = resolve("gpt-4o-mini").endpoint
    register_model("few-*", endpoint=openai, max_top=3)
    server.always(("positive", {"positive": 0.9}))
    classify(["x"], FEELINGS, LLMClient("few-1"), show_progress=False)
    assert server.seen[0].body["top_logprobs"] == 3
    register_model("none-*", endpoint=openai, max_top=0)
    with pytest.raises(LogprobsNotSupportedError, match="the chosen tokens only"):
        classify(["x"], FEELINGS, LLMClient("none-1"), show_progress=False)


def test_a_template_may_be_a_conversation(server: ChatServer) -> None:
    server.always(("positive", {"positive": 0.9}))
    template = Conversation().system("Answer with one word.").user("Review: {0}")
    classify(["{1} is fine"], FEELINGS, client(), template=template, show_progress=False)
    assert [message["content"] for message in server.seen[0].body["messages"]] == [
        "Answer with one word.",
        "Review: {1} is fine",
    ]
    with pytest.raises(SettingError, match="no placeholder"):
        classify(["x"], FEELINGS, client(), template=Conversation().user("Review"), show_progress=False)


def test_contextual_calibration_removes_the_preference_of_the_template(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        empty = "good film" not in seen.question
        p = {"positive": 0.2, "negative": 0.8} if empty else {"positive": 0.45, "negative": 0.55}
        return Reply(chat(seen, [("negative", p)]))

    server.answer = answer
    options: dict[str, Any] = {"template": "{0}?", "show_progress": False}
    found = classify(["a good film"], ["positive", "negative"], client(), calibration="contextual", **options)[0]
    assert found.uncalibrated == pytest.approx({"positive": 0.45, "negative": 0.55})
    first, second = 0.45 / 0.2, 0.55 / 0.8
    assert found.probabilities["positive"] == pytest.approx(first / (first + second))
    assert found.label == "positive"
    assert len(server.seen) == 4  # and three without content
    pmi = classify(["a good film"], ["positive", "negative"], client(), calibration="pmi", **options)[0]
    assert pmi.probabilities == pytest.approx(found.probabilities)


def test_an_impossible_calibration_is_reported_and_keeps_the_uncalibrated_shares(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        p = {"positive": 0.9} if "good" in seen.question else {"Well": 0.9}
        return Reply(chat(seen, [(next(iter(p)), p)]))

    server.answer = answer
    found = classify(["good"], FEELINGS, client(), template="{0}?", calibration="contextual", show_progress=False)[0]
    assert (
        found.error_message == "Calibration failed: for an input of content_free, the model gave none of the answers."
    )
    assert found.uncalibrated["positive"] == pytest.approx(1)


def test_each_input_may_have_its_own_answers(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, [("Rome", {"Rome": 0.6, "Paris": 0.3})]))
    found = classify(["a", "b"], [["Rome", "Oslo"], ["Paris", "Bern"]], client(), show_progress=False)
    assert found.labels == ["Rome", "Paris"]
    assert found.names == ()
    assert repr(found) == "Classifications(2 inputs, different answers, by first-token)"
    assert repr(found[:1]) == "Classifications(1 input, different answers, by first-token)"
    assert found.to_pandas(details=True)["probabilities"].tolist()[1] == {"Paris": 1.0, "Bern": 0.0}
    with pytest.raises(SettingError, match="one for each of the 2 inputs, not 1"):
        classify(["a", "b"], [["Rome"]], client(), show_progress=False)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "best"}, "method must be one of"),
        ({"calibration": "platt"}, "calibration must be"),
        ({"calibration": "pmi"}, "needs a template"),
        ({"labels": []}, "labels must be"),
        ({"labels": ["US", "us"]}, "are the same answer"),
        ({"labels": ["a", " "]}, "only white space"),
        ({"inputs": "one"}, "inputs must be a list"),
        ({"template": "{0}?", "calibration": "pmi", "content_free": []}, "at least one"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_sent(
    server: ChatServer, options: dict[str, Any], match: str
) -> None:
    given: dict[str, Any] = {"inputs": ["x"], "labels": FEELINGS} | options
    with pytest.raises(SettingError, match=match):
        classify(given.pop("inputs"), given.pop("labels"), client(), show_progress=False, **given)
    assert not server.seen


def test_exact_likelihood_is_refused_if_the_server_does_not_score_texts(server: ChatServer) -> None:
    with pytest.raises(SettingError, match="cannot be asked for the log-likelihood"):
        classify(["x"], FEELINGS, client(), method="exact", show_progress=False)


def test_score_llm_gives_the_same_detail_for_yes_and_no(server: ChatServer) -> None:
    server.always(("Yes", {"Yes": 0.6, "No": 0.3, "Well": 0.05}))
    found = score_llm("Is {0} true?", ["it"], client(), True, show_progress=False, return_details=True)
    plain = score_llm("Is {0} true?", ["it"], client(), True, show_progress=False)
    assert found[0].probabilities["yes"] == pytest.approx(plain[0])
    assert found[0].lower == pytest.approx({"yes": 0.6, "no": 0.3})
    assert found[0].upper == pytest.approx({"yes": 0.65, "no": 0.35})
    assert found[0].matched_mass == pytest.approx(0.9)
    assert found.names == ("yes", "no")
    with pytest.raises(LogprobsNotSupportedError, match="return_details=True"):
        score_llm("Is {0} true?", ["it"], LLMClient("gpt-4o-mini"), False, return_details=True)


# On the embedded model ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded() -> LLMClient:
    return LLMClient("local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, temperature=0))


@pytest.mark.model
@pytest.mark.parametrize(
    ("template", "inputs", "labels"),
    [
        (RawPrompt("Review: {0}\nSentiment:"), ["I loved it.", "A waste of time."], ["positive", "negative"]),
        (RawPrompt("The capital of {0} is"), ["France", "Peru"], ["Paris", "Lima", "Buenos Aires"]),
        (RawPrompt("{0} plus four is"), ["Six", "One"], ["five", "ten", "eleven"]),
        (
            Conversation().user("Is {0} a fruit?").assistant_prefix("The answer is"),
            ["an apple", "a hammer"],
            ["yes", "no", "not sure"],
        ),
    ],
)
def test_all_methods_agree_within_their_bounds(embedded: LLMClient, template: Any, inputs: Any, labels: Any) -> None:
    found = [
        classify(inputs, labels, embedded, template=template, method=method, show_progress=False)
        for method in ("first-token", "trie", "exact")
    ]
    for each in zip(*found, strict=True):
        assert not any(one.is_error for one in each)
        for label in labels:
            assert max(one.lower[label] for one in each) <= min(one.upper[label] for one in each) + 1e-6
            # Following more beginnings settles more, and leaves less open.
            assert each[0].lower[label] <= each[1].lower[label] + 1e-3
            assert each[1].upper[label] <= each[0].upper[label] + 1e-3


@pytest.mark.model
def test_the_likelihood_of_an_answer_is_that_of_its_tokens(embedded: LLMClient) -> None:
    found = classify(["The capital of France is"], ["Paris", "Rome"], embedded, method="exact", show_progress=False)[0]
    prompt = Conversation().user("The capital of France is")
    scored = embedded.score_continuations_sync([(prompt, city) for city in ("Paris", "Rome")], show_progress=False)
    assert found.loglik == pytest.approx(
        {city: one.logprobs.total_logprob for city, one in zip(("Paris", "Rome"), scored, strict=True) if one.logprobs},
        abs=1e-3,
    )


@pytest.mark.model
def test_a_number_that_begins_a_longer_one_does_not_count_its_probability(embedded: LLMClient) -> None:
    template = RawPrompt("On a scale from 1 to 10, I give {0} a")
    labels = [str(number) for number in range(1, 11)]
    found = classify(["this film"], labels, embedded, template=template, method="exact", show_progress=False)[0]
    assert math.fsum(found.lower.values()) == pytest.approx(found.matched_mass - found.attributed_mass)
    assert found.matched_mass <= 1
    assert found.probabilities["10"] > 0
    assert math.fsum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("calibration", ["contextual", "pmi"])
def test_an_answer_that_an_empty_input_does_not_list_is_as_likely_as_a_hidden_token(
    server: ChatServer, calibration: str
) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        p = {"positive": 0.6, "negative": 0.4} if "good" in seen.question else {"negative": 0.7, "Well": 0.25}
        return Reply(chat(seen, [(next(iter(p)), p)]))

    server.answer = answer
    options: dict[str, Any] = {"template": "{0}?", "calibration": calibration, "show_progress": False}
    found = classify(["good"], ["positive", "negative"], client(), **options)[0]
    first, second = 0.6 / 0.05, 0.4 / 0.7
    assert found.error_message is None
    assert found.probabilities["positive"] == pytest.approx(first / (first + second))
    for name, share in found.probabilities.items():
        assert found.share_lower[name] <= share <= found.share_upper[name]


def test_a_tie_after_calibration_keeps_the_uncalibrated_winner(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        p = {"Yes": 0.7, "No": 0.3} if "good" in seen.question else {"Yes": 0.63, "No": 0.27}
        return Reply(chat(seen, [(next(iter(p)), p)]))

    server.answer = answer
    options: dict[str, Any] = {"template": "{0}?", "calibration": "contextual", "show_progress": False}
    for labels in (["Yes", "No"], ["No", "Yes"]):
        assert classify(["good"], labels, client(), **options)[0].label == "Yes"
