"""Lesson 6: Bayes' rule, base rates, and log-odds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...logprobs.columns import Floats
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import scored

HEADINGS = {"recipe": "Recipe:\n", "weather report": "Weather report:\n", "football report": "Football match report:\n"}
_COLD = "It will be cold tonight."
_JUNK, _FRIEND = "Junk mail:\n", "A letter from a friend:\n"
PRIZE = "Congratulations! You have won a free prize. Click here to claim it now."
_WON = "You have won."
_SENSITIVITY, _FALSE_ALARMS = 1.0, 0.1


def posterior_trace(text: str) -> tuple[list[str], Floats]:
    """Return the tokens of a text, and the posterior of each heading before the text and after each token."""
    tables = [scored(heading, text) for heading in HEADINGS.values()]
    sums = np.vstack([np.zeros(len(HEADINGS)), np.cumsum([table.logprob for table in tables], axis=1).T])
    weights = np.exp(sums - sums.max(axis=1, keepdims=True))
    return tables[0].tokens, weights / weights.sum(axis=1, keepdims=True)


def posterior_figure(text: str) -> Any:
    """Return the chart of the posterior after each token of a text."""
    from ...charts.probability.bayes import posterior_chart

    tokens, posteriors = posterior_trace(text)
    return posterior_chart(tokens, posteriors, list(HEADINGS))


def junk_evidence(text: str) -> list[tuple[str, float]]:
    """Return what each token of a text adds to the log-odds of junk mail, in nats."""
    junk, friend = scored(_JUNK, text), scored(_FRIEND, text)
    added = junk.logprob - friend.logprob
    return list(zip(junk.tokens, added.tolist(), strict=True))


def _log_odds(text: str) -> float:
    return scored(_JUNK, text).total_logprob - scored(_FRIEND, text).total_logprob


def _posterior(text: str, prior: float) -> float:
    """Return the probability of junk mail, by Bayes' rule."""
    return float(1 / (1 + (1 - prior) / prior * np.exp(-_log_odds(text))))


def _found(prior: float) -> float:
    """Return the share of true praise among the letters that the detector calls praise."""
    return prior * _SENSITIVITY / (prior * _SENSITIVITY + (1 - prior) * _FALSE_ALARMS)


def frequency_figure(prior: float) -> Any:
    """Return a thousand letters as dots, at a share of praise."""
    from ...charts.probability.bayes import frequency_chart

    return frequency_chart(prior, _SENSITIVITY, _FALSE_ALARMS)


def _letters() -> Sequence[Any]:
    return (frequency_figure(0.02),)


def _cold() -> Sequence[Any]:
    return (posterior_figure(_COLD),)


def _four_in_a_hundred() -> Key:
    return Key(
        _found(0.04),
        "In 1,000 letters: 40 of praise and 96 false alarms, so 40 of 136.",
        [
            Mistake(
                0.95, "That is how often the detector was right in the test, where half of the letters were praise."
            ),
            Mistake(1.0, "That is the share of praise that is called praise: turn the condition around."),
            Mistake(0.04, "That is the base rate, before the detector has said anything."),
            Mistake(_found(0.02), "That was for 1 letter in 50."),
            Mistake(40 / 140, "Only the other 960 letters can be false alarms: a tenth of those."),
        ],
        tolerance=0.003,
        kind="probability",
    )


def _at_one_percent() -> Key:
    return Key(
        _posterior(_WON, 0.01),
        "Add the logarithm of the prior odds, 1 to 99, and turn the sum back into a probability.",
        [
            Mistake(_posterior(_WON, 0.5), "That is for a prior of ½: junk is rare here."),
            Mistake(
                float(np.exp(_log_odds(_WON)) * 0.01),
                "Those are odds: turn them into a probability, odds / (1 + odds).",
            ),
            Mistake(0.01, "That is the prior: the text has not been read yet."),
            Mistake(_log_odds(_WON), "That is the evidence alone: add the logarithm of the odds before."),
            Mistake(
                _log_odds(_WON) - math.log(99),
                "Those are the log-odds after the text: turn them into a probability.",
            ),
        ],
        tolerance=0.004,
        kind="probability",
    )


def _strongest() -> Key:
    evidence = {token.strip(): added for token, added in junk_evidence(PRIZE)}
    choices = ("Congratulations", "won", "free", "Click")
    truth = max(choices, key=lambda word: evidence.get(word, 0.0))
    reasons = {
        "Congratulations": "Friends write that as well, at the beginning of letters.",
        "won": "It adds little after *You have*.",
        "free": "It adds much, but another word adds more.",
        "Click": "It adds much, but another word adds more.",
    }
    return Key(
        truth,
        "Hardly any friend goes on so: the likelihoods differ most there.",
        [Mistake(word, reasons[word]) for word in choices if word != truth],
        choices=choices,
    )


LESSON = Lesson(
    number=6,
    name="06_turn_it_around",
    title="Turn it around",
    learn="turn a condition around with a table of counts, and add up evidence in log-odds",
    minutes=45,
    reveals={
        "6.1": Reveal(
            {
                "praise": Guess(
                    "praise among those called praise",
                    lambda: _found(0.02),
                    mistakes=[
                        Mistake(
                            0.95,
                            "That is how often the detector was right in the test, where half of the letters were praise.",
                        ),
                        Mistake(0.9, "Praise is so rare that most alarms are false."),
                        Mistake(1.0, "All praise is found, but not all that is found is praise."),
                    ],
                )
            },
            "Of 1,000 letters 20 are praise, and all 20 are found. But a tenth of the other 980 is called praise as well.",
            _letters,
        ),
        "6.2": Reveal(
            {
                "weather": Guess(
                    "P(weather report) after the whole sentence", lambda: float(posterior_trace(_COLD)[1][-1, 1])
                ),
                "recipe": Guess("P(recipe) after two words", lambda: float(posterior_trace(_COLD)[1][2, 0])),
            },
            "After *It will* the recipe leads: many instructions begin so. Then comes *cold*.",
            _cold,
        ),
        "6.3": Reveal(
            {
                "even": Guess("P(junk), if half of all mail is junk", lambda: _posterior(PRIZE, 0.5)),
                "rare": Guess("P(junk), if 1 letter in 100 is junk", lambda: _posterior(PRIZE, 0.01)),
            },
            "The same words, the same evidence. Only the base rate differs.",
        ),
    },
    exercises={"6.1": _four_in_a_hundred, "6.2": _at_one_percent, "6.3": _strongest},
)
