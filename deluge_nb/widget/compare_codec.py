"""Responses that are compared as bytes for the browser, and what of them belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..logprobs.alignment import Alignment
from ..logprobs.table import Logprobs
from ..render.comparison import DIFFERENCE_CAP
from .codec import pack
from .packer import CHUNK, EAGER, Packer, pack_measures

# What the legend of differences names, nats.
_STEPS = [("≤ −2", -2.0), ("−1", -1.0), ("0", 0.0), ("+1", 1.0), ("≥ +2", 2.0)]


def pack_responses(
    tables: Sequence[Logprobs], packers: Sequence[Packer], *, measured: bool = False, whole: bool = False
) -> bytes:
    """The blocks of all responses in one: nested bytes do not reach every host.

    ``measured`` is whether what is measured of the alternatives comes with long responses too, ``whole`` whether that
    and all their alternatives do.
    """
    blocks: dict[str, bytes] = {}
    for side, (table, packer) in enumerate(zip(tables, packers, strict=True)):
        packer.reset()
        eager = whole or len(table) <= EAGER
        blocks[f"data{side}"] = packer.tokens(table)
        packer.commit()
        blocks[f"alternatives{side}"] = packer.alternatives(table, 0, len(table) if eager else CHUNK)
        packer.commit()
        if eager or measured:
            blocks[f"measures{side}"] = pack_measures(table)
    return pack({}, {name: np.frombuffer(block, np.uint8) for name, block in blocks.items()})


def pack_alignment(compared: Alignment, partings: Sequence[dict[str, Any] | None]) -> bytes:
    """Which tokens belong together, how they differ, and where the first response parts with each other one."""
    columns: dict[str, Any] = {"common": compared.units.common.astype(np.uint8)}
    for side, starts in enumerate(compared.units.starts):
        columns[f"units{side}"] = starts.astype(np.uint32)
    for at, pair in enumerate(compared.pairs):
        columns[f"a{at}"] = pair.a_start.astype(np.uint32)
        columns[f"b{at}"] = pair.b_start.astype(np.uint32)
        columns[f"common{at}"] = pair.common.astype(np.uint8)
        columns[f"difference{at}"] = pair.difference.astype(np.float32)
    return pack({"cap": DIFFERENCE_CAP, "steps": _STEPS, "partings": list(partings)}, columns)
