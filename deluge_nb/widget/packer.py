"""Tables of log-probabilities as blocks for the browser, whole or as they grow.

What is per token is as little as can be, for a completion may have a million: which text, and its log-probability.
Texts are per distinct token. What is measured of the alternatives, and these themselves, go in blocks of their own.
"""

from __future__ import annotations

import codecs
import secrets
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..logprobs.columns import Vocabulary
from ..logprobs.measures import mask_censored
from ..logprobs.table import Logprobs
from ..render.scale import SCALES
from ..text.glyphs import EMPTY, PARTIAL, Shape, is_plain, label, shapes_of
from .codec import pack

_BREAKS, _MARKED = 1, 2
# Tokens whose alternatives travel together.
CHUNK = 4096
# What is measured, and the alternatives, travel with so many tokens; of more only the first chunk's alternatives do,
# and the rest is sent when it is asked for.
EAGER = 4 * CHUNK
_NO_ID = -1


class Packer:
    """Packs one completion, whole or as it grows: texts that were sent are not sent again.

    A label is a place in the list of distinct tokens. Those of the same bytes share one; those that only look alike do
    not, so that labels tell tokens apart.
    """

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        """Which completion this is: what was packed by another packer does not go on from here."""
        self._distinct: dict[bytes, int] = {}
        self._extra: dict[str, int] = {}
        # Of each text: its bytes, its id, and whether it is a token (and not what torn ones amount to).
        self._known: list[tuple[bytes, int, bool]] = []
        self._kept = 0
        self._vocabulary: Vocabulary | None = None
        self._labels = np.zeros(0, np.int32)
        self._torn = np.zeros(0, np.bool_)

    def commit(self) -> None:
        """Note that the browser has what was packed so far: later blocks do not repeat its texts."""
        self._kept = len(self._known)

    def reset(self) -> None:
        """Pack all texts again, for a browser that may have none of them."""
        self._kept = 0

    def tokens(self, table: Logprobs, first: int = 0) -> bytes:
        """What is drawn of the tokens from `first` on; log-probabilities as float32, nats, NaN where not told.

        ``sources``, ``labels`` and ``stretches`` describe the texts of ``places``: what they stand for and, unless they
        are plain, how they are called by themselves and what is drawn of them. ``odd`` are tokens whose text is not
        that of their label, because they end or begin inside a character.
        """
        chosen = table[first:].chosen
        self._enter(table.vocabulary, chosen)
        labels = self._labels[chosen]
        odd, odd_texts = self._torn_texts(table, first, labels)
        texts, columns = self._texts(self._kept, None)
        return pack(
            {
                "epoch": self.epoch,
                "first": first,
                "count": len(table),
                "chunk": CHUNK,
                "vocabSize": table.vocab_size,
                "scales": {name: scale.sent() for name, scale in SCALES.items()},
                **texts,
            },
            {
                **columns,
                "labelAt": _narrow(labels),
                "logprob": table[first:].logprob.astype(np.float32),
                "odd": np.array(odd, np.uint32),
                "oddText": np.array(odd_texts, np.uint32),
            },
        )

    def alternatives(self, table: Logprobs, first: int, last: int) -> bytes:
        """What was weighed at the tokens from `first` to before `last`: how many at each, labels, log-probabilities."""
        _, _, alternative, logprob, offsets = table[first:last].columns
        self._enter(table.vocabulary, alternative)
        labels = self._labels[alternative]
        texts, columns = self._texts(self._kept, labels)
        return pack(
            {"first": first, "last": last, **texts},
            {
                **columns,
                "counts": _narrow(np.diff(offsets)),
                "labelAt": _narrow(labels),
                "logprob": mask_censored(logprob).astype(np.float32),
            },
        )

    def safe_start(self, table: Logprobs, grown_from: int) -> int:
        """From where a table that has grown must be packed again: a character may have been completed."""
        stop, size = grown_from, 64
        # From the end, where it nearly always is found at once: tables grow by a few tokens, and often.
        while stop > 0:
            start = max(0, stop - size)
            chosen = table[start:stop].chosen
            self._enter(table.vocabulary, chosen)
            labels = self._labels[chosen]
            whole = np.flatnonzero(~self._torn[labels] & ~self._nothing(labels))
            if len(whole):
                return start + int(whole[-1]) + 1
            stop, size = start, 4 * size
        return 0

    def _enter(self, vocabulary: Vocabulary, used: NDArray[np.integer]) -> None:
        """Give labels to the tokens that have none yet."""
        if self._vocabulary is not vocabulary:
            self._vocabulary = vocabulary
            self._labels = np.zeros(0, np.int32)
        size = len(vocabulary)
        if len(self._labels) < size:
            self._labels = np.concatenate((self._labels, np.full(size - len(self._labels), -1, np.int32)))
        before = len(self._known)
        for index in np.unique(used[self._labels[used] < 0]).tolist():
            octets = vocabulary.true_bytes(index)
            place = self._distinct.get(octets)
            if place is None:
                place = self._distinct[octets] = len(self._known)
                token_id = vocabulary.ids[index]
                self._known.append((octets, _NO_ID if token_id is None else token_id, True))
            self._labels[index] = place
        if before < len(self._known):
            torn = [not octets.isascii() and _text_of(octets) is None for octets, _, _ in self._known[before:]]
            self._torn = np.concatenate((self._torn, torn))

    def _nothing(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which tokens have no bytes."""
        return labels == self._distinct.get(b"", -1)

    def _torn_texts(self, table: Logprobs, first: int, labels: NDArray[np.integer]) -> tuple[list[int], list[int]]:
        """Tokens that are no text by themselves: a character is drawn where it is complete, marks stand before it."""
        torn = np.flatnonzero(self._torn[labels])
        if not len(torn):
            return [], []
        # A token of no bytes may stand between the halves.
        between = np.cumsum(~self._torn[labels] & ~self._nothing(labels))[torn]
        starts = np.flatnonzero(np.diff(between, prepend=-1) > 0).tolist()
        texts: list[int] = []
        for start, stop in pairwise([*starts, len(torn)]):
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            run = torn[start:stop].tolist()
            for place in run:
                octets = self._known[int(labels[place])][0]
                text = decoder.decode(octets, final=place == run[-1])
                if text not in self._extra:
                    self._extra[text] = len(self._known)
                    self._known.append((text.encode(), _NO_ID, False))
                    self._torn = np.append(self._torn, False)
                texts.append(self._extra[text])
        return (torn + first).tolist(), texts

    def _texts(self, kept: int, used: NDArray[np.integer] | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The texts that a block must bring: those used, or all, past the ones that the browser keeps."""
        if used is None:
            places = range(kept, len(self._known))
        else:
            wanted = np.zeros(len(self._known), np.bool_)
            wanted[used] = True
            wanted[:kept] = False
            places = np.flatnonzero(wanted).tolist()
        labels: dict[int, str] = {}
        sources: list[str] = []
        ids: list[int] = []
        stretches: dict[int, list[tuple[str, str, int]]] = {}
        for place in places:
            octets, token_id, is_token = self._known[place]
            ids.append(token_id)
            if is_plain(octets):
                sources.append(octets.decode())
                continue
            source = _text_of(octets) or ""
            sources.append(source)
            labels[place] = label(octets)
            if not source:  # half a character, which is drawn with its other half, or nothing
                stretches[place] = [(EMPTY if is_token and not octets else PARTIAL, "", _MARKED)]
                continue
            shapes = shapes_of(source)
            if shapes != [(source, source, False, False)]:
                stretches[place] = [_flagged(shape) for shape in shapes]
        columns = {"places": np.array(places, np.uint32), "ids": np.array(ids, np.int32)}
        return {"labels": labels, "sources": sources, "stretches": stretches}, columns


def _flagged(shape: Shape) -> tuple[str, str, int]:
    shown, copied, breaks, marked = shape
    return shown, copied, _BREAKS * breaks | _MARKED * marked


def _text_of(octets: bytes) -> str | None:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _narrow(column: NDArray[np.integer]) -> NDArray[np.integer]:
    """As uint16 where that is wide enough."""
    return column.astype(np.uint16 if column.max(initial=0) < 1 << 16 else np.uint32)


def pack_measures(table: Logprobs, first: int = 0) -> bytes:
    """What is measured of the alternatives of the tokens from `first` on; NaN where nothing is known.

    Entropies in bits; ``margin`` and ``tail`` are probabilities, ``rank`` 0 where there are no alternatives.
    """
    part = table[first:]
    bounds = part.entropy_bounds(base=2)
    return pack(
        {"first": first},
        {
            "entropy": bounds.lower.astype(np.float32),
            "entropyMost": bounds.upper.astype(np.float32),
            "margin": part.margin().astype(np.float32),
            "tail": np.clip(1 - part.top_mass(), 0, 1).astype(np.float32),
            "rank": np.nan_to_num(part.rank()).astype(np.uint32),
            "listed": part.is_listed.astype(np.uint8),
        },
    )
