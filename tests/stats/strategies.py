"""Hypothesis strategies: whole distributions as a model has them, and the lists that a server returns of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@st.composite
def distributions(draw: st.DrawFn, least: int = 2, most: int = 40) -> Floats:
    """Probabilities of a vocabulary, likeliest first: flat ones, steep ones, and with zeros."""
    size = draw(st.integers(least, most))
    heat = draw(st.sampled_from([0.0, 0.3, 1.0, 3.0, 12.0]))
    weights = np.array(draw(st.lists(st.floats(0, 1), min_size=size, max_size=size)))
    p = np.exp(weights * heat)
    if draw(st.booleans()):
        p[draw(st.integers(1, size)) :] = 0
    return -np.sort(-p / p.sum())


def top(p: Floats, k: int) -> list[float]:
    """Return the logarithms of the first k probabilities."""
    with np.errstate(divide="ignore"):
        return np.log(p[:k]).tolist()


def entropy(p: Floats) -> float:
    return math.fsum(-x * math.log(x) for x in p.tolist() if x > 0)


WORDS = ["yes", "Yes", " yes", "YES.", "ye", "no", "No,", "none", "n", "N", "\n", ' "', "maybe", "yesterday", "1", "10"]


@st.composite
def weighed_words(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Words with probabilities that add up to 1, likeliest first; words may come twice."""
    p = draw(distributions(2, 24))
    words = draw(st.lists(st.sampled_from(WORDS), min_size=len(p), max_size=len(p)))
    return list(zip(words, p.tolist(), strict=True))


def listed(words: list[tuple[str, float]], k: int) -> list[dict[str, Any]]:
    return [{"token": word, "logprob": math.log(p)} for word, p in words[:k] if p > 0]
