"""Lesson 0: a first look at tokens, probabilities and colours."""

from __future__ import annotations

from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import first_of_answer, probability
from ..texts import likeliest

QUESTION = "What is the capital of France?"
_DAYS = "Monday, Tuesday, Wednesday, Thursday,"


def _first_word() -> float:
    return likeliest(first_of_answer(QUESTION), 1000).get("The", 0.0)


def _tokens() -> Key:
    return Key(
        7,
        "Six words and the full stop, each a token of its own. Rare words take several.",
        [
            Mistake(6, "Count the full stop as well: it is a token."),
            Mistake(31, "Those are letters and spaces: a token can be a whole word."),
            Mistake(49_152, "That is the vocabulary: all tokens that there are."),
        ],
        tolerance=0.1,
    )


def _least() -> Key:
    return Key(
        "The",
        "It was undecided how to begin. Once it had begun, it was quite sure how to go on.",
        [
            Mistake("Paris", "The model was nearly certain of that: its colour is pale."),
            Mistake("capital", "After *The* there was hardly anything else to say."),
            Mistake("France", "You had asked about it: nothing else was likely."),
        ],
        choices=("The", "capital", "France", "Paris"),
    )


def _meaning() -> Key:
    return Key(
        "b",
        "A probability is about what was likely to be written. It is not about the world.",
        [
            Mistake("a", "A model can be sure of something false: lesson 8 has a list that makes people laugh."),
            Mistake("c", "Frequent words can be very improbable in their place."),
        ],
        choices=("a", "b", "c"),
    )


LESSON = Lesson(
    number=0,
    name="00_first_look",
    title="A first look",
    learn="read the colours of an answer, and say what a token is",
    minutes=20,
    reveals={
        "0.1": Reveal(
            {"first": Guess("P(The)", _first_word, mistakes=[Mistake(1, "It could have begun with *Paris* as well.")])},
            "There are many ways to begin an answer. The model even thinks of French: *La*, *Le* and *L* are next on its list.",
        ),
        "0.2": Reveal(
            {"friday": Guess("P(Friday)", lambda: probability(_DAYS, " Friday"))},
            "After four days of a week, hardly anything else is likely.",
        ),
    },
    exercises={"0.1": _tokens, "0.2": _least, "0.3": _meaning},
)
