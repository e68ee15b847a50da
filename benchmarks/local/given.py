"""Speed of reading a given text with the embedded model through the client, as a share of its bare server's speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deluge_nb import LLMClient

from .speed import compare_speeds, post

BEFORE = "Once upon a time"
TEXT = ", in a village between two rivers, there lived a miller who had three sons and a mill." * 6
ROUNDS = 6
BAR = 0.9


def measure(build: Path) -> dict[str, Any]:
    """Return the tokens per second of both, in interleaved rounds."""
    del build
    known = post("/tokenize", {"content": BEFORE})["tokens"]
    ids = post("/tokenize", {"content": TEXT})["tokens"]
    body = {
        "prompt": known,
        "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in ids),
        "n_predict": len(ids),
        "n_probs": 20,
        "samplers": ["temperature"],
        "temperature": 0,
        "return_tokens": True,
        "cache_prompt": True,
    }
    client = LLMClient("local")

    def through() -> int:
        return len(client.read_sync([(BEFORE, TEXT)], show_progress=False)[0].logprobs or ())

    return compare_speeds(through, lambda: len(post("/completion", body)["completion_probabilities"]), ROUNDS, BAR)
