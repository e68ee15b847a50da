"""The completion that all views show: synthetic, deterministic, and made in columns."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deluge_nb import Logprobs
from deluge_nb.logprobs.columns import Vocabulary

STRINGS, ALTERNATIVES = 32_000, 20
NEWLINES = 0.011
# Shares of strings with 1, 2, … 7 letters.
SIZES = (0.01, 0.07, 0.345, 0.37, 0.125, 0.06, 0.02)
_LETTERS = "etaoinshrdlucmfwypvbgkqjxz"
_ODD = ("é", "ü", "ñ", "日", "本", "語", "😀", "🎉")
# One in so many tokens of the vocabulary has a character outside ASCII.
_RARE = 40


@cache
def texts() -> list[str]:
    """Return the vocabulary: distinct strings of 4.4 characters on average, half after a space, and a newline."""
    rng = np.random.default_rng(5)
    found: dict[str, None] = {"\n": None}
    while len(found) < STRINGS:
        sizes = rng.choice(7, 10_000, p=SIZES) + 1
        letters = rng.integers(0, len(_LETTERS), (10_000, 7))
        spaced = rng.random(10_000) < 0.5
        for size, row, space in zip(sizes.tolist(), letters.tolist(), spaced.tolist(), strict=True):
            text = "".join(_LETTERS[at] for at in row[:size])
            if len(found) % _RARE == 0:
                text += _ODD[row[-1] % len(_ODD)]
            found[f" {text}" if space else text] = None
    return list(found)[:STRINGS]


def table(count: int) -> Logprobs:
    """Return a table of so many tokens, each with its 20 likeliest alternatives, which nearly always include it.

    Texts are drawn evenly from the vocabulary, the worst case for a view that sends each text once. Log-probabilities
    have six decimals, which is short for JSON.
    """
    rng = np.random.default_rng(7)
    ids = rng.integers(1, STRINGS, (count, ALTERNATIVES), dtype=np.int32)
    # Exponential gaps make a decreasing list; the steeper it is, the surer the model.
    falls = np.cumsum(rng.exponential(0.4, (count, ALTERNATIVES)).astype(np.float32), axis=1)
    falls *= rng.uniform(0.3, 6, (count, 1)).astype(np.float32)
    top = -falls - np.log(np.exp(-falls).sum(axis=1, keepdims=True)) - rng.exponential(0.05, (count, 1))
    top = np.round(top, 6).astype(np.float64)
    drawn = np.minimum(rng.geometric(0.75, count) - 1, ALTERNATIVES - 1)
    rows = np.arange(count)
    ends = rng.random(count) < NEWLINES
    ids[rows[ends], drawn[ends]] = 0
    chosen, logprob = ids[rows, drawn].copy(), top[rows, drawn].copy()
    offsets = (np.arange(count + 1) * ALTERNATIVES).astype(np.int32)
    vocabulary = Vocabulary.of((text, text.encode(), index) for index, text in enumerate(texts()))
    return Logprobs(vocabulary, chosen, logprob, ids.reshape(-1), top.reshape(-1), offsets, vocab_size=STRINGS)


def json_bytes(found: Logprobs, *, octets: bool = True) -> int:
    """Return the size of the documented list of dicts as compact JSON, which is too large to be made.

    Everything except the numbers is as long as in a list in which every number is 0.
    """
    words = texts()
    fields = [
        {"token": text, "logprob": 0, "bytes": list(text.encode())} if octets else {"token": text, "logprob": 0}
        for text in words
    ]
    without = np.array([len(_compact(field)) - 1 for field in fields])
    chosen, others = places(found)
    logprobs = (found.columns[1], found.columns[3])
    numbers = sum(sum(map(len, map(repr, column.tolist()))) for column in logprobs)
    lists = len(_compact({"top_logprobs": []})) - 1
    # n items have n - 1 commas between them.
    commas = others.size - len(found) + len(found) - 1
    return int(without[chosen].sum() + without[others].sum() + numbers + lists * len(found) + commas + 2)


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def places(found: Logprobs) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the index of the text of each token, and of each of its alternatives in order."""
    return found.chosen, found.columns[2].reshape(len(found), ALTERNATIVES)
