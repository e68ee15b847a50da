"""The embedded model on the project's own questions: accuracies as first measured, and the effect of calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deluge_nb import CalibrationReport, LLMClient, RawPrompt, SamplingParams, classify
from deluge_nb.stats import (
    auroc,
    entropy_bounds,
    label_distribution,
    min_p,
    temperature_full,
    temperature_topk,
    top_k,
    top_p,
    varentropy,
)

from .. import data

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

SENTIMENT = RawPrompt(data.REVIEW)
QUIET = {"show_progress": False}


@pytest.fixture(scope="module")
def client() -> LLMClient:
    return LLMClient("local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, temperature=0))


@pytest.fixture(scope="module")
def choices(client: LLMClient) -> list[tuple[str, Any, bool]]:
    """Each four-way question: its data set, its result, and whether that is right."""
    found: list[tuple[str, Any, bool]] = []
    for name, questions in (("cloze", data.cloze()), ("capitals", data.capitals())):
        prompts = [RawPrompt(question.text) for question in questions]
        results = classify(prompts, [list(one.options) for one in questions], client, method="exact", **QUIET)
        found += [
            (name, one, one.label == question.options[0]) for one, question in zip(results, questions, strict=True)
        ]
    return found


@pytest.fixture(scope="module")
def sentiments(client: LLMClient) -> Any:
    texts = [text for text, _ in data.reviews()]
    return classify(texts, ["positive", "negative"], client, template=SENTIMENT, method="exact", **QUIET)


def test_the_data_sets_have_at_least_two_hundred_distinct_questions() -> None:
    assert len(data.cloze()) + len(data.capitals()) >= 200
    assert len(data.pairs()) >= 200
    assert len(data.reviews()) >= 200
    for questions in (data.cloze(), data.capitals(), data.pairs(), data.reviews()):
        assert len(set(questions)) == len(questions)
    assert all(len(set(question.options)) == 4 for question in [*data.cloze(), *data.capitals()])


@pytest.mark.parametrize(("name", "published", "size"), [("cloze", 0.75, 20), ("capitals", 0.98, 50)])
def test_four_way_questions_are_answered_as_well_as_published(
    choices: list[tuple[str, Any, bool]], name: str, published: float, size: int
) -> None:
    right = [hit for which, _, hit in choices if which == name]
    # The published figures come from other, few questions, so allow three standard errors of both.
    error = np.sqrt(published * (1 - published) * (1 / size + 1 / len(right)))
    assert abs(np.mean(right) - published) < max(3 * error, 0.12)


def test_right_sentences_are_likelier_than_wrong_ones(client: LLMClient) -> None:
    pairs = data.pairs()
    asked = [(RawPrompt("\n"), sentence) for pair in pairs for sentence in pair]
    scored = client.score_continuations_sync(asked, show_progress=False)
    loglik = np.array([one.logprobs.total_logprob for one in scored if one.logprobs]).reshape(-1, 2)
    share = float((loglik[:, 0] > loglik[:, 1]).mean())
    assert abs(share - 26 / 30) < 0.12


def test_the_sentiment_of_reviews_is_classified_well(sentiments: Any) -> None:
    good = np.array([one for _, one in data.reviews()])
    share = sentiments.probabilities[:, 0]
    assert ((share > 0.5) == good).mean() > 0.88
    assert auroc(share, good) > 0.97


@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic"])
def test_a_fit_on_half_of_the_questions_improves_the_other_half(
    choices: list[tuple[str, Any, bool]], sentiments: Any, kind: Any
) -> None:
    """The model is underconfident on the reviews, and a fit on half of them corrects it."""
    good = np.array([one for _, one in data.reviews()])
    share = sentiments.probabilities[:, 0]
    first = np.random.default_rng(0).permutation(len(good)) < len(good) // 2
    before = CalibrationReport(share[~first], good[~first])
    fit = CalibrationReport(share[first], good[first]).fit(kind)
    after = CalibrationReport(fit.transform(share[~first]), good[~first])
    assert before.ece.value > 0.1
    assert after.ece.value < 0.7 * before.ece.value
    assert after.brier.value < before.brier.value
    # A fit hardly changes confidences that are already calibrated.
    known = CalibrationReport([one.probability for _, one, _ in choices], [hit for *_, hit in choices])
    assert known.ece.value < 0.1
    assert 0.7 < known.fit("temperature").parameters["temperature"] < 1.7


def test_twenty_alternatives_never_contradict_the_whole_vocabulary(client: LLMClient) -> None:
    prompts = [RawPrompt(question.text) for question in data.cloze()[::12]]
    whole = client.process_prompts_sync(
        prompts, sampling_params=SamplingParams(logprobs=True, full_vocab=True), show_progress=False
    )
    few = client.process_prompts_sync(
        prompts,
        sampling_params=SamplingParams(logprobs=True, top_logprobs=20, max_new_tokens=1),
        show_progress=False,
    )
    labels = ["the", "a", "east", "green"]
    for full, part in zip(whole, few, strict=True):
        assert full.logprobs is not None
        assert part.logprobs is not None
        every, top = full.logprobs.top_logprob(0), part.logprobs.top_logprob(0)
        size = part.logprobs.vocab_size
        truth = entropy_bounds(every, size)
        bounds = entropy_bounds(top, size)
        assert truth.upper - truth.lower < 1e-9
        assert bounds.lower - 1e-3 <= truth.lower <= bounds.upper + 1e-3
        for heat in (0.5, 1.5):
            exact = temperature_full(every, heat)[:20]
            around = temperature_topk(top, heat, size)
            assert (around.lower <= exact + 1e-3).all()
            assert (exact <= around.upper + 1e-3).all()
        found, known = (
            label_distribution(part.logprobs.top(0), labels),
            label_distribution(full.logprobs.top(0), labels),
        )
        for label in labels:
            assert found.lower[label] <= known.lower[label] + 1e-4
            assert known.upper[label] <= found.upper[label] + 1e-4
        kept = top_p(every, 0.9)
        assert kept.complete
        assert kept.kept_mass >= 0.9
        assert min_p(every, 0.05).kept == tuple(range(int((every >= every[0] + np.log(0.05)).sum())))
        assert top_k(top, 5).probs == pytest.approx(top_k(every, 5).probs, abs=1e-3)
        assert varentropy(every).entropy == pytest.approx(truth.lower, abs=1e-9)
