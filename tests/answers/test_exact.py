"""The text that exact likelihood scores, and the probabilities that follow from it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from deluge_nb import Classification, Conversation, LLMClient, Logprobs, RawPrompt, SamplingParams, classify
from deluge_nb.text.matching import Labels

CAPITAL = "The capital of France is"
METHODS = ("first-token", "trie", "exact")

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def embedded() -> LLMClient:
    return LLMClient("local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, temperature=0))


def loglik(table: Logprobs | None) -> float:
    assert table is not None
    return float(table.logprob.sum())


def begun(text: str) -> Conversation:
    return Conversation().user("What is the capital of France?").assistant_prefix(text)


# The text that is scored ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "scored"),
    [
        ("", " Paris"),
        (" ", " Paris"),
        ("\n\n", "Paris"),
        (":", " Paris"),
        (": ", " Paris"),
        (".", " Paris"),
        (" (", "Paris"),
        (" [", "Paris"),
        (" {", "Paris"),
        (' "', "Paris"),
        (" '", "Paris"),
        (" “", "Paris"),
        (" «", "Paris"),
        (" „", "Paris"),
        (" (so)", " Paris"),
        (' "so"', " Paris"),
        (" —", "Paris"),
        (" **", "Paris"),
    ],
)
def test_prompt_and_scored_text_have_no_doubled_and_no_missing_space(
    embedded: LLMClient, ending: str, scored: str
) -> None:
    raw = classify([RawPrompt(CAPITAL + ending)], ["Paris"], embedded, method="exact", show_progress=False)[0]
    prefix = classify([begun(CAPITAL + ending)], ["Paris"], embedded, method="exact", show_progress=False)[0]
    chat = classify([CAPITAL + ending], ["Paris"], embedded, method="exact", show_progress=False)[0]
    # White space that chat servers strip from a begun answer is scored with the text.
    gap = ending[len(ending.rstrip()) :]
    for found, text in ((raw, scored), (prefix, (gap + scored.lstrip()) if gap else scored), (chat, "Paris")):
        table = found.responses[0].logprobs
        assert table is not None
        assert table.text == text
        assert found.responses[0].completion == text
        assert found.loglik == {"Paris": pytest.approx(loglik(table))}


@pytest.mark.parametrize(
    ("prompt", "text", "total"),
    [
        (RawPrompt("The capital of France is "), "Paris", -0.259),
        (RawPrompt("The capital of France is"), " Paris", -0.259),
        (begun("The capital of France is "), "Paris", None),
    ],
)
def test_exactly_the_given_text_is_scored_after_exactly_the_given_prompt(
    embedded: LLMClient, prompt: Any, text: str, total: float | None
) -> None:
    (response,) = embedded.score_continuations_sync([(prompt, text)], show_progress=False)
    assert response.logprobs is not None
    assert response.logprobs.text == " Paris"
    assert len(response.logprobs) == 1
    if total is None:
        (bare,) = embedded.score_continuations_sync([(begun(CAPITAL), " Paris")], show_progress=False)
        total = loglik(bare.logprobs)
    assert loglik(response.logprobs) == pytest.approx(total, abs=0.02)


def test_scripts_without_spaces_get_no_space(embedded: LLMClient) -> None:
    (found,) = classify([RawPrompt("日本の首都は")], ["東京", "大阪"], embedded, method="exact", show_progress=False)
    assert [response.completion for response in found.responses] == ["東京", "大阪"]


def test_a_spelling_that_begins_with_white_space_is_taken_unchanged(embedded: LLMClient) -> None:
    labels = {"paris": ["\nParis"], "rome": [" Rome"]}
    (found,) = classify([RawPrompt(CAPITAL)], labels, embedded, method="exact", show_progress=False)
    assert [response.completion for response in found.responses] == ["\nParis", " Rome"]


def test_the_placeholder_of_a_begun_answer_keeps_the_white_space_after_it(embedded: LLMClient) -> None:
    template = Conversation().user("Name it.").assistant_prefix("The capital of {0} is ")
    (found,) = classify(["France"], ["Paris"], embedded, template=template, method="exact", show_progress=False)
    assert found.responses[0].completion == " Paris"


def test_a_whole_text_has_a_likelihood_from_nothing(embedded: LLMClient) -> None:
    text = "The capital of France is Paris."
    whole, shuffled = embedded.score_continuations_sync(
        [(RawPrompt(""), text), (RawPrompt(""), "Paris France is. capital The of")], show_progress=False
    )
    assert whole.logprobs is not None
    assert whole.logprobs.text == text
    assert loglik(whole.logprobs) > loglik(shuffled.logprobs) + 10
    # The tokens after the first are scored as after the text before them.
    (rest,) = embedded.score_continuations_sync([(RawPrompt(CAPITAL), " Paris")], show_progress=False)
    assert math.exp(whole.logprobs.logprob[5]) == pytest.approx(math.exp(loglik(rest.logprobs)), abs=0.1)


# The end of the text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", [RawPrompt(CAPITAL), CAPITAL, begun("It is")])
@pytest.mark.parametrize("text", [" Paris", " Paris.", " 👍", " [INST]"])
def test_an_answer_and_nothing_more_is_never_likelier_than_the_answer(
    embedded: LLMClient, prompt: Any, text: str
) -> None:
    (answer,) = embedded.score_continuations_sync([(prompt, text)], show_progress=False)
    (alone,) = embedded.score_continuations_sync([(prompt, text)], ends=True, show_progress=False)
    assert answer.logprobs is not None
    assert alone.logprobs is not None
    assert len(alone.logprobs) == len(answer.logprobs) + 1
    assert alone.logprobs.text == answer.logprobs.text == text
    assert alone.logprobs.tokens[-1] == ""
    assert alone.logprobs.logprob[:-1] == pytest.approx(answer.logprobs.logprob, abs=1e-3)
    assert loglik(alone.logprobs) < loglik(answer.logprobs)


@pytest.mark.parametrize("prompt", [RawPrompt(CAPITAL), begun(CAPITAL)])
def test_the_probability_of_the_end_is_that_of_the_model(embedded: LLMClient, prompt: Any) -> None:
    (alone,) = embedded.score_continuations_sync([(prompt, " Paris")], ends=True, show_progress=False)
    params = SamplingParams(logprobs=True, full_vocab=True, max_new_tokens=1, temperature=0)
    asked = RawPrompt(CAPITAL + " Paris") if isinstance(prompt, RawPrompt) else begun(CAPITAL + " Paris")
    (row,) = embedded.process_prompts_sync([asked], sampling_params=params, show_progress=False)
    assert alone.logprobs is not None
    assert row.logprobs is not None
    ends = [entry["logprob"] for entry in row.logprobs.top(0) if entry["token"] == ""]
    assert alone.logprobs.logprob[-1] in [pytest.approx(end, abs=1e-2) for end in ends]


# The event that the three methods mean --------------------------------------------------------------------------------

TEN = [str(number) for number in range(1, 11)]
CASES: list[tuple[Any, list[str], list[str]]] = [
    (RawPrompt("My daughter has turned {0}. The number of her candles is"), ["eleven"], ["1", "2", "12"]),
    (RawPrompt("On a scale from 1 to 10, I give {0} a"), ["this film"], TEN),
    (Conversation().user("How many days has {0}?").assistant_prefix("It has"), ["a week"], ["3", "31", "7", "30"]),
    (RawPrompt("Q: Which animal purrs, a dog or a cat? A: The {0}"), [""], ["cat", "category", "cats"]),
    (RawPrompt("The first man walked on the moon in {0}"), [""], ["19", "1969", "1970"]),
    (RawPrompt("{0} plus four is"), ["Six", "Eleven"], ["1", "10", "15", "5"]),
    (RawPrompt("The capital of {0} is"), ["France", "the United States"], ["New", "New York", "Paris", "Washington"]),
    (Conversation().user("Is {0} a fruit?").assistant_prefix("The answer is"), ["an apple"], ["no", "not sure", "yes"]),
    (Conversation().user("Say a number from 1 to 100: {0}"), ["now"], ["1", "2", "10", "42", "100"]),
    (RawPrompt("In {0} the war ended. It was"), ["1945"], ["19", "194", "1945"]),
    (RawPrompt("He is {0} and she is"), ["4.5"], ["4", "4.5", "45"]),
    (RawPrompt("{0} is Max and the cat's name is"), ["The dog"], ["M", "Max", "Mi", "Mia"]),
]


@pytest.mark.parametrize(("template", "inputs", "labels"), CASES)
def test_the_intervals_of_all_methods_overlap(
    embedded: LLMClient, template: Any, inputs: list[str], labels: list[str]
) -> None:
    results = {
        method: classify(inputs, labels, embedded, template=template, method=method, show_progress=False)
        for method in METHODS
    }
    for row, label in itertools.product(range(len(inputs)), labels):
        for one, other in itertools.permutations(METHODS, 2):
            assert results[one][row].lower[label] <= results[other][row].upper[label] + 1e-6, (one, other)


def brute_force(client: LLMClient, prompt: str, labels: Labels, depth: int) -> tuple[list[float], list[float]]:
    """Return bounds of each answer's probability over all tokenisations, from the model's whole vocabulary."""
    params = SamplingParams(logprobs=True, full_vocab=True, max_new_tokens=1, temperature=0)
    lower, hidden = [0.0] * len(labels), 0.0
    frontier = [("", 1.0)]
    for level in range(depth):
        asked = [RawPrompt(prompt + text) for text, _ in frontier]
        responses = client.process_prompts_sync(asked, sampling_params=params, show_progress=False)
        following: list[tuple[str, float]] = []
        for (text, reached), response in zip(frontier, responses, strict=True):
            assert response.logprobs is not None
            numbers = response.logprobs.top_logprob(0).tolist()
            for entry, logprob in zip(response.logprobs.top(0), numbers, strict=True):
                p = reached * math.exp(logprob)
                reading = labels.read(text + entry["token"])
                if reading.label is not None and (reading.ended or not entry["token"]):
                    lower[reading.label] += p
                elif reading.label is not None or reading.is_undecided:
                    if p > 1e-3 and level < depth - 1 and entry["token"]:
                        following.append((text + entry["token"], p))
                    else:
                        hidden += p
        frontier = following
    return lower, [low + hidden for low in lower]


@pytest.mark.parametrize(
    ("prompt", "labels"),
    [
        ("My daughter has turned twelve. The number of her candles is", ["1", "2", "12"]),
        ("The first man walked on the moon in", ["19", "1969"]),
        ("The capital of the United States is", ["New", "New York", "Washington"]),
    ],
)
def test_the_intervals_hold_the_probability_over_all_tokenisations(
    embedded: LLMClient, prompt: str, labels: list[str]
) -> None:
    least, most = brute_force(embedded, prompt, Labels(labels), depth=4)
    results: list[Classification] = [
        classify([RawPrompt(prompt)], labels, embedded, method=method, show_progress=False)[0]
        for method in ("trie", "exact")
    ]
    for found in results:
        for label, low, high in zip(labels, least, most, strict=True):
            assert found.lower[label] <= high + 1e-3
            assert found.upper[label] >= low - 1e-3


def test_text_that_goes_on_is_not_counted_for_an_answer_that_it_begins_with(embedded: LLMClient) -> None:
    prompt = RawPrompt("Ten plus five is")
    (found,) = classify([prompt], ["1", "2", "12"], embedded, method="exact", show_progress=False)
    assert found.loglik is not None
    assert all(found.lower[name] <= math.exp(found.loglik[name]) <= found.upper[name] for name in found.lower)
    # Most of what follows "1" is another digit.
    assert found.lower["1"] < math.exp(found.loglik["1"]) / 2
