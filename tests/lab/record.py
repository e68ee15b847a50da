"""Ask the embedded model for everything that is recorded again: ``python -m tests.lab.record``, some twenty minutes."""

from __future__ import annotations

import json
import re
from typing import Any

from deluge_nb import LLMClient, RawPrompt, SamplingParams
from deluge_nb.client.client import client_for
from deluge_nb.lab import recording
from deluge_nb.lab.lessons.finale_watermark import MARKED, UNMARKED, write_marked
from deluge_nb.lab.quiz.betting import option_logprobs
from deluge_nb.lab.quiz.recordings import FOLDER, SETS, recorded_texts, write_recording

LENGTH = 80
"""Tokens of a text with or without a watermark."""


def write_likelihoods() -> None:
    """Write the likelihoods of all options of all questions."""
    with client_for("local") as client:
        for name in SETS:
            questions = recording(name).questions
            # Six digits are more than two processors agree on.
            rows = [[round(logprob, 6) for logprob in row] for row in option_logprobs(questions, client)]
            write_recording(name, questions, rows)


def watermark_texts(length: int = LENGTH) -> dict[str, Any]:
    """Return the recording of the finale about a watermark, with texts of another length if wanted."""
    recorded = recorded_texts("finale_watermark")
    begins, temperature = recorded["begins"], recorded["temperature"]
    marked = [write_marked(length, begin=begin, seed=seed) for seed, begin in enumerate(begins)]
    settings = SamplingParams(logprobs=True, temperature=temperature, max_new_tokens=length, seed=1)
    return {**recorded, MARKED: marked, UNMARKED: [response.logprobs.tokens for response in _drawn(begins, settings)]}


def author_texts() -> dict[str, Any]:
    """Return the recording of the finale about authors: each of the model's ends is cut after its first sentence."""
    recorded = recorded_texts("finale_author")
    settings = SamplingParams(temperature=1.0, max_new_tokens=40, seed=recorded["seed"])
    ends = [response.completion for response in _drawn(recorded["begins"], settings)]
    return {**recorded, "model": [re.split(r"(?<=[.!?])", end)[0] for end in ends]}


def _drawn(begins: list[str], settings: SamplingParams) -> list[Any]:
    client = LLMClient("local", sampling_params=settings)
    return client.process_prompts_sync([RawPrompt(begin) for begin in begins], show_progress=False)


def main() -> None:
    write_likelihoods()
    for lesson, texts in (("finale_watermark", watermark_texts()), ("finale_author", author_texts())):
        (FOLDER / f"{lesson}.json").write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
