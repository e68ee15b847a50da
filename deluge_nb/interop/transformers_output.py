"""Read the output of Transformers' ``generate``: one row of logits or scores per step and sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..logprobs import measures
from ..logprobs.columns import Floats
from ..logprobs.table import Logprobs
from .tokenizer import TokenTexts


def sequence_table(
    sequences: Any, steps: Sequence[Any], beams: Any, choice: int, *, texts: TokenTexts, top: int
) -> Logprobs:
    """Return the table of one generated sequence.

    Parameters
    ----------
    sequences
        Token ids, shape (sequences, length), beginning with the prompt's.
    steps
        For each generated token the logits or scores, shape (sequences or beams, vocabulary).
    beams
        With beam search, the row of each step that belongs to each sequence, shape (sequences, generated), -1 past its
        end; else None.
    choice
        Index of the sequence.
    texts
        The texts of the tokens.
    top
        Number of alternatives to keep.

    Returns
    -------
    Logprobs
        One row per generated token.
    """
    rows, count = [choice] * len(steps), len(steps)
    if beams is not None:
        paths = _array(beams).astype(int)
        count = int((paths >= 0).sum(axis=1).max(initial=0))
        path = paths[choice]
        rows = path[path >= 0].tolist()
    ids = _array(sequences[choice]).astype(int)
    generated = ids[len(ids) - count :].tolist()
    if beams is None:  # beam indices already end with their sequence
        generated = _strip_padding(generated, texts)
    width = int(steps[0].shape[-1]) if len(steps) else None

    def entries() -> Iterator[dict[str, Any]]:
        for token_id, step, row in zip(generated, steps, rows, strict=False):
            logprobs = _log_softmax(_array(step[row]))
            alternatives = [_entry(other, logprobs, texts) for other in _likeliest(logprobs, top)]
            yield {**_entry(token_id, logprobs, texts), "top_logprobs": alternatives}

    return Logprobs.from_entries(entries(), vocab_size=width)


def _array(values: Any) -> Floats:
    """Convert an array or tensor to float64; tensors in half precision or on other devices need intermediate steps."""
    for step in ("detach", "float", "cpu"):
        convert = getattr(values, step, None)
        values = convert() if callable(convert) else values
    return np.asarray(values, np.float64)


def _log_softmax(row: Floats) -> Floats:
    """Return log-probabilities from logits; normalised scores stay unchanged."""
    return row - measures.log_sum_rows(row[None])[0]


def _likeliest(logprobs: Floats, top: int) -> list[int]:
    """Return the likeliest ids in order, without those that sampling excluded (-inf)."""
    if top < len(logprobs):
        ids = np.argpartition(-logprobs, top)[:top] if top else np.zeros(0, int)
    else:
        ids = np.arange(len(logprobs))
    order = ids[np.argsort(-logprobs[ids], kind="stable")]
    return order[np.isfinite(logprobs[order])].tolist()


def _strip_padding(ids: list[int], texts: TokenTexts) -> list[int]:
    """Return the ids up to the end of the sequence, without the padding to its batch's length."""
    if texts.end in ids:
        return ids[: ids.index(texts.end) + 1]
    while ids and ids[-1] == texts.padding:
        ids.pop()
    return ids


def _entry(token_id: int, logprobs: Floats, texts: TokenTexts) -> dict[str, Any]:
    text, raw = texts[token_id]
    return {"token": text, "logprob": float(logprobs[token_id]), "bytes": raw, "id": token_id}
