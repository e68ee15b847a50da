"""Lesson 7: from tokens to answers: matched mass, bounds of labels, and expected values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...logprobs.splice import truncate_alternatives
from ...stats.labels.distribution import LabelDistribution
from ...stats.labels.one_token import label_distribution
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import LISTED, first_of_answer, probability
from ..texts import likeliest

SKY = "Is the sky blue? Answer yes or no."
FISH = "Do fish live in water? Answer yes or no."
TURKEY = "The capital of Turkey is"
_DICE = "I rolled two dice and the sum was"
_SHOWN = 8


def first_tokens(question: str) -> dict[str, float]:
    """Return the tokens with which the answer to a question may begin, as a server lists them."""
    return likeliest(first_of_answer(question), LISTED)


def verdict(question: str, labels: Sequence[str] = ("yes", "no")) -> LabelDistribution:
    """Return the probability of each label at the first token, with bounds for everything that the list hides."""
    return label_distribution(truncate_alternatives(first_of_answer(question), LISTED).top(0), labels)


def bounds_figure(question: str, labels: Sequence[str] = ("yes", "no")) -> Any:
    """Return the chart of the bounds of the labels at the first token."""
    from ...charts.probability.outcomes import label_bounds_chart

    read = verdict(question, labels)
    return label_bounds_chart(labels, [read.lower[name] for name in labels], [read.upper[name] for name in labels])


def _first_words_figure(question: str) -> Any:
    from ...charts.probability.outcomes import events_chart

    shown = likeliest(first_of_answer(question), _SHOWN)
    spellings = [token for token in shown if token.strip().lower() in ("yes", "no")]
    return events_chart(list(shown), list(shown.values()), event=spellings)


def _share(question: str) -> float:
    """Return the share of yes among yes and no."""
    return verdict(question).normalized["yes"]


def city_share() -> float:
    """Return the share of Istanbul among the two cities, each as a whole word."""
    istanbul, ankara = (probability(TURKEY, city) for city in (" Istanbul", " Ankara"))
    return istanbul / (istanbul + ankara)


def dice() -> dict[int, float]:
    """Return the probability of each sum of two dice as the end of a sentence; they do not add up to 1."""
    return {total: probability(_DICE, f" {total}.") for total in range(2, 13)}


def _dice_shares() -> dict[int, float]:
    listed = dice()
    matched = sum(listed.values())
    return {total: p / matched for total, p in listed.items()}


def _mean() -> float:
    return sum(total * share for total, share in _dice_shares().items())


def _sky_shown() -> Sequence[Any]:
    return (_first_words_figure(SKY), bounds_figure(SKY))


def _fish_shown() -> Sequence[Any]:
    return (bounds_figure(FISH),)


def _dice_shown() -> Sequence[Any]:
    from ...charts.probability.outcomes import events_chart

    shares = _dice_shares()
    return (events_chart([str(total) for total in shares], list(shares.values())),)


def _city_shown() -> Sequence[Any]:
    from ...widget.view import LogprobView
    from ..model import scored

    return (LogprobView(scored(TURKEY, " Ankara"), before=TURKEY),)


def _bounds() -> Key:
    return Key(
        (0.05, 0.2),
        "At least what is listed; at most that and all of the hidden 0.15.",
        [
            Mistake((0.05, 0.6), "*The* and *I* are listed: they are no spelling of yes. Only the hidden 0.15 may be."),
            Mistake((0.05, 0.05), "Spellings of yes may also be among the hidden tokens: YES, Yeah, with a space …"),
            Mistake((0.04, 0.19), "Two listed tokens spell yes: add them."),
            Mistake((0.05, 0.15), "The hidden part comes on top of what is listed."),
        ],
        tolerance=0.003,
        kind="probability",
    )


def _expectation() -> Key:
    listed = dice()
    mean = _mean()
    return Key(
        mean,
        "Shares first, then the sum of each total times its share.",
        [
            Mistake(9, "That is the likeliest total, not the mean."),
            Mistake(7, "That is for real dice: weigh the totals by the model's shares."),
            Mistake(
                sum(total * p for total, p in listed.items()),
                "The probabilities do not add up to 1: divide each by their sum first.",
            ),
            Mistake(1, "That is the sum of the shares: multiply each by its total."),
        ],
        tolerance=0.06,
    )


def _decided() -> Key:
    return Key(
        "b",
        "Even if all that is hidden goes to no, yes stays ahead: 0.50 against 0.40.",
        [
            Mistake("a", "If the hidden 0.10 is all no, then no has 0.35 and wins."),
            Mistake("c", "Its share is the largest, but 0.45 is hidden: no may have up to 0.50."),
            Mistake("none", "Give all that is hidden to no, and compare."),
        ],
        choices=("a", "b", "c", "none"),
    )


LESSON = Lesson(
    number=7,
    name="07_from_tokens_to_answers",
    title="From tokens to answers",
    learn="turn probabilities of tokens into the probability of an answer, with bounds",
    minutes=45,
    reveals={
        "7.1": Reveal(
            {
                "yes": Guess("P(the answer begins with yes)", lambda: verdict(SKY).lower["yes"]),
                "no": Guess("P(the answer begins with no)", lambda: verdict(SKY).lower["no"]),
            },
            "About half of the probability begins neither with yes nor with no: *The*, *I* and others are ways to "
            "begin as well. In the second chart, a bar begins at what the list has for an answer. It ends at that, plus "
            "everything that the list hides.",
            _sky_shown,
        ),
        "7.2": Reveal(
            {
                "share": Guess(
                    "the share of yes",
                    lambda: _share(FISH),
                    mistakes=[Mistake(1, "The model has read that fish swim. It did not understand the question.")],
                )
            },
            "It says no here, too. In fact it says *no to nearly every question*: this way of asking prefers no, whatever "
            "the question is.",
            _fish_shown,
        ),
        "7.3": Reveal(
            {
                "istanbul": Guess(
                    "the share of Istanbul",
                    city_share,
                    mistakes=[Mistake(1, "Ankara is missing in the list because it is no single token.")],
                )
            },
            "*Ankara* is two tokens, and no list of first tokens has it. After the first piece, the second is "
            "practically certain. Multiply along the word, as in lesson 2. (The capital is Ankara.)",
            _city_shown,
        ),
        "7.4": Reveal(
            {
                "seven": Guess("the share of 7", lambda: _dice_shares()[7]),
                "largest": Guess("the largest share", lambda: max(_dice_shares().values())),
            },
            "One total takes about two thirds, and it is not 7. Real dice give 7 the largest share, one sixth.",
            _dice_shown,
        ),
    },
    exercises={"7.1": _bounds, "7.2": _expectation, "7.3": _decided},
)
