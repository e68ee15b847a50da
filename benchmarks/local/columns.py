"""Cost of tables that are read and written by column: a whole vocabulary, and Arrow."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from deluge_nb import LLMClient, RawPrompt, SamplingParams, as_logprobs

from .speed import post_for_bytes

PLACES = ("The sky is", "Paris is", "A cat", "In summer we", "Water boils at", "The king", "One plus one is", "She saw")
VOCABULARY, TOKENS, TOP, ROUNDS = 49_152, 2_000, 20, 9
BARS = {"vocabulary_seconds": 0.1, "vocabulary_to_decode": 2.5, "arrow_seconds": 0.1, "arrow_to_dicts": 1 / 5}


class _Alternative(msgspec.Struct, gc=False):
    id: int
    token: str
    bytes: list[int]
    logprob: float


class _Token(msgspec.Struct, gc=False):
    id: int
    top_logprobs: list[_Alternative]


class _Reply(msgspec.Struct):
    completion_probabilities: list[_Token]


def measure(build: Path) -> dict[str, Any]:
    """Measure each beside its peer, in turn."""
    del build
    figures = _vocabulary() | _arrow()
    missed = [name for name, bar in BARS.items() if not figures[name] <= bar]
    return {"figures": figures, "bar": f"at most {BARS}", "missed": missed, "passed": not missed}


def _vocabulary() -> dict[str, float]:
    params = SamplingParams(logprobs=True, full_vocab=True, max_new_tokens=1, temperature=0)
    client = LLMClient("local", sampling_params=params)
    # The first reply brings the texts, which are kept.
    own, peer = [], []
    for place in PLACES:
        began = time.process_time()
        (response,) = client.process_prompts_sync([RawPrompt(place)], show_progress=False)
        own.append(time.process_time() - began)
        assert response.logprobs is not None
        assert response.logprobs.most_alternatives == VOCABULARY
        body = {"prompt": place, "n_predict": 1, "n_probs": VOCABULARY, "temperature": 0.0}
        reply = post_for_bytes("/completion", body)
        began = time.process_time()
        decoded = msgspec.json.decode(reply, type=_Reply)
        peer.append(time.process_time() - began)
        assert len(decoded.completion_probabilities[0].top_logprobs) == VOCABULARY
    client.close()
    first, seconds, decode = own[0], statistics.median(own[1:]), statistics.median(peer[1:])
    return {
        "vocabulary_first_seconds": first,
        "vocabulary_seconds": seconds,
        "decode_seconds": decode,
        "vocabulary_to_decode": seconds / decode,
    }


def _arrow() -> dict[str, float]:
    rows = [
        {
            "token": f" t{token}",
            "logprob": -0.5,
            "bytes": list(f" t{token}".encode()),
            "top_logprobs": [
                {"token": f" w{token % 500 + rank}", "logprob": -0.5 - rank, "bytes": None} for rank in range(TOP)
            ],
        }
        for token in range(TOKENS)
    ]
    table = as_logprobs(rows)
    table.to_arrow()
    own, peer = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        columns = table.to_arrow()
        own.append(time.process_time() - began)
        began = time.process_time()
        pa.Table.from_pylist(list(table), schema=columns.schema)
        peer.append(time.process_time() - began)
    seconds, from_dicts = statistics.median(own), statistics.median(peer)
    return {"arrow_seconds": seconds, "dicts_seconds": from_dicts, "arrow_to_dicts": seconds / from_dicts}
