"""The distributions that Transformers' ``generate`` returns: one row of logits or scores per step and sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..logprobs import measures
from ..logprobs.columns import Floats
from ..logprobs.table import Logprobs
from .tokenizer import TokenTexts


def table_of(
    sequences: Any, steps: Sequence[Any], beams: Any, choice: int, *, pieces: TokenTexts, top: int
) -> Logprobs:
    """The table of one sequence.

    Parameters
    ----------
    sequences
        Token ids, (sequences, length), the prompt's first.
    steps
        Per generated token an array (sequences or beams, vocabulary) of logits or of scores.
    beams
        With beam search, which row of each step belongs to which sequence, (sequences, generated), -1 past its end;
        else None.
    choice
        Which sequence.
    pieces
        The texts of the tokens.
    top
        How many alternatives to keep.
    """
    rows, count = [choice] * len(steps), len(steps)
    if beams is not None:
        paths = _array(beams).astype(int)
        count = int((paths >= 0).sum(axis=1).max(initial=0))
        path = paths[choice]
        rows = path[path >= 0].tolist()
    ids = _array(sequences[choice]).astype(int)
    generated = ids[len(ids) - count :].tolist()
    if beams is None:  # which tell by themselves where a sequence ends
        generated = _until_end(generated, pieces)
    width = int(steps[0].shape[-1]) if len(steps) else None

    def entries() -> Iterator[dict[str, Any]]:
        for token_id, step, row in zip(generated, steps, rows, strict=False):
            logprobs = _normalised(_array(step[row]))
            listed = [_entry(one, logprobs, pieces) for one in _likeliest(logprobs, top)]
            yield {**_entry(token_id, logprobs, pieces), "top_logprobs": listed}

    return Logprobs.from_entries(entries(), vocab_size=width)


def _array(values: Any) -> Floats:
    """A row as float64, whatever holds it: half precision and other devices have no direct way."""
    for step in ("detach", "float", "cpu"):
        convert = getattr(values, step, None)
        values = convert() if callable(convert) else values
    return np.asarray(values, np.float64)


def _normalised(row: Floats) -> Floats:
    """Log-probabilities from logits; those that are normalised already stay as they are."""
    return row - measures.log_sum_rows(row[None])[0]


def _likeliest(logprobs: Floats, top: int) -> list[int]:
    """The ids with the highest log-probabilities, in order, without those that a sampler has ruled out."""
    if top < len(logprobs):
        found = np.argpartition(-logprobs, top)[:top] if top else np.zeros(0, int)
    else:
        found = np.arange(len(logprobs))
    order = found[np.argsort(-logprobs[found], kind="stable")]
    return order[np.isfinite(logprobs[order])].tolist()


def _until_end(ids: list[int], pieces: TokenTexts) -> list[int]:
    """The ids without what fills a shorter sequence up to its batch's length."""
    if pieces.end in ids:
        return ids[: ids.index(pieces.end) + 1]
    while ids and ids[-1] == pieces.padding:
        ids.pop()
    return ids


def _entry(token_id: int, logprobs: Floats, pieces: TokenTexts) -> dict[str, Any]:
    text, raw = pieces[token_id]
    return {"token": text, "logprob": float(logprobs[token_id]), "bytes": raw, "id": token_id}
