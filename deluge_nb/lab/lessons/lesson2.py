"""Lesson 2: conditional probability, the chain rule, and independence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import bits, distribution, scored
from ..texts import likeliest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE = "The coin came up heads. Then it came up"
_HEADS = "The coin came up heads, heads, heads, heads. Then it came up"
_TAILS = "The coin came up tails, tails, tails, tails. Then it came up"
_PUDDING = " pudding is in the eating."
_PILL, _REVERSED = " doctor gave the patient a pill.", " patient gave the doctor a pill."
ALICE = (
    " Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once or "
    "twice she had peeped into the book her sister was reading, but it had no pictures or conversations in it, “and what "
    "is the use of a book,” thought Alice “without pictures or conversations?” So she was considering in her own mind "
    "(as well as she could, for the hot day made her feel very sleepy and stupid), whether the pleasure of making a "
    "daisy-chain would be worth the trouble of getting up and picking the daisies, when suddenly a White Rabbit with pink "
    "eyes ran close by her. There was nothing so very remarkable in that; nor did Alice think it so very much out of the "
    "way to hear the Rabbit say to itself, “Oh dear! Oh dear! I shall be late!” (when she thought it over afterwards, it "
    "occurred to her that she ought to have wondered at this, but at the time it all seemed quite natural); but when the "
    "Rabbit actually took a watch out of its waistcoat-pocket, and looked at it, and then hurried on, Alice started to her "
    "feet."
)
"""The beginning of Lewis Carroll's *Alice's Adventures in Wonderland* (1865)."""


def _share_of_heads(text: str) -> float:
    """Return P(heads) if the next token is heads or tails."""
    listed = likeliest(distribution(text), 1000)
    heads, tails = listed.get(" heads", 0.0), listed.get(" tails", 0.0)
    return heads / (heads + tails)


def _tokens_to_zero() -> float:
    """Return the number of tokens of Alice after which the product is 0.0 in double precision."""
    return _factors_to_zero(scored("\n", ALICE).prob)


def _factors_to_zero(factors: NDArray[np.float64]) -> float:
    """Return the number of factors after which their product is 0.0; 0 if it never is, as with a model that knows a text."""
    is_zero = np.cumprod(factors) == 0.0
    return float(is_zero.argmax() + 1) if is_zero.any() else 0.0


def _pudding() -> Key:
    p = scored("The proof of the", _PUDDING).prob[:4]
    return Key(
        float(np.prod(p)),
        "The chain rule: each probability already knows the tokens before it.",
        [
            Mistake(float(np.sum(p)), "That is the sum: for one *and then* the other, multiply."),
            Mistake(float(np.mean(p)), "That is the mean: for one *and then* the other, multiply."),
            Mistake(float(np.min(p)), "That is the least of them: the whole is less probable than any part."),
            Mistake(float(p[0]), "That is the first token alone."),
            Mistake(
                float(np.prod(scored("The proof of the", _PUDDING).prob)),
                "That is for all tokens: take the first four.",
            ),
        ],
        tolerance=0,
        relative=0.02,
        kind="probability",
    )


def _order() -> Key:
    gap = bits("\nThe", _REVERSED) - bits("\nThe", _PILL)
    return Key(
        2**gap,
        "The same words: what changes is which word stands after which.",
        [
            Mistake(gap, "Those are the bits: the factor is 2 to that power."),
            Mistake(2**-gap, "That is the other way round: the first sentence is the likelier one."),
            Mistake(
                2.0 ** -bits("\nThe", _PILL),
                "That is a probability, or a difference of two. For *how many times*, divide one by the other.",
            ),
            Mistake(math.exp(gap), "That is e to the power of bits: take 2."),
        ],
        tolerance=0,
        relative=0.05,
    )


def _independent() -> Key:
    return Key(
        "b",
        "What the first coin shows does not change the probability of the second.",
        [
            Mistake("a", "*Peanut butter and* makes *jelly* much likelier than it is elsewhere."),
            Mistake("c", "A second *the* is hardly possible right after the first."),
        ],
        choices=("a", "b", "c"),
    )


LESSON = Lesson(
    number=2,
    name="02_and_then",
    title="And then?",
    learn="multiply along a text, and keep a conditional probability separate from its reverse",
    minutes=45,
    reveals={
        "2.1": Reveal(
            {
                "one": Guess(
                    "after one heads",
                    lambda: _share_of_heads(_ONE),
                    mistakes=[
                        Mistake(
                            0.5,
                            "That is right for a coin: it does not know what came before. But here a model answers.",
                        )
                    ],
                ),
                "heads": Guess("after four heads", lambda: _share_of_heads(_HEADS)),
                "tails": Guess("after four tails", lambda: _share_of_heads(_TAILS)),
            },
            "This is the *gambler's fallacy*: the model expects the other side, as if it were due. Other words may turn it "
            "round. After *I threw the coin again and again: heads, heads, heads, heads,* it finds *heads* likelier. A coin "
            "does not read, and does not remember.",
        ),
        "2.2": Reveal(
            {
                "jelly": Guess(
                    "P(jelly | Peanut butter and)", lambda: float(scored("Peanut butter and", " jelly").prob[0])
                ),
                "reverse": Guess("P(peanut butter | Jelly and)", lambda: 2.0 ** -bits("Jelly and", " peanut butter")),
            },
            "The words after the bar are known, and you ask for the words before it. Exchange them, and you ask another "
            "question. Here the words also change their order, so it is another text.",
        ),
        "2.3": Reveal(
            {
                "tokens": Guess(
                    "the number of tokens",
                    _tokens_to_zero,
                    "number",
                    mistakes=[
                        Mistake(0, "On paper it never is. A computer cannot write numbers as small as you like.")
                    ],
                )
            },
            "The computer's smallest number above zero is about 5 · 10⁻³²⁴. So we add logarithms: even for the whole book, "
            "their sum is a number of ordinary size.",
        ),
    },
    exercises={"2.1": _pudding, "2.2": _order, "2.3": _independent},
)
