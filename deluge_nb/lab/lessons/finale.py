"""The finale: surprisal is the length of a file."""

from __future__ import annotations

import math
import zlib

import numpy as np

from ..coding import encode
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import bits

BIRD = " early bird catches the worm."
NEWS = (
    " The city council voted on Tuesday to build a new bridge over the river. The bridge will have two lanes for cars and "
    "a path for bicycles. Work will begin in the spring and take about two years. The mayor said that the old bridge, "
    "which was built in 1931, was no longer safe for heavy trucks. Some residents worry about the cost, which is expected "
    "to reach forty million dollars."
)
REPEATED = " " + "ab" * 60


def shuffled(text: str, seed: int = 4) -> str:
    """Return a text with its words in another order."""
    words = text.split()
    np.random.default_rng(seed).shuffle(words)
    return " " + " ".join(words)


def model_bytes(text: str) -> int:
    """Return the bytes that a text takes by its surprisal after a line break."""
    return math.ceil(bits("\n", text) / 8)


def zlib_bytes(text: str) -> int:
    """Return the bytes that zlib needs for a text."""
    return len(zlib.compress(text.strip().encode(), 9))


def _bytes_of_bits() -> Key:
    return Key(
        4,
        "30.4 bits fill three bytes and a part of the fourth.",
        [
            Mistake(30.4 / 8, "A file has whole bytes: round up."),
            Mistake(3, "Three bytes are 24 bits: something would be lost."),
            Mistake(30.4, "Those are the bits: a byte has eight of them."),
            Mistake(31, "Those are the bits, rounded up: a byte has eight of them."),
            Mistake(29, "Those are the letters, each a byte: that is the text without compression."),
        ],
        tolerance=0.01,
    )


def _fair() -> Key:
    return Key(
        "c",
        "The receiver must have the same model, which is larger than all these files together.",
        [
            Mistake("a", "Shannon's bound holds for the best code, and the arithmetic code is within two bits of it."),
            Mistake("b", "The code was decoded back to the same text: nothing is lost."),
        ],
        choices=("a", "b", "c"),
    )


def _average() -> Key:
    return Key(
        0.5,
        "With probability ½ each: −log₂ ½ is one bit a word, and two letters share it.",
        [
            Mistake(1, "That is for each *word*: it has two letters."),
            Mistake(2, "Two letters share one bit, not the other way round."),
            Mistake(4, "A letter takes less than a bit here."),
            Mistake(8, "Eight bits are a letter without compression."),
        ],
        tolerance=0.01,
        kind="bits",
    )


LESSON = Lesson(
    number=9,
    name="09_finale_compression",
    title="The finale: how short is a text?",
    learn="turn surprise into the length of a file, and decode it again",
    minutes=45,
    reveals={
        "9.1": Reveal(
            {"bits": Guess("the code", lambda: float(len(encode("\nThe", BIRD))), "bits")},
            "The surprises add up to nearly the same: they differ by two bits at most. (The number of tokens is sent "
            "separately.)",
        ),
        "9.2": Reveal(
            {
                "model": Guess("the news, by the model's surprise (bytes)", lambda: float(model_bytes(NEWS)), "number"),
                "shuffled": Guess(
                    "the same words shuffled (bytes)", lambda: float(model_bytes(shuffled(NEWS))), "number"
                ),
            },
            "The model knows the order of words. For zlib, which looks for repeated letters, order hardly matters: it needs "
            "almost the same for both.",
        ),
        "9.3": Reveal(
            {
                "model": Guess(
                    "“ab” sixty times, by the model (bytes)", lambda: float(model_bytes(REPEATED)), "number"
                ),
                "zlib": Guess("the same, by zlib (bytes)", lambda: float(zlib_bytes(REPEATED)), "number"),
            },
            "Where nothing but repetition counts, zlib is the better model.",
        ),
    },
    exercises={"9.1": _bytes_of_bits, "9.2": _average, "9.3": _fair},
)
