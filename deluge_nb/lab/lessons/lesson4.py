"""Lesson 4: sampling, intervals, and the law of large numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...client.client import client_for
from ...logprobs.columns import Floats
from ...prompts import RawPrompt
from ...sampling import SamplingParams
from ...stats.temperature.scaling import temperature_full
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import current_model, distribution
from ..texts import likeliest

KING = "There was a king who had three"
_SHOWN = 6
_SEED = 1
SIZES = (10, 100, 1000, 10_000)


def _probabilities(temperature: float = 1.0) -> Floats:
    return temperature_full(distribution(KING).top_logprob(0), temperature)


@lru_cache(maxsize=4)
def _samples(model_table: int) -> dict[int, NDArray[np.int64]]:
    """Return how often each token was drawn in samples of all sizes; the argument names the model's table."""
    rng = np.random.default_rng(_SEED)
    return {size: rng.multinomial(size, _probabilities()) for size in SIZES}


def draw(count: int, seed: int | None = None) -> list[str]:
    """Return tokens that the model draws, each in a request with a seed of its own, from `seed` on."""
    settings = SamplingParams(temperature=1, max_new_tokens=1, seed=seed)
    with client_for(current_model()) as client:
        responses = client.process_prompts_sync(
            [RawPrompt(KING)] * count, sampling_params=settings, show_progress=False
        )
    for response in responses:
        if response.error is not None:
            raise response.error
    return [response.completion or "" for response in responses]


def sample(size: int) -> NDArray[np.int64]:
    """Return how often each token was drawn in a sample of the lesson, likeliest first."""
    return _samples(id(distribution(KING)))[size]


def sampling_figure(size: float) -> Any:
    """Return the chart of a sample beside the truth."""
    from ...charts.probability.outcomes import sampling_chart

    shown = likeliest(distribution(KING), _SHOWN)
    return sampling_chart(list(shown), list(shown.values()), sample(int(size))[:_SHOWN], total=int(size))


def _unseen(size: int) -> float:
    """Return the probability of all tokens that a sample has not shown."""
    return float(_probabilities()[sample(size) == 0].sum())


def _width(size: int) -> float:
    """Return the width of Wilson's interval for the likeliest token."""
    from ...stats.scoring.intervals import wilson_interval

    low, high = wilson_interval(int(sample(size)[0]), size)
    return high - low


def recordings() -> dict[str, dict[str, int]]:
    """Return two recordings of 1,000 draws each, of which one was made at another temperature."""
    names = [*likeliest(distribution(KING), _SHOWN), "everything else"]
    rng = np.random.default_rng(11)
    made = {}
    for letter, temperature in (("A", 1.0), ("B", 0.8)):
        p = _probabilities(temperature)
        shares = [*p[:_SHOWN], p[_SHOWN:].sum()]
        made[letter] = dict(zip(names, rng.multinomial(1000, shares).tolist(), strict=True))
    return made


def _samples_shown() -> Sequence[Any]:
    return (sampling_figure(10), sampling_figure(1000))


def _needed() -> Key:
    exact = 0.3 * 0.7 * (1.96 / 0.02) ** 2
    return Key(
        exact,
        "p(1 − p)(1.96/0.02)², rounded up.",
        [
            Mistake(0.25 * (1.96 / 0.02) ** 2, "That is for p = ½: here p is about 0.3."),
            Mistake(math.sqrt(exact), "That is the square root: draws grow with the *square* of the precision."),
            Mistake(exact / 1.96**2, "Do not forget the 1.96: you want 95 of 100 samples."),
            Mistake(exact * 4, "That is for 0.01 to each side: 0.02 is the half width already."),
        ],
        tolerance=0,
        relative=0.045,
    )


def _narrower() -> Key:
    return Key(
        2,
        "The square root of four.",
        [
            Mistake(4, "The width goes with the square root of the number of draws."),
            Mistake(16, "That is the square: the width goes with the square *root*."),
            Mistake(1, "More draws do make it narrower."),
            Mistake(0.5, "Half as wide is right: so how many times narrower?"),
        ],
        tolerance=0.05,
    )


def _manipulated() -> Key:
    return Key(
        "B",
        "It was drawn at temperature 0.8: too many of the likeliest words, too few of the others.",
        [
            Mistake("A", "A has the small differences of honest draws: compare each count with 1,000 times the truth."),
            Mistake("neither", "Look at the first word: 1,000 honest draws are hardly ever so far from the truth."),
        ],
        choices=("A", "B", "neither"),
    )


LESSON = Lesson(
    number=4,
    name="04_draw_and_count",
    title="Draw and count",
    learn="put an interval around a frequency, and say how many draws you need",
    minutes=45,
    reveals={
        "4.1": Reveal(
            {
                "hundred": Guess("not yet seen after 100 draws", lambda: _unseen(100)),
                "thousand": Guess(
                    "not yet seen after 1,000 draws",
                    lambda: _unseen(1000),
                    mistakes=[Mistake(0, "There are 49,152 tokens: a thousand draws cannot show them all.")],
                ),
            },
            "Another sample gives slightly different numbers. The probability of all unseen words is called the *missing mass*. "
            "It shrinks slowly.",
        ),
        "4.2": Reveal(
            {
                "ten": Guess("the width after 10 draws", lambda: _width(10)),
                "thousand": Guess("the width after 1,000 draws", lambda: _width(1000)),
            },
            "A hundred times the draws make the interval about *eight to ten* times narrower, not a hundred times. Below, "
            "bars are frequencies, lines are intervals, and ticks are the truth. The number beside a word says how often it "
            "was drawn.",
            _samples_shown,
        ),
    },
    exercises={"4.1": _needed, "4.2": _narrower, "4.3": _manipulated},
)
