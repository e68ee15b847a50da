"""Every method means the same event: brute force over all tokenisations of a small random language model."""

from __future__ import annotations

import math
import random
import re
from functools import cache, lru_cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Logprobs
from deluge_nb.answers.first_token import Row, classify_rows
from deluge_nb.answers.results import Classification
from deluge_nb.stats import trie_label_probability
from deluge_nb.stats.core.validation import Alternative
from deluge_nb.stats.labels import LabelDistribution, walk_trie
from deluge_nb.text.matching import Labels

LABELS = ["1", "10", "a", "ab"]
END = "<|im_end|>"
TOKENS = ["1", "0", "10", "!", " ", "a", "b", "ab", "-", END]
# Characters; the model ends its reply at this length.
LONGEST = 3


@lru_cache(maxsize=1 << 14)
def next_tokens(seed: int, prefix: str) -> dict[str, float]:
    """The next tokens after a text, with their probabilities: the whole distribution of the model."""
    if len(prefix) >= LONGEST:
        return {END: 1.0}
    draw = random.Random(f"{seed} {prefix}")
    weights = {token: math.exp(2 * draw.gauss(0, 1)) for token in TOKENS}
    total = sum(weights.values())
    return dict(sorted(((token, weight / total) for token, weight in weights.items()), key=lambda item: -item[1]))


def answer_of(reply: str) -> str | None:
    """The answer that a whole reply begins with, by a definition of its own."""
    text = re.sub(r"^[^0-9A-Za-z]*?(?=[0-9A-Za-z])", "", reply)
    for label in sorted(LABELS, key=len, reverse=True):
        if re.match(re.escape(label) + r"(?![0-9A-Za-z])(?!-[A-Za-z])", text):
            is_negative = label.isdigit() and reply[: len(reply) - len(text)].endswith("-")
            return None if is_negative else label
    return None


@cache
def truth(seed: int) -> dict[str, float]:
    """The probability of each answer, summed over all replies that the model can give."""
    masses = dict.fromkeys(LABELS, 0.0)
    for prefix, reached in reached_texts(seed, None).items():
        if (answer := answer_of(prefix)) is not None:
            masses[answer] += reached * next_tokens(seed, prefix).get(END, 0.0)
    return masses


@cache
def begun(seed: int) -> dict[str, float]:
    """The probability that the tokens spell an answer at some point, whatever word it becomes."""
    return {
        label: sum(reached for prefix, reached in reached_texts(seed, label).items() if answer_of(prefix) == label)
        for label in LABELS
    }


def reached_texts(seed: int, stop: str | None) -> dict[str, float]:
    """The probability of reaching each text token by token, without going on from one that spells ``stop``."""
    texts: dict[str, float] = {}
    waiting = {"": 1.0}
    # Texts of equal length merge: the model looks at the text, not at its tokens.
    for length in range(LONGEST + 2):
        for prefix in [text for text in waiting if len(text) == length]:
            reached = texts[prefix] = waiting.pop(prefix)
            if stop is not None and answer_of(prefix) == stop:
                continue
            for token, p in next_tokens(seed, prefix).items():
                if token != END:
                    waiting[prefix + token] = waiting.get(prefix + token, 0.0) + reached * p
    return texts


def reply(seed: int, k: int, draw: random.Random) -> tuple[Logprobs, str]:
    """A drawn reply of at most four tokens with k alternatives, and why it ended."""
    prefix = ""
    entries: list[dict[str, Any]] = []
    for _ in range(4):
        top = next_tokens(seed, prefix)
        token = draw.choices(list(top), list(top.values()))[0]
        if token == END:
            return Logprobs.from_entries(entries), "stop"
        listed = [{"token": text, "logprob": math.log(p)} for text, p in list(top.items())[:k]]
        entries.append({"token": token, "logprob": math.log(top[token]), "bytes": None, "top_logprobs": listed})
        prefix += token
    return Logprobs.from_entries(entries), "length"


def trie(seed: int, k: int, labels: Labels) -> dict[str, list[Alternative]]:
    """The lists after every beginning that leaves answers open."""
    lists: dict[str, list[Alternative]] = {}
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        top = list(next_tokens(seed, prefix).items())[:k]
        lists[prefix] = [Alternative(token, math.log(p), None) for token, p in top]
        for token, _ in top:
            text = prefix + token
            reading = labels.read_after(prefix, token)
            if text not in lists and len(text) <= LONGEST and not reading.ended and reading.open != frozenset():
                waiting.append(text)
    return lists


# Its alternatives add up to 1.8.
BROKEN = {"token": "a", "logprob": -0.1, "top_logprobs": [{"token": t, "logprob": -0.1} for t in "ab"]}


@given(st.integers(0, 40), st.integers(1, len(TOKENS)), st.integers(0, 10**6))
def test_the_bounds_of_every_method_hold_the_sum_over_all_tokenisations(seed: int, k: int, drawn: int) -> None:
    labels, exact, spelt = Labels(LABELS), truth(seed), begun(seed)
    table, finish = reply(seed, k, random.Random(drawn))
    lists = trie(seed, k, labels)
    found: list[Classification | LabelDistribution] = [walk_trie(lists, labels, to_the_end=True)]
    if len(table):
        found.append(classify_rows([Row(None, table, labels, finish)])[0])
    for result in found:
        for label, p in exact.items():
            assert p <= result.upper[label] + 1e-9, label
            # What the lists show is settled, unless a longer list shows that it goes on to another word.
            assert result.lower[label] <= spelt[label] + 1e-9, label
        if result.decided:
            winner = result.label if isinstance(result, Classification) else result.argmax
            assert max(spelt, key=spelt.__getitem__) == winner


@given(st.integers(0, 40))
def test_a_trie_of_whole_distributions_is_exact(seed: int) -> None:
    labels, exact = Labels(LABELS), truth(seed)
    lists = trie(seed, len(TOKENS), labels)
    found = walk_trie(lists, labels, to_the_end=True)
    for label, p in exact.items():
        assert math.isclose(found.lower[label], p, abs_tol=1e-5)
        assert math.isclose(found.upper[label], p, abs_tol=1e-5)


@given(st.integers(0, 40), st.integers(1, len(TOKENS)))
def test_more_of_the_trie_never_widens_the_bounds(seed: int, k: int) -> None:
    labels = Labels(LABELS)
    nodes = {prefix: {item.token: item.logprob for item in top} for prefix, top in trie(seed, k, labels).items()}
    root = trie_label_probability({"": nodes[""]}, LABELS)
    whole = trie_label_probability(nodes, LABELS)
    for label in LABELS:
        assert root.lower[label] <= whole.upper[label] + 1e-9
        assert whole.lower[label] <= root.upper[label] + 1e-9
    assert labels.names == LABELS


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, len(TOKENS)), st.integers(0, 10**6)), max_size=6))
def test_rows_that_are_read_together_have_the_results_that_each_has_alone(drawn: list[tuple[int, int, int]]) -> None:
    labels = Labels(LABELS)
    replies = [reply(seed, k, random.Random(dice)) for seed, k, dice in drawn]
    rows = [Row(None, table, labels, finish) for table, finish in replies]
    rows.append(Row(None, Logprobs.from_entries([BROKEN]), labels, "stop"))
    alone = [classify_rows([row])[0] for row in rows]
    assert [repr(result) for result in classify_rows(rows)] == [repr(result) for result in alone]
    assert alone[-1].is_error
