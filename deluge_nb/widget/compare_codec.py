"""Encode the responses of a comparison, and their alignment, for the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..logprobs.alignment import Alignment
from ..logprobs.table import Logprobs
from ..render.comparison import DIFFERENCE_CAP
from .codec import pack
from .divergence import first_divergence
from .packer import CHUNK, EAGER, Packer, pack_measures

# Marks of the legend of differences, in nats.
_STEPS = [("≤ −2", -2.0), ("−1", -1.0), ("0", 0.0), ("+1", 1.0), ("≥ +2", 2.0)]


def pack_responses(tables: Sequence[Logprobs], packers: Sequence[Packer], **options: bool) -> bytes:
    """Encode all responses as one block, because not every host passes nested bytes on.

    Parameters
    ----------
    tables, packers
        The tables, and a packer for each.
    **options
        As for :func:`pack_parts`.
    """
    return join_parts(pack_parts(tables, packers, **options))


def pack_parts(
    tables: Sequence[Logprobs], packers: Sequence[Packer], *, with_measures: bool = False, whole: bool = False
) -> dict[str, bytes]:
    """Encode each response as a block of tokens, one of alternatives and, unless it is long, one of measures.

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
    return blocks


def join_parts(blocks: Mapping[str, bytes]) -> bytes:
    """Encode blocks as one."""
    return pack({}, {name: np.frombuffer(block, np.uint8) for name, block in blocks.items()})


def pack_aligned(alignment: Alignment) -> bytes:
    """Encode the aligned tokens, their differences, and the first divergence from each other response."""
    firsts = [first_divergence(alignment, other) for other in range(1, len(alignment.tables))]
    divergences = [
        None
        if first is None
        else {"span": first.span, "js": None if first.divergence is None else float(first.divergence.js_lower)}
        for first in firsts
    ]
    columns: dict[str, Any] = {"common": alignment.units.common.astype(np.uint8)}
    for side, starts in enumerate(alignment.units.starts):
        columns[f"units{side}"] = starts.astype(np.uint32)
    for index, pair in enumerate(alignment.pairs):
        columns[f"a{index}"] = pair.a_start.astype(np.uint32)
        columns[f"b{index}"] = pair.b_start.astype(np.uint32)
        columns[f"common{index}"] = pair.common.astype(np.uint8)
        columns[f"difference{index}"] = pair.difference.astype(np.float32)
    return pack({"cap": DIFFERENCE_CAP, "steps": _STEPS, "partings": divergences}, columns)


def replies(
    tables: Sequence[Logprobs], packers: Sequence[Packer], content: Any
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the answers to a request of the browser, each with its block; none to one that has another form."""
    if not isinstance(content, dict):
        return
    side, chunk = content.get("side"), content.get("chunk")
    if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side < len(tables):
        return
    table = tables[side]
    if isinstance(chunk, int) and not isinstance(chunk, bool) and 0 <= chunk * CHUNK < len(table):
        last = min((chunk + 1) * CHUNK, len(table))
        yield (
            {"parts": ["alternatives"], "side": side},
            packers[side].alternatives(table, chunk * CHUNK, last),
        )
    if content.get("measures") is True:
        yield {"parts": ["measures"], "side": side}, pack_measures(table)
