"""Lesson 5: surprisal, entropy and perplexity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import bits, distribution, probability, scored

_EAST = " sun rises in the east and sets in the west."
_WEST = " sun rises in the west and sets in the east."
_PURPLE, _GREENER = " purple on the other side.", " greener on the other side."
_CUP, _DOOR = "I would like a cup of", "She opened the door and saw a"


def _saving() -> float:
    return bits("The grass is always", _PURPLE) - bits("The grass is always", _GREENER)


def _gap() -> float:
    return bits("The", _WEST) - bits("The", _EAST)


def _sunrises() -> Sequence[Any]:
    from ...widget.view import LogprobView

    # Not a comparison: its headings are in nats, which learners have not met.
    ends = {"true": _EAST, "false": _WEST}
    return tuple(LogprobView(scored("The", end), color_by="surprisal", title=name) for name, end in ends.items())


def _entropy(text: str) -> float:
    return float(distribution(text).entropy(2)[0])


def _rain() -> Key:
    return Key(
        2,
        "Two heads in a row.",
        [
            Mistake(math.log(4), "That is in nats: take the logarithm to base 2."),
            Mistake(-2, "Mind the minus sign: a surprise is never negative."),
            Mistake(-math.log2(0.75), "That is the surprise at *no* rain, whose probability is 0.75."),
            Mistake(0.25, "That is the probability: take minus its logarithm to base 2."),
            Mistake(25, "That is the probability in percent: how many bits is it?"),
        ],
        tolerance=0.01,
        kind="bits",
    )


def _worm() -> Key:
    bird, worm = (bits("\nThe", f" early {text}.") for text in ("bird catches the worm", "worm catches the bird"))
    joined = bits("\nThe", "early worm catches the bird.")
    return Key(
        worm - bird,
        "The same words in another order: each word is read after those before it.",
        [
            Mistake(bird - worm, "Mind the sign: which of the two sentences costs more?"),
            Mistake((worm - bird) * math.log(2), "That is in nats: the method *surprisal* gives bits."),
            Mistake(worm, "That is one whole sentence: subtract the other."),
            Mistake(bird, "That is one whole sentence: subtract it from the other."),
            Mistake(joined - bird, "Put a space in front of *early*, as in the sentence with the bird."),
        ],
        tolerance=0.3,
        kind="bits",
    )


def _four_words() -> Key:
    return Key(
        1.75,
        "½·1 + ¼·2 + ⅛·3 + ⅛·3.",
        [
            Mistake(2, "That would be four *equally* likely words."),
            Mistake(2.25, "That is the plain mean of the four surprises: weigh each by its probability."),
            Mistake(1.75 * math.log(2), "That is in nats: take logarithms to base 2."),
            Mistake(9, "That is the sum of the four surprises: weigh each by its probability."),
        ],
        kind="bits",
    )


LESSON = Lesson(
    number=5,
    name="05_how_surprised",
    title="How surprised?",
    learn="say in bits how surprising something was, and keep surprise and falsehood separate",
    minutes=45,
    reveals={
        "5.1": Reveal(
            {
                "away": Guess("P(away)", lambda: probability("An apple a day keeps the doctor", " away")),
                "boils": Guess("P(boils)", lambda: probability("A watched pot never", " boils")),
            },
            "One word the model practically knew. The other it gave about one chance in ten thousand, although "
            "both proverbs are common.",
        ),
        "5.2": Reveal(
            {"saving": Guess("the saving", _saving, "bits")},
            "Much of that is not in the word itself: after a strange word, the next words are harder to foresee, too.",
        ),
        "5.3": Reveal(
            {"gap": Guess("the gap", _gap, "bits", [Mistake(13, "That would be a sentence nobody expects.")])},
            "Hardly more than one flip of a coin. Below you see both: the last noun has no colour in either. Once the sun has "
            "risen in the west, it *must* set in the east, and the model agrees.",
            _sunrises,
        ),
        "5.4": Reveal(
            {
                "cup": Guess("cup of …", lambda: _entropy(_CUP), "bits"),
                "door": Guess("saw a …", lambda: _entropy(_DOOR), "bits"),
            },
            "After *cup of* two words take nearly everything. After *saw a* it may be anybody or anything.",
        ),
    },
    exercises={"5.1": _rain, "5.2": _worm, "5.3": _four_words},
)
