"""Speed of the embedded model through the client, as a share of the speed of its bare server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deluge_nb import LLMClient, RawPrompt, SamplingParams

from .speed import compare_speeds, post

PROMPT = "Once upon a time, in a village between two rivers, there lived"
LENGTH = 160
ROUNDS = 8
BAR = 0.95


def measure(build: Path) -> dict[str, Any]:
    """Return the tokens per second of both, in interleaved rounds."""
    del build
    settings = {"temperature": 0.0, "seed": 1}
    body = {
        "prompt": PROMPT,
        "n_predict": LENGTH,
        "n_probs": 20,
        "ignore_eos": True,
        "samplers": ["temperature"],
        "return_tokens": True,
        "cache_prompt": True,
        **settings,
    }
    params = SamplingParams(
        logprobs=True, top_logprobs=20, max_new_tokens=LENGTH, extra_body={"ignore_eos": True}, **settings
    )
    client = LLMClient("local", sampling_params=params)

    def through() -> int:
        return len(client.process_prompts_sync([RawPrompt(PROMPT)], show_progress=False)[0].logprobs or ())

    return compare_speeds(through, lambda: len(post("/completion", body)["completion_probabilities"]), ROUNDS, BAR)
