"""Encode the responses of a comparison, and their alignment, for the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..logprobs.alignment import Alignment
from ..logprobs.table import Logprobs
from ..render.comparison import DIFFERENCE_CAP
from .codec import pack
from .packer import CHUNK, EAGER, Packer, pack_measures

# Marks of the legend of differences, in nats.
_STEPS = [("≤ −2", -2.0), ("−1", -1.0), ("0", 0.0), ("+1", 1.0), ("≥ +2", 2.0)]


def pack_responses(
    tables: Sequence[Logprobs], packers: Sequence[Packer], *, with_measures: bool = False, whole: bool = False
) -> bytes:
    """Encode all responses as one block, because not every host passes nested bytes on.

    Parameters
    ----------
    tables, packers
        The tables, and a packer for each.
    with_measures
        True to include the measures of long responses too.
    whole
        True to include the measures and all alternatives of long responses too.
    """
    blocks: dict[str, bytes] = {}
    for side, (table, packer) in enumerate(zip(tables, packers, strict=True)):
        packer.reset()
        eager = whole or len(table) <= EAGER
        blocks[f"data{side}"] = packer.tokens(table)
        packer.commit()
        blocks[f"alternatives{side}"] = packer.alternatives(table, 0, len(table) if eager else CHUNK)
        packer.commit()
        if eager or with_measures:
            blocks[f"measures{side}"] = pack_measures(table)
    return pack({}, {name: np.frombuffer(block, np.uint8) for name, block in blocks.items()})


def pack_alignment(alignment: Alignment, divergences: Sequence[dict[str, Any] | None]) -> bytes:
    """Encode the aligned tokens, their differences, and the first divergence from each other response."""
    columns: dict[str, Any] = {"common": alignment.units.common.astype(np.uint8)}
    for side, starts in enumerate(alignment.units.starts):
        columns[f"units{side}"] = starts.astype(np.uint32)
    for index, pair in enumerate(alignment.pairs):
        columns[f"a{index}"] = pair.a_start.astype(np.uint32)
        columns[f"b{index}"] = pair.b_start.astype(np.uint32)
        columns[f"common{index}"] = pair.common.astype(np.uint8)
        columns[f"difference{index}"] = pair.difference.astype(np.float32)
    return pack({"cap": DIFFERENCE_CAP, "steps": _STEPS, "partings": list(divergences)}, columns)
