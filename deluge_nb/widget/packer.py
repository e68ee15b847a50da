"""Encode a table of log-probabilities as blocks for the browser, whole or as it grows.

A completion may have a million tokens, so a block has only two numbers per token: the label of its text, and its
log-probability. Texts are stored once per distinct token. Alternatives and measures have blocks of their own.
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
from ..text.glyphs import EMPTY, PARTIAL, Shape, is_plain, label, token_shapes
from .codec import pack

_BREAKS, _MARKED = 1, 2
# The number of tokens whose alternatives are sent in one block.
CHUNK = 4096
# Up to so many tokens, measures and alternatives are sent with the tokens. A longer table is sent with the alternatives
# of its first chunk only; the browser requests the rest when it needs them.
EAGER = 4 * CHUNK
_NO_ID = -1


class Packer:
    """Encoder of one completion, whole or as it grows; it does not repeat texts that the browser has.

    A label is an index into the list of distinct texts. Tokens of the same bytes share a label; tokens that only look
    alike do not, so labels identify tokens.
    """

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        """The identity of the completion: blocks of different epochs do not continue each other."""
        self._label_of_bytes: dict[bytes, int] = {}
        self._label_of_text: dict[str, int] = {}
        # Of each text its bytes, its id, and True if it is a token (False if several torn tokens make it up).
        self._known: list[tuple[bytes, int, bool]] = []
        self._committed = 0
        self._vocabulary: Vocabulary | None = None
        self._labels = np.zeros(0, np.int32)
        self._torn = np.zeros(0, np.bool_)

    def commit(self) -> None:
        """Record that the browser has the texts packed so far: later blocks do not repeat them."""
        self._committed = len(self._known)

    def reset(self) -> None:
        """Pack all texts again, for a browser that may have none of them."""
        self._committed = 0

    def tokens(self, table: Logprobs, first: int = 0) -> bytes:
        """Return the block of the tokens from ``first`` on; log-probabilities are float32, nats, NaN if unknown.

        ``sources``, ``labels`` and ``stretches`` describe the texts of ``places``: the text itself and, unless it is
        plain, its label in a card and the pieces to draw. ``odd`` lists tokens with a text other than that of their
        label, because they end or begin inside a character.
        """
        chosen = table[first:].chosen
        self._add_labels(table.vocabulary, chosen)
        labels = self._labels[chosen]
        odd, odd_texts = self._torn_texts(first, labels)
        texts, columns = self._new_texts(None)
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
        """Return the block of the alternatives of the tokens from ``first`` to before ``last``."""
        _, _, alternative, logprob, offsets = table[first:last].columns
        self._add_labels(table.vocabulary, alternative)
        labels = self._labels[alternative]
        texts, columns = self._new_texts(labels)
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
        """Return the position from which a grown table must be packed again: new tokens may complete a character."""
        stop, size = grown_from, 64
        # Search from the end, because the last token is nearly always whole, and tables grow often by few tokens.
        while stop > 0:
            start = max(0, stop - size)
            chosen = table[start:stop].chosen
            self._add_labels(table.vocabulary, chosen)
            labels = self._labels[chosen]
            whole = np.flatnonzero(~self._torn[labels] & ~self._is_empty(labels))
            if len(whole):
                return start + int(whole[-1]) + 1
            stop, size = start, 4 * size
        return 0

    def _add_labels(self, vocabulary: Vocabulary, used: NDArray[np.integer]) -> None:
        """Assign labels to the used tokens that have none."""
        if self._vocabulary is not vocabulary:
            self._vocabulary = vocabulary
            self._labels = np.zeros(0, np.int32)
        size = len(vocabulary)
        if len(self._labels) < size:
            self._labels = np.concatenate((self._labels, np.full(size - len(self._labels), -1, np.int32)))
        before = len(self._known)
        for index in np.unique(used[self._labels[used] < 0]).tolist():
            octets = vocabulary.true_bytes(index)
            text_label = self._label_of_bytes.get(octets)
            if text_label is None:
                text_label = self._label_of_bytes[octets] = len(self._known)
                token_id = vocabulary.ids[index]
                self._known.append((octets, _NO_ID if token_id is None else token_id, True))
            self._labels[index] = text_label
        if before < len(self._known):
            torn = [not octets.isascii() and _text_of(octets) is None for octets, _, _ in self._known[before:]]
            self._torn = np.concatenate((self._torn, torn))

    def _is_empty(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return True for each token without bytes."""
        return labels == self._label_of_bytes.get(b"", -1)

    def _torn_texts(self, first: int, labels: NDArray[np.integer]) -> tuple[list[int], list[int]]:
        """Return the positions of tokens that hold part of a character, and the labels of the texts to draw there.

        The character is drawn at the token that completes it, and marks at the tokens before.
        """
        torn = np.flatnonzero(self._torn[labels])
        if not len(torn):
            return [], []
        # Do not count empty tokens: one may stand between the parts of a character.
        between = np.cumsum(~self._torn[labels] & ~self._is_empty(labels))[torn]
        starts = np.flatnonzero(np.diff(between, prepend=-1) > 0).tolist()
        texts: list[int] = []
        for start, stop in pairwise([*starts, len(torn)]):
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            run = torn[start:stop].tolist()
            for row in run:
                octets = self._known[int(labels[row])][0]
                text = decoder.decode(octets, final=row == run[-1])
                if text not in self._label_of_text:
                    self._label_of_text[text] = len(self._known)
                    self._known.append((text.encode(), _NO_ID, False))
                    self._torn = np.append(self._torn, False)
                texts.append(self._label_of_text[text])
        return (torn + first).tolist(), texts

    def _new_texts(self, used: NDArray[np.integer] | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the texts a block must bring: those with ``used`` labels, or all, except the committed ones."""
        if used is None:
            new = range(self._committed, len(self._known))
        else:
            is_new = np.zeros(len(self._known), np.bool_)
            is_new[used] = True
            is_new[: self._committed] = False
            new = np.flatnonzero(is_new).tolist()
        labels: dict[int, str] = {}
        sources: list[str] = []
        ids: list[int] = []
        stretches: dict[int, list[tuple[str, str, int]]] = {}
        for index in new:
            octets, token_id, is_token = self._known[index]
            ids.append(token_id)
            if is_plain(octets):
                sources.append(octets.decode())
                continue
            source = _text_of(octets) or ""
            sources.append(source)
            labels[index] = label(octets)
            if not source:  # Part of a character, which is drawn at another token, or nothing.
                stretches[index] = [(EMPTY if is_token and not octets else PARTIAL, "", _MARKED)]
                continue
            shapes = token_shapes(source)
            if shapes != [(source, source, False, False)]:
                stretches[index] = [_with_flags(shape) for shape in shapes]
        columns = {"places": np.array(new, np.uint32), "ids": np.array(ids, np.int32)}
        return {"labels": labels, "sources": sources, "stretches": stretches}, columns


def _with_flags(shape: Shape) -> tuple[str, str, int]:
    drawn, copied, breaks, marked = shape
    return drawn, copied, _BREAKS * breaks | _MARKED * marked


def _text_of(octets: bytes) -> str | None:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _narrow(column: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the column as uint16 if that is wide enough, else as uint32."""
    return column.astype(np.uint16 if column.max(initial=0) < 1 << 16 else np.uint32)


def pack_measures(table: Logprobs, first: int = 0) -> bytes:
    """Return the block of measures of the tokens from ``first`` on; NaN if nothing is known of a token.

    Entropies are in bits, ``margin`` and ``tail`` are probabilities, and ``rank`` is 0 without alternatives.
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
