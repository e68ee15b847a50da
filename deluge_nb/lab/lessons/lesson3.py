"""Lesson 3: softmax, temperature, and the numbers that a list of alternatives cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...logprobs.columns import Floats
from ...stats.temperature.scaling import temperature_full
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import LISTED, distribution
from ..texts import likeliest

CUP = "I would like a cup of"
_COFFEE, _TEA = " coffee", " tea"
_SHOWN = 8


def _logprobs() -> Floats:
    return distribution(CUP).top_logprob(0)


def _position(token: str) -> int:
    return list(likeliest(distribution(CUP), LISTED)).index(token)


def _at(temperature: float, token: str = _COFFEE) -> float:
    """Return the probability of a token at a temperature, over the whole vocabulary."""
    return float(temperature_full(_logprobs(), temperature)[_position(token)])


def _tail() -> float:
    """Return the probability of everything that is not listed, at temperature 2."""
    return 1.0 - float(temperature_full(_logprobs(), 2.0)[:LISTED].sum())


def temperature_figure(temperature: float, named: int = _SHOWN) -> Any:
    """Return the chart of the lesson's distribution at a temperature, with the likeliest tokens by name."""
    from ...charts.probability.temperature import temperature_chart

    names = list(likeliest(distribution(CUP), named))
    return temperature_chart(names, _logprobs(), temperature, listed=LISTED, end=1.0)


def _two() -> Sequence[Any]:
    # All that are listed, so that the last bar is the number that was guessed.
    return (temperature_figure(2.0, LISTED),)


# As the exercises say them, so that their answers hold with any model.
_STATED_ODDS = 8.15


def _odds() -> float:
    return _at(1.0) / _at(1.0, _TEA)


def _odds_at_two() -> Key:
    odds = _STATED_ODDS
    return Key(
        math.sqrt(odds),
        "Odds are raised to the power 1/T, here ½: the square root.",
        [
            Mistake(odds / 2, "The odds are not divided by the temperature: raise them to the power 1/T."),
            Mistake(odds, "Those are the odds at temperature 1: they change with the temperature."),
            Mistake(odds**2, "That is farther from 1: a higher temperature brings odds closer to 1."),
            Mistake(2 * odds, "Odds are raised to a power, not multiplied, and the power is 1/T."),
        ],
        tolerance=0.03,
    )


def _temperature() -> Key:
    return Key(
        0.5,
        "Odds to the power 1/T: the power 2 is temperature ½.",
        [
            Mistake(2, "The power is 1/T, not T."),
            Mistake(1 / _STATED_ODDS, "Look for a power: which one turns the odds at temperature 1 into these?"),
            Mistake(0.25, "Temperature ¼ would be the fourth power."),
        ],
        tolerance=0.02,
    )


def _known() -> Key:
    return Key(
        "b",
        "The ratio of two listed tokens does not depend on what is hidden.",
        [
            Mistake("a", "The sum below the fraction has the hidden tokens in it."),
            Mistake("c", "Above temperature 1 the hidden tokens can take nearly everything."),
        ],
        choices=("a", "b", "c"),
    )


LESSON = Lesson(
    number=3,
    name="03_temperature",
    title="Hot or cold?",
    learn="compute what temperature does, and say what a short list of tokens can and cannot show",
    minutes=45,
    reveals={
        "3.1": Reveal(
            {
                "coffee": Guess(
                    "P(coffee) at temperature 2",
                    lambda: _at(2.0),
                    mistakes=[
                        Mistake(0.4, "Half as probable? Temperature does not divide probabilities."),
                        Mistake(0.42, "Some tools print this: they share out all probability among the listed tokens."),
                        Mistake(0.8, "It would stay so only at temperature 1."),
                    ],
                )
            },
            "Much less than half. Where did the probability go? Section 2 answers.",
        ),
        "3.2": Reveal(
            {"tail": Guess("everything that is not listed, at temperature 2", _tail)},
            "At temperature 1 it was about three in a hundred. There are nearly 50,000 such tokens, and heat lifts all of "
            "them. Blue bars: the truth. Grey bars: where a listed token may lie if you see only the list. Ticks: the "
            "numbers of tools that make the list add up to 1. A tick outside its grey bar is *impossible*.",
            _two,
        ),
    },
    exercises={"3.1": _odds_at_two, "3.2": _temperature, "3.3": _known},
)
