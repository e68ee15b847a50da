"""The tree of several answers to one prompt as rows, for the view, and as HTML and text."""

from __future__ import annotations

import heapq
import html
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ..render.assets import ROOT_CLASSES
from ..render.scale import percent
from ..text import glyphs
from ..text.counts import pluralize
from .samples import Sample, Samples

# Rows of a tree, so that ten thousand answers stay legible and cost little.
MOST_ROWS = 100
# Characters of a row's own text, and bytes and tokens that are enough for so many.
_SHORT, _SHORT_BYTES = 60, 300
_CUT = {"length": "cut off", "interrupted": "interrupted"}


class SampleRow(NamedTuple):
    """Row of the tree: an answer, a beginning, or the number of the answers that have no row.

    ``id`` is the index of an answer, and negative for others. ``shows`` is the index of the answer that is shown when
    the row is chosen; None for none. ``parent`` is the id of the row around it, None for the first one. ``share`` has
    the share, its interval and the joint probability, if it is known; it is None where all answers have part in the row
    or nothing is known of it. ``is_text`` is true if the label is
    text of the model, and false if it says why there is none.
    """

    id: int
    parent: int | None
    shows: int | None
    label: str
    is_text: bool
    note: str
    share: tuple[float, float, float, float | None] | None


def sample_rows(samples: Samples, most: int = MOST_ROWS) -> list[SampleRow]:
    """Return the rows of the tree, each before those inside it: the rows of the most answers, at most ``most``."""
    children: dict[int, list[tuple[Sample, int]]] = defaultdict(list)
    ids = {id(beginning): -1 - number for number, beginning in enumerate(samples.beginnings)}
    shows = {sample._first: index for index, sample in enumerate(samples)}
    for number, sample in [*enumerate(samples), *((ids[id(inner)], inner) for inner in samples.beginnings)]:
        if sample.parent is not None:
            children[id(sample.parent)].append((sample, number))
    root = samples.beginnings[0] if samples.beginnings else samples[0]
    # The largest rows whose parents have one.
    kept: dict[int, list[tuple[Sample, int]]] = defaultdict(list)
    queue = [(-root.count, 0.0, 0, root, ids.get(id(root), 0))]
    rows = waiting = 0
    while queue and rows < most:
        _, _, _, sample, number = heapq.heappop(queue)
        rows += 1
        if sample is not root:
            kept[id(sample.parent)].append((sample, number))
        for child, child_number in children.get(id(sample), ()):
            waiting += 1
            heapq.heappush(queue, (-child.count, _surprisal(child), waiting, child, child_number))
    result: list[SampleRow] = []
    stack: list[tuple[Sample, int, int | None] | SampleRow] = [(root, ids.get(id(root), 0), None)]
    while stack:
        entry = stack.pop()
        if isinstance(entry, SampleRow):
            result.append(entry)
            continue
        sample, number, parent = entry
        result.append(_row(samples, sample, number, parent, shows[sample._first]))
        inside = kept.get(id(sample), [])
        rest = sum(child.count for child, _ in children.get(id(sample), ())) - sum(child.count for child, _ in inside)
        if rest and inside:
            label, note = pluralize(rest, "more answer"), percent(rest / sample.total)
            stack.append(SampleRow(-1 - len(ids) - len(result), number, None, label, False, note, None))
        stack += [(child, child_number, number) for child, child_number in reversed(inside)]
    return result


def _row(samples: Samples, sample: Sample, number: int, parent: int | None, shows: int) -> SampleRow:
    ends = number >= 0
    facts = [f"{sample.count} of {sample.total}"]
    surprisal = _surprisal(sample)
    probability = None if surprisal == math.inf else math.exp(-surprisal)
    share = None
    if parent is None:
        facts = [pluralize(sample.total, "answer")]
        if len(samples) > 1:
            facts += [f"{len(samples)} different", "shares with 95 % intervals"]
    else:
        share = sample.share, sample.low, sample.high, probability
        facts.append(f"{percent(share[0])} ({percent(share[1]).removesuffix(' %')} – {percent(share[2])})")
    if probability is not None:
        shown = percent(probability)
        # Of long answers only the logarithm tells which is the likelier.
        nats = f" (−{surprisal:.2f} nats)" if shown.startswith("<") else ""
        facts.append(f"joint probability {shown}{nats}")
    if ends:
        facts += _endings(sample)
        if number in samples.repeated:
            facts.append("a text that also comes in other tokens")
    if parent is None and samples.failures:
        facts.append(samples.failures)
    return SampleRow(number, parent, shows, *_label(sample, ends=ends), " · ".join(facts), share)


def _surprisal(sample: Sample) -> float:
    """Return the negative joint log-probability (nats); infinity where it is unknown, or no token of its own has it."""
    return math.inf if sample.logprob is None or sample.stop == sample.position else -sample.logprob


def _endings(sample: Sample) -> list[str]:
    """Return how an answer ended if not by itself."""
    endings: list[str] = []
    responses = sample.responses
    for reason, words in _CUT.items():
        count = sum(response.finish_reason == reason for response in responses)
        if count:
            endings.append(words if count == len(responses) else f"{count} {words}")
    return endings


def _label(sample: Sample, *, ends: bool) -> tuple[str, bool]:
    """Return the text of a row's own tokens, cut at its end, and true; or why there is none, and false."""
    # No more tokens than there can be letters: a character has four bytes at most.
    own = sample.table[sample.position : sample.position + 4 * _SHORT]
    octets = b"".join(own.token_bytes)
    if not octets:
        if sample.stop == 0:
            return "empty answer" if ends else "no common beginning", False
        return "ends here", False
    is_cut = len(octets) > _SHORT_BYTES or len(own) < sample.stop - sample.position
    # A row may begin inside a character.
    text = octets[:_SHORT_BYTES].decode("utf-8", "replace").removesuffix("\ufffd" if is_cut else "")
    shown = glyphs.label(text.encode())
    return f"{shown[: _SHORT - 1]}…" if is_cut or len(shown) > _SHORT else shown, True


def tree_to_html(rows: Sequence[SampleRow], *, title: str, palette: str) -> str:
    """Return the tree as nested lists, which can be read without styles, too."""
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    depths = _depths(rows)
    items: list[str] = []
    for row, depth, below in zip(rows, depths, [*depths[1:], 0], strict=True):
        tag = "bdi" if row.is_text else "i"
        label = f"<{tag}>{html.escape(row.label, quote=False)}</{tag}>"
        # Lines begin with no sign.
        note = re.sub(" (?=[%–])", "\u00a0", html.escape(row.note, quote=False))
        bar = "" if row.share is None else _bar(*row.share)
        line = f'<span class="deluge-node">{bar}{label} <span class="deluge-note">{note}</span></span>'
        items.append(f"<li>{line}{'<ul>' if below > depth else '</li>'}{'</ul></li>' * max(depth - below, 0)}")
    return (
        f'<div class="{ROOT_CLASSES}" data-palette="{palette}">{heading}'
        f'<div class="deluge-tree deluge-answers"><ul>{"".join(items)}</ul></div></div>'
    )


def _bar(share: float, low: float, high: float, probability: float | None) -> str:
    """Return a bar of a share, with its interval as a paler one, and a mark at the joint probability."""
    mark = "" if probability is None else f'<span class="deluge-mark" style="left:{probability:.2%}"></span>'
    return (
        '<span class="deluge-rail deluge-share">'
        f'<span class="deluge-fill deluge-pale" style="left:{low:.2%};width:{high - low:.2%}"></span>'
        f'<span class="deluge-fill" style="width:{share:.2%}"></span>{mark}</span>'
    )


def tree_to_text(rows: Sequence[SampleRow]) -> str:
    """Return the tree as indented lines."""
    labels = [row.label if row.is_text else f"({row.label})" for row in rows]
    lines = [
        f"{'  ' * depth}{label}  {row.note}" for row, label, depth in zip(rows, labels, _depths(rows), strict=True)
    ]
    return "\n".join(lines)


def _depths(rows: Sequence[SampleRow]) -> list[int]:
    depth_of: dict[int | None, int] = {None: -1}
    for row in rows:
        depth_of[row.id] = depth_of[row.parent] + 1
    return [depth_of[row.id] for row in rows]
