"""Cost of reading an answer, against msgspec's typed decode of what a table needs: texts and numbers.

The peer leaves the bytes out, as a table may where they are those of the texts. Three cases: 64 tokens in a vocabulary
that earlier answers have filled, 64 tokens in a new one, and 10,000 tokens in a new one.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

TOKENS, TOP, WORDS = 10_000, 20, 5_000
ROUNDS = {"shared": 400, "own": 400, "long": 9}
BARS = {"shared": 2.0, "own": 3.5, "long": 1.8}


# Garbage collection is off for these types, which makes the decoder as fast as possible.
class _Alternative(msgspec.Struct, gc=False):
    token: str
    logprob: float


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float
    top_logprobs: list[_Alternative]


class _Table(msgspec.Struct):
    content: list[_Token]


class _Message(msgspec.Struct):
    role: str
    content: str


class _Choice(msgspec.Struct):
    index: int
    message: _Message
    logprobs: _Table
    finish_reason: str


class _Reply(msgspec.Struct):
    id: str
    model: str
    choices: list[_Choice]
    usage: dict[str, int]


def body(tokens: int) -> bytes:
    """Return an answer as OpenAI writes it."""
    dice = random.Random(1)
    # Frequencies as those of words: few are frequent, many are rare.
    words = [f" word{n}" if n % 7 else f" wörd{n}" for n in range(WORDS)]
    weights = [1 / (n + 5) for n in range(WORDS)]

    def entry(text: str, p: float) -> dict[str, Any]:
        return {"token": text, "logprob": math.log(p), "bytes": list(text.encode())}

    content: list[dict[str, Any]] = []
    for _ in range(tokens):
        drawn = dice.choices(words, weights, k=TOP)
        masses = sorted((dice.random() / TOP for _ in drawn), reverse=True)
        top = [entry(text, mass) for text, mass in zip(drawn, masses, strict=True)]
        content.append({**top[0], "top_logprobs": top})
    message = {"role": "assistant", "content": "".join(entry["token"] for entry in content)}
    table = {"content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": table, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
    return json.dumps({"id": "x", "model": "mock", "choices": [choice], "usage": usage}).encode()


def seconds(act: Callable[[], Any]) -> float:
    """Return the CPU seconds of one run, including the deletion of its result."""
    began = time.process_time()
    act()
    return time.process_time() - began


def measure(build: Path) -> dict[str, Any]:
    """Measure both in turn, in one process."""
    from deluge_nb import SamplingParams, prompts
    from deluge_nb.dialects import openai
    from deluge_nb.dialects.base import Ask
    from deluge_nb.logprobs.columns import Vocabulary
    from deluge_nb.models import REGISTRY

    params = SamplingParams(logprobs=True, top_logprobs=TOP)
    endpoint = REGISTRY.resolve("gpt-4o-mini").spec.endpoint

    def ours(content: bytes, vocabulary: Vocabulary) -> Any:
        ask = Ask("mock", endpoint, prompts.as_prompt("?"), params, vocabulary=vocabulary)
        return openai.parse_response(content, ask)

    def theirs(content: bytes) -> Any:
        return msgspec.json.decode(content, type=_Reply)

    short, long, shared = body(64), body(TOKENS), Vocabulary()
    table = ours(long, shared).logprobs
    assert len(table) == TOKENS
    assert table.most_alternatives == TOP
    cases = {"shared": (short, lambda: shared), "own": (short, Vocabulary), "long": (long, Vocabulary)}
    figures: dict[str, dict[str, float]] = {}
    for name, (content, vocabulary) in cases.items():
        pairs = [
            (seconds(lambda: ours(content, vocabulary())), seconds(lambda: theirs(content)))  # noqa: B023 - run at once
            for _ in range(ROUNDS[name])
        ]
        own, peer = (min(times) for times in zip(*pairs, strict=True))
        # Minima: on a busy machine the median is about the neighbours.
        figures[name] = {"deluge_nb": own, "msgspec typed": peer, "ratio": own / peer}
    return {
        "body_bytes": [len(short), len(long)],
        "seconds": figures,
        "bar": f"ratios at most {BARS}",
        "passed": all(figures[name]["ratio"] <= bar for name, bar in BARS.items()),
    }
