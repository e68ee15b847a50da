"""The finale about a watermark: test a hypothesis, and read its p-value."""

from __future__ import annotations

import hashlib
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ... import reading
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import scored
from ..quiz.recordings import recorded_texts
from ..texts import names_of

KEY = "lantern"
PUSH = 8.0
MARKED, UNMARKED = "marked", "not marked"
NOTE = """\
Please water the fern on Monday and the cactus never.
The cat may sleep on the piano, but not inside it.
If the neighbour asks about the noise, tell her that
the washing machine has taken up dancing again.
There is soup in the blue pot, and the key to the cellar
hangs behind the clock. I am back on Friday night."""
_FORTY = 40
_LINE = 2.33  # of 100 innocent texts, one is beyond it
_KEYS = 1000


@lru_cache(maxsize=200_000)
def is_green(token: str, key: str = KEY) -> bool:
    """Return whether a token is green: a hash of key and token decides, as a coin would."""
    return hashlib.sha256(f"{key}:{token}".encode("utf-8", "replace")).digest()[0] % 2 == 0


@dataclass(frozen=True, slots=True)
class Count:
    """Green tokens among the different tokens of a text, and the test of the hypothesis that there is no watermark."""

    green: int
    different: int

    @property
    def z(self) -> float:
        """The distance from one half, in standard deviations."""
        return (self.green - self.different / 2) / (math.sqrt(self.different) / 2)

    @property
    def p(self) -> float:
        """The probability of so many green tokens, or more, without a watermark."""
        return tail(self.green, self.different)

    def __repr__(self) -> str:
        return f"{self.green} green of {self.different}: z = {self.z:.2f}, p = {self.p:.2g}"


def tail(least: int, throws: int) -> float:
    """Return the probability of at least so many heads in throws of a fair coin."""
    return sum(math.comb(throws, heads) for heads in range(least, throws + 1)) / 2**throws


def count_green(tokens: Sequence[str], key: str = KEY) -> Count:
    """Return the count of green tokens of a text, or of a list of tokens; one that comes several times counts once."""
    different = set(tokens_of(tokens) if isinstance(tokens, str) else tokens)
    return Count(sum(is_green(token, key) for token in different), len(different))


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text."""
    return scored("\n", text).tokens


def texts(kind: str) -> list[list[str]]:
    """Return the tokens of eight recorded texts: ``"marked"`` or ``"not marked"``."""
    return recorded_texts("finale_watermark")[kind]


def price(kind: str) -> float:
    """Return the mean surprise of the first recorded text of a kind, in bits a token."""
    begin, text = recorded_texts("finale_watermark")["begins"][0], "".join(texts(kind)[0])
    return float(scored(begin, text).surprisal().mean())


def write_marked(count: int, *, begin: str = "", push: float = PUSH, seed: int = 0) -> list[str]:
    """Return tokens that the embedded model writes with a watermark.

    At each step the probability of every green token is multiplied; all are divided by their new sum, and one is drawn.

    Parameters
    ----------
    count
        The number of tokens.
    begin
        The text to continue; by default that of the first recorded text.
    push
        The factor of the probabilities of green tokens; 1 for no watermark.
    seed
        The seed of the draws.
    """
    return list(_written(count, begin or recorded_texts("finale_watermark")["begins"][0], push, seed))


@lru_cache(maxsize=32)
def _written(count: int, begin: str, push: float, seed: int) -> tuple[str, ...]:
    temperature = recorded_texts("finale_watermark")["temperature"]
    text = begin
    tokens: list[str] = []
    rng = np.random.default_rng(seed)
    for _ in range(count):
        table = reading.next_token(text)
        names = names_of(table)
        scaled = table.top_logprob(0) / temperature
        weights = np.exp(scaled - scaled.max()) * [push if is_green(name) else 1.0 for name in names]
        weights[[not name for name in names]] = 0.0  # the text does not end
        sums = np.cumsum(weights)
        tokens.append(names[int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))])
        text += tokens[-1]
    return tuple(tokens)


class Paint:
    """A text whose green tokens are shown green and underlined.

    Parameters
    ----------
    tokens
        The tokens of the text.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)

    def __repr__(self) -> str:
        return "".join(f"[{token}]" if is_green(token) else token for token in self.tokens)

    def _repr_html_(self) -> str:
        style = "color:inherit;background:#2f8f5744;border-bottom:2px solid #2f8f57"
        parts = (
            f'<mark style="{style}">{html.escape(token)}</mark>' if is_green(token) else html.escape(token)
            for token in self.tokens
        )
        return f'<p class="mathjax_ignore" style="white-space:pre-wrap;max-width:44em;line-height:1.7">{"".join(parts)}</p>'


def length_figure(length: float) -> Any:
    """Return the chart of z for all recorded texts, of which only so many tokens are read."""
    from ...charts.probability.groups import groups_chart

    counts = {kind: [count_green(tokens[: int(length)]) for tokens in texts(kind)] for kind in (MARKED, UNMARKED)}
    found = sum(count.z > _LINE for count in counts[MARKED])
    return groups_chart(
        {kind: [count.z for count in group] for kind, group in counts.items()},
        threshold=_LINE,
        measure="z",
        title=f"{int(length)} tokens: {found} of {len(counts[MARKED])} marked texts are beyond z = {_LINE}",
        domain=(-4, 6),
        cases={kind: ["".join(tokens)[:60] + "…" for tokens in texts(kind)] for kind in (MARKED, UNMARKED)},
    )


def _share_of_green() -> float:
    counts = [count_green(tokens) for tokens in texts(MARKED)]
    return sum(count.green for count in counts) / sum(count.different for count in counts)


def smallest_p(text: str, keys: int = _KEYS) -> float:
    """Return the smallest p-value of a text over keys that have nothing to do with it."""
    tokens = tokens_of(text)
    return min(count_green(tokens, f"key {number}").p for number in range(keys))


def _z() -> Key:
    return Key(
        (34 - 24.5) / 3.5,
        "The standard deviation of 49 fair coins is √49/2 = 3.5.",
        [
            Mistake((34 - 24.5) / 12.25, "That is divided by the *variance*: take its square root."),
            Mistake(34 - 24.5, "That is how many more than half: count it in standard deviations."),
            Mistake(
                34 / 49, "That is the share of green tokens: how far is 34 from half of 49, in standard deviations?"
            ),
            Mistake(
                (34 - 24.5) / 7,
                "You divided by √49: the standard deviation of 49 coins is half of that.",
            ),
            Mistake((34 / 49 - 0.5) / 0.5, "That is for *one* token: with 49 the mean varies √49 times less."),
        ],
        tolerance=0.01,
    )


def _needed() -> Key:
    exact = (4 * 0.5 / 0.15) ** 2
    return Key(
        exact,
        "z grows with the square root of the length: 0.15·√n/0.5 = 4.",
        [
            Mistake(math.sqrt(exact), "That is √n: square it."),
            Mistake((4 / 0.15) ** 2, "The standard deviation of one token is ½, not 1."),
            Mistake((2 * 0.5 / 0.15) ** 2, "That gives z = 2."),
            Mistake((4 * 0.5 / 0.65) ** 2, "Take the *excess* over one half: 0.15."),
        ],
        tolerance=0,
        relative=0.02,
    )


def _meaning() -> Key:
    return Key(
        "b",
        "A p-value is computed *as if* nobody had marked anything. Of this text's author it says nothing.",
        [
            Mistake("a", "That turns the condition around: it would need the share of marked texts in the world."),
            Mistake(
                "c", "That would be a share among the texts that are *flagged*: it depends on how many are marked."
            ),
        ],
        choices=("a", "b", "c"),
    )


LESSON = Lesson(
    number=10,
    name="10_finale_watermark",
    title="The finale: a watermark",
    learn="test a hypothesis by counting, and say what a p-value means",
    minutes=45,
    reveals={
        "10.1": Reveal(
            {
                "chance": Guess(
                    "P(28 or more green of 40)",
                    lambda: tail(28, _FORTY),
                    mistakes=[
                        Mistake(
                            0.5, "Half of the *tokens* are green. The question was how often 28 or more of 40 are."
                        ),
                        Mistake(0.7, "28 is 70 % of 40. The question was how often coins do that."),
                        Mistake(0.3, "Many are surprised: forty coins stay close to twenty."),
                    ],
                )
            },
            "The usual distance from 20, the *standard deviation*, is about three for forty coins. So 28 is more than two "
            "standard deviations from 20.",
        ),
        "10.2": Reveal(
            {
                "share": Guess(
                    "green among the different tokens",
                    _share_of_green,
                    mistakes=[
                        Mistake(0.5, "That is without a watermark."),
                        Mistake(
                            0.89,
                            "That is 8/9. It would hold if green and the rest were equally probable before each token.",
                        ),
                    ],
                )
            },
            "Where the model is nearly certain, multiplying by eight changes little. Only undecided places can carry a mark.",
        ),
        "10.3": Reveal(
            {
                "smallest": Guess(
                    "the smallest of 1,000 p-values",
                    lambda: smallest_p(NOTE),
                    mistakes=[
                        Mistake(
                            0.5,
                            "That is an ordinary p-value of an innocent text. The smallest of 1,000 is far from ordinary.",
                        ),
                        Mistake(0.05, "About fifty of a thousand innocent p-values are below that."),
                    ],
                )
            },
            "Nobody has marked this text. The smallest of 1,000 honest p-values is often near 1 in 1,000. Search long enough, "
            "and coins look like a proof.",
        ),
    },
    exercises={"10.1": _z, "10.2": _needed, "10.3": _meaning},
)
