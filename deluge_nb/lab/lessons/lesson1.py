"""Lesson 1: outcomes, events, complements, and the tail of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import LISTED, distribution
from ..texts import likeliest

_COIN = "I flipped a fair coin and it came up"
_FRANCE = "The capital of France is"
_KING = "There was a king who had three"


def _listed(text: str) -> dict[str, float]:
    return likeliest(distribution(text), LISTED)


def _tail(text: str) -> float:
    """Return the probability of all tokens that are not listed."""
    return 1.0 - sum(_listed(text).values())


def _coin() -> Sequence[Any]:
    from ...charts.probability.outcomes import events_chart

    listed = likeliest(distribution(_COIN), 8)
    return (events_chart(list(listed), list(listed.values()), [" heads"]),)


def _king() -> Sequence[Any]:
    from ...charts.probability.outcomes import events_chart

    listed = _listed(_KING)
    return (events_chart(list(listed), list(listed.values()), ["everything else"]),)


def _heads_or_tails() -> Key:
    listed = _listed(_COIN)
    heads, tails = listed.get(" heads", 0.0), listed.get(" tails", 0.0)
    spelled = sum(share for text, share in listed.items() if text.strip().lower() in ("heads", "head", "tails", "tail"))
    return Key(
        heads + tails,
        "Two outcomes that exclude each other: their probabilities add up.",
        [
            Mistake(1, "A coin has two sides, but this sentence can go on in other ways, too."),
            Mistake(0.5, "That is a fair coin: look at what the model gives the two words."),
            Mistake(heads, "That is heads alone: the event has tails in it as well."),
            Mistake(heads * tails, "That is the product: for one *or* the other, add."),
            Mistake(spelled, "Those are all spellings, such as *Heads*: take only the tokens *heads* and *tails*."),
        ],
        kind="probability",
    )


def _neither() -> Key:
    listed = _listed(_COIN)
    heads = listed.get(" heads", 0.0)
    either = heads + listed.get(" tails", 0.0)
    others = sum(listed.values()) - either
    return Key(
        1 - either,
        "The complement: one minus the event, so that the tail is in it.",
        [
            Mistake(0, "For a coin it would be nothing: but this is a sentence, and it can go on in other ways."),
            Mistake(others, "Those are the listed ones: everything else is missing."),
            Mistake(either, "That is the event itself: you want its complement."),
            Mistake(1 - heads, "That is everything but *heads*: *tails* is still in it."),
            Mistake(_tail(_COIN), "That is the tail alone: the list has other tokens than the two as well."),
        ],
        kind="probability",
    )


def _begins_with_s() -> Key:
    listed = _listed(_KING)
    certain = sum(share for text, share in listed.items() if text.strip().lower().startswith("s"))
    tail = _tail(_KING)
    return Key(
        (certain, certain + tail),
        "Perhaps every hidden token begins with *s*, perhaps none.",
        [
            Mistake((certain, certain), "The list is not all there is: what may the rest begin with?"),
            Mistake(
                (certain, 1),
                "The other words of the list do not begin with *s*: the most is *sons* and all of the tail.",
            ),
            Mistake((0, certain + tail), "The listed words that begin with s are certain."),
        ],
        kind="probability",
    )


LESSON = Lesson(
    number=1,
    name="01_what_could_come_next",
    title="What could come next?",
    learn="list outcomes, form events, add probabilities and use complements",
    minutes=45,
    reveals={
        "1.1": Reveal(
            {
                "heads": Guess(
                    "P(heads)",
                    lambda: _listed(_COIN).get(" heads", 0.0),
                    mistakes=[
                        Mistake(
                            0.5,
                            "Two sides, so fifty-fifty? That is true of a fair coin, but the model does not count sides.",
                        ),
                        Mistake(1, "Nothing that can be otherwise has probability 1."),
                    ],
                )
            },
            "The model's coin is not fair. It also has more than two sides: a space may come, or *Heads* with a capital "
            "letter, or *with*.",
            _coin,
        ),
        "1.2": Reveal(
            {
                "others": Guess(
                    "the other 19 together",
                    lambda: sum(_listed(_FRANCE).values()) - _listed(_FRANCE).get(" Paris", 0.0),
                ),
                "not_paris": Guess("P(not Paris)", lambda: 1 - _listed(_FRANCE).get(" Paris", 0.0)),
            },
            "The two numbers differ, and both are right. The difference belongs to the tokens that are not on the list: "
            "the *tail*.",
        ),
        "1.3": Reveal(
            {"tail": Guess("P(everything else)", lambda: _tail(_KING))},
            "About one sixth of the probability is spread over more than 49,000 tokens that no list shows.",
            _king,
        ),
    },
    exercises={"1.1": _heads_or_tails, "1.2": _neither, "1.3": _begins_with_s},
)
