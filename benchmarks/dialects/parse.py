"""Cost of reading an answer: 10,000 tokens with 20 alternatives, against msgspec's typed decode of the body."""

from __future__ import annotations

import json
import math
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

ROUNDS, TOKENS, TOP, WORDS = 9, 10_000, 20, 5_000
BAR = 1.3


# Garbage collection is off for these types, which makes the decoder as fast as possible.
class _Alternative(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: list[int]


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: list[int]
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


def body() -> bytes:
    """Return an answer as OpenAI writes it."""
    dice = random.Random(1)
    # Frequencies as those of words: few are frequent, many are rare.
    words = [f" word{n}" if n % 7 else f" wörd{n}" for n in range(WORDS)]
    weights = [1 / (n + 5) for n in range(WORDS)]

    def entry(text: str, p: float) -> dict[str, Any]:
        return {"token": text, "logprob": math.log(p), "bytes": list(text.encode())}

    content: list[dict[str, Any]] = []
    for _ in range(TOKENS):
        drawn = dice.choices(words, weights, k=TOP)
        masses = sorted((dice.random() / TOP for _ in drawn), reverse=True)
        top = [entry(text, mass) for text, mass in zip(drawn, masses, strict=True)]
        content.append({**top[0], "top_logprobs": top})
    message = {"role": "assistant", "content": "".join(entry["token"] for entry in content)}
    table = {"content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": table, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": TOKENS, "total_tokens": TOKENS + 9}
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

    content = body()
    params = SamplingParams(logprobs=True, top_logprobs=TOP)
    endpoint = REGISTRY.resolve("gpt-4o-mini").spec.endpoint

    def ours() -> Any:
        ask = Ask("mock", endpoint, prompts.as_prompt("?"), params, vocabulary=Vocabulary())
        return openai.parse_response(content, ask)

    def theirs() -> Any:
        return msgspec.json.decode(content, type=_Reply)

    table = ours().logprobs
    assert len(table) == TOKENS
    assert table.most_alternatives == TOP
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / other for mine, other in pairs)
    return {
        "body_bytes": len(content),
        "seconds": {"deluge_nb": min(own for own, _ in pairs), "msgspec typed": min(peer for _, peer in pairs)},
        "ratio": ratio,
        "bar": f"ratio at most {BAR}",
        "passed": ratio <= BAR,
    }
