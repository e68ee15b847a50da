"""Check every example of the feature's user documentation against a local chat server, one test for each."""

from __future__ import annotations

import math
from typing import Any

import pytest

from deluge_nb import (
    LLMClient,
    Logprobs,
    LogprobsNotSupportedError,
    SamplingParams,
    SettingError,
    Tool,
    support_table,
)
from deluge_nb.llm_tools.score import score_llm
from deluge_nb.util.logprobs import extract_prob
from tests.openai_server import ChatServer, Distribution, Reply, Seen, chat, error, says

# The distributions of the server's "model" for the first token of the page's questions.
FIRST: dict[str, tuple[str, Distribution]] = {
    "capital of France": ("Paris", {"Paris": 0.9999, "Lyon": 0.00008, "Marseille": 0.00001}),
    "sky blue": ("Yes", {"Yes": 0.9, "No": 0.08, "It": 0.02}),
    "water wet": ("Yes", {"Yes": 0.7, "No": 0.3}),
    "without equipment": ("No", {"No": 0.97, "Yes": 0.02}),
    "Earth flat": ("no", {"no": 0.99, "No": 0.008}),
    "Options:": ("B", {"B": 0.6, "C": 0.25, "A": 0.05, "The": 0.1}),
    "programming language": ("Yes", {"Yes": 0.98, "No": 0.01}),
    "quantum mechanics": ("Yes", {"Yes": 0.9}),
    "rain tomorrow": ("I", {"I": 0.5, "Maybe": 0.3, "No": 0.1}),
    "orbits the Sun": ("Yes", {"Yes": 0.95, "No": 0.04}),
    "made of cheese": ("No", {"No": 0.96, "Yes": 0.03}),
    "boils at": ("Yes", {"Yes": 0.8, "No": 0.1}),
    "quick brown fox": (" jumps", {" jumps": 0.8, " leaps": 0.1, " ran": 0.05, " is": 0.03}),
}


@pytest.fixture
def model(server: ChatServer) -> ChatServer:
    def answer(seen: Seen, number: int) -> Reply:
        found = next((first for words, first in FIRST.items() if words in seen.question), ("Yes", {"Yes": 0.9}))
        return Reply(chat(seen, [found, (".", {".": 0.99})]))

    server.answer = answer
    return server


def client(top: int = 5) -> LLMClient:
    return LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=top))


def first(asked: LLMClient, prompt: str) -> Any:
    return asked.process_prompts_sync([prompt], show_progress=False)[0]


def test_quick_start_gives_log_probabilities(model: ChatServer) -> None:
    response = first(client(), "What is the capital of France?")
    assert response.logprobs is not None
    assert model.seen[0].body["top_logprobs"] == 5


def test_an_entry_has_the_documented_structure(model: ChatServer) -> None:
    entry = first(client(), "What is the capital of France?").logprobs[0]
    assert list(entry) == ["token", "logprob", "bytes", "top_logprobs"]
    assert entry["token"] == "Paris"
    assert entry["bytes"] == [80, 97, 114, 105, 115]
    assert math.exp(entry["logprob"]) == pytest.approx(0.9999)
    assert [one["token"] for one in entry["top_logprobs"]] == ["Paris", "Lyon", "Marseille"]


def test_the_probability_of_yes_is_extracted_and_that_of_no_is_its_complement(model: ChatServer) -> None:
    response = first(client(10), "Is the sky blue? Answer with yes or no.")
    assert f"{extract_prob('yes', response.logprobs):.4f}" == "0.9000"
    assert f"{extract_prob('no', response.logprobs, use_complement=True):.4f}" == "0.1000"


def test_questions_are_classified_with_confidence(model: ChatServer) -> None:
    questions = ["Is water wet?", "Can humans breathe underwater without equipment?", "Is the Earth flat?"]
    found = []
    for question in questions:
        response = first(client(), f"{question}\n\nAnswer with yes or no.")
        prob_yes = extract_prob("yes", response.logprobs, use_complement=True)
        found.append((prob_yes > 0.5, max(prob_yes, 1 - prob_yes)))
    assert found == [
        (True, pytest.approx(0.7)),
        (False, pytest.approx(0.97)),
        (False, pytest.approx(0.99)),
    ]


def test_options_are_compared_and_sum_to_one(model: ChatServer) -> None:
    response = first(client(20), "What is the sentiment?\n\nOptions:\nA) Positive\nB) Neutral\nC) Negative")
    options = {"A": "Positive", "B": "Neutral", "C": "Negative"}
    probs = {label: extract_prob(letter, response.logprobs, use_top_logprobs=True) for letter, label in options.items()}
    total = sum(probs.values())
    normalized = {label: value / total for label, value in probs.items()}
    assert normalized == pytest.approx({"Positive": 0.05 / 0.9, "Neutral": 0.6 / 0.9, "Negative": 0.25 / 0.9})


def test_thresholds_sort_sure_answers_from_unsure_ones(model: ChatServer) -> None:
    found = []
    for question in (
        "Is Python a programming language?",
        "Is it related to quantum mechanics?",
        "Will it rain tomorrow?",
    ):
        prob_yes = extract_prob("yes", first(client(), question).logprobs, use_complement=True)
        found.append("YES" if prob_yes >= 0.8 else "NO" if 1 - prob_yes >= 0.8 else "UNCERTAIN")
    assert found == ["YES", "YES", "UNCERTAIN"]


TEMPLATE = "Is this statement factually correct? {0}\n\nAnswer yes or no."
STATEMENTS = [
    ("The Earth orbits the Sun.",),
    ("The Moon is made of cheese.",),
    ("Water boils at 100°C at sea level.",),
]


def test_the_score_helper_gives_probabilities(model: ChatServer) -> None:
    scores = score_llm(
        scoring_prompt_template=TEMPLATE,
        inputs=STATEMENTS,
        scoring_model=client(),
        return_probabilities=True,
        yes_token="yes",
        show_progress=False,
    )
    assert [f"{score:.2%}" for score in scores] == ["95.96%", "3.03%", "88.89%"]
    assert (
        model.seen[0].question == "Is this statement factually correct? The Earth orbits the Sun.\n\nAnswer yes or no."
    )


def test_the_score_helper_gives_booleans_without_log_probabilities(model: ChatServer) -> None:
    scores = score_llm(
        scoring_prompt_template=TEMPLATE,
        inputs=STATEMENTS,
        scoring_model=LLMClient("gpt-4o-mini"),
        return_probabilities=False,
        yes_token="yes",
        show_progress=False,
    )
    assert scores == [True, False, True]
    assert "logprobs" not in model.seen[0].body


def test_alternatives_of_a_token_are_read_and_their_entropy_bounded(model: ChatServer) -> None:
    response = first(client(10), "Complete this sentence: The quick brown fox")
    token = response.logprobs[0]
    assert [alternative["token"] for alternative in token["top_logprobs"][:5]] == [" jumps", " leaps", " ran", " is"]
    by_hand = -sum(math.exp(one["logprob"]) * math.log2(math.exp(one["logprob"])) for one in token["top_logprobs"])
    lower, upper = response.logprobs.entropy_bounds(vocab_size=200_000)
    # The sum over the list leaves out the unlisted tokens, so the entropy lies above it.
    assert by_hand < lower[0] <= upper[0]


def test_the_support_table_has_the_documented_rows() -> None:
    rows = {(row[0], row[1]): row[2] for row in support_table().rows}
    documented = {
        ("OpenAI", "GPT-3.5"),
        ("OpenAI", "GPT-4, GPT-4o, GPT-4.1"),
        ("OpenAI", "GPT-5"),
        ("Google", "Gemini 1.5+, Gemini 2.0"),
        ("Mistral", "Mistral Large"),
        ("Mistral", "Mistral Medium"),
        ("Groq", "Llama 3"),
        ("Groq", "Mixtral"),
    }
    assert documented <= set(rows)
    assert rows["Anthropic", "Claude"] == "no"


@pytest.mark.parametrize("name", ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-4o", "gpt-5", "gemini-2.0-flash"])
def test_a_documented_model_is_accepted(name: str) -> None:
    assert LLMClient(name, logprobs=True, top_logprobs=5).sampling_params[0].top_logprobs == 5


@pytest.mark.parametrize(
    "name", ["mistral-large-latest", "mistral-medium-3", "llama-3.3-70b-versatile", "mixtral-8x7b"]
)
def test_a_documented_open_model_is_accepted(name: str) -> None:
    LLMClient(name, logprobs=True, top_logprobs=5)


def test_a_model_without_support_is_a_clear_error() -> None:
    with pytest.raises(LogprobsNotSupportedError, match="claude-4-sonnet"):
        LLMClient("claude-4-sonnet", logprobs=True)


def test_parameters_have_the_documented_defaults_and_ranges() -> None:
    assert SamplingParams().logprobs is False
    assert SamplingParams().top_logprobs is None
    for top in (0, 20):
        assert SamplingParams(logprobs=True, top_logprobs=top).top_logprobs == top
    for top in (-1, 21):
        with pytest.raises(SettingError, match="from 0 to 20"):
            SamplingParams(logprobs=True, top_logprobs=top)
    with pytest.raises(SettingError, match="logprobs=True"):
        SamplingParams(top_logprobs=5)


def test_the_troubleshooting_section_is_right(server: ChatServer) -> None:
    asked = client()
    assert asked.sampling_params[0].logprobs is True
    server.answer = lambda seen, number: error("no such model", status=404)
    response = first(asked, "Hi")
    assert response.logprobs is None
    assert "no such model" in str(response.raw_response)


def test_an_unlisted_token_has_probability_zero(model: ChatServer) -> None:
    response = first(client(1), "Is the sky blue?")
    assert extract_prob("no", response.logprobs, use_top_logprobs=True) == 0.0


def test_without_normalisation_only_listed_tokens_count(model: ChatServer) -> None:
    logprobs = first(client(2), "Is the sky blue?").logprobs
    partial = extract_prob("yes", logprobs, use_top_logprobs=True, normalize_top_logprobs=False)
    whole = extract_prob("yes", logprobs, use_top_logprobs=True, normalize_top_logprobs=True)
    assert (partial, whole) == (pytest.approx(0.9), pytest.approx(0.9 / 0.98))


def test_per_call_settings_and_output_schemas_combine_as_described(model: ChatServer) -> None:
    asked = LLMClient("gpt-4o-mini")
    response = asked.process_prompts_sync(
        ["Output: yes or no"], sampling_params=[SamplingParams(logprobs=True)], show_progress=False
    )[0]
    assert extract_prob("yes", response.logprobs) == pytest.approx(0.9)
    model.always(*says('{"ok": true}'))
    shaped = asked.process_prompts_sync(["Output structured data"], output_schema=dict[str, bool], show_progress=False)[
        0
    ]
    assert shaped.parsed == {"ok": True}


def test_tools_and_log_probabilities_combine_as_described(model: ChatServer) -> None:
    def my_function(city: str) -> str:
        """Tell the weather."""
        return city

    response = LLMClient("gpt-4o-mini").process_prompts_sync(
        ["Task requiring tool use"],
        tools=[Tool.from_function(my_function)],
        sampling_params=[SamplingParams(logprobs=True)],
        show_progress=False,
    )[0]
    assert model.seen[0].body["tools"][0]["function"]["parameters"]["required"] == ["city"]
    assert response.logprobs
    assert extract_prob("yes", response.logprobs) == pytest.approx(0.9)


def test_a_flat_distribution_with_five_alternatives_is_not_called_certain() -> None:
    flat = [{"token": f"t{i}", "logprob": math.log(0.001)} for i in range(5)]
    sure = [{"token": "a", "logprob": math.log(0.97)}, {"token": "b", "logprob": math.log(0.02)}]
    table = Logprobs.from_entries(
        [
            {"token": top[0]["token"], "logprob": top[0]["logprob"], "bytes": None, "top_logprobs": top}
            for top in (flat, sure)
        ]
    )
    lower, upper = table.entropy_bounds(vocab_size=1000)
    assert lower[0] == pytest.approx(math.log2(1000))
    assert upper[0] == pytest.approx(math.log2(1000))
    assert lower[1] < 0.25 / math.log(2)
