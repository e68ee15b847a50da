"""How probable each value of an answer in JSON was, and between which bounds.

A value is a stretch of the answer's bytes, and tokens need not end where it does: one may hold the end of a key, a
colon and the first quotation mark, another the last letter, a quotation mark and a comma. What is asked here is
therefore the probability of the text, whichever tokens it is made of, given all text before it. Of that, the tokens
that were drawn and the alternatives beside them tell a part, exactly; the rest lies between bounds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LogprobsMissingError, SettingError
from ..extras import import_extra
from .measures import mask_censored
from .table import Logprobs

if TYPE_CHECKING:
    import pandas

Path = tuple[str | int, ...]

_FENCE = re.compile(r"\s*```\w*\n(?P<inside>.*?)\n?```\s*", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")
_SPACE = b" \t\n\r"
_OF_NUMBERS = b"0123456789+-.eE"


@dataclass(frozen=True, slots=True)
class FieldProb:
    """The probability of one value of an answer in JSON.

    Parameters
    ----------
    path
        Keys and positions that lead to it.
    value
        The value.
    text
        As it was written, quotation marks included.
    probability
        Of this text and its end, given all text before it: the part that is known, which is that of the tokens drawn
        and of alternatives that spell the same. NaN where a log-probability was withheld.
    lower, upper
        Between which the whole of it lies, whichever tokens this text might be made of.
    tokens
        The first of its tokens and the one after its last, as positions in ``response.logprobs``.
    """

    path: Path
    value: Any
    text: str
    probability: float
    lower: float
    upper: float
    tokens: tuple[int, int]

    @property
    def logprob(self) -> float:
        """The logarithm of the probability, in nats."""
        return math.log(self.probability) if self.probability > 0 else -math.inf if self.probability == 0 else math.nan

    @property
    def name(self) -> str:
        """The path as it is written in code: ``items[0].price``."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).removeprefix(".")


class FieldProbs(Mapping[Path, FieldProb]):
    """The values of an answer in JSON by their paths, each with its probability.

    ``probs["items[0].price"]`` and ``probs["items", 0, "price"]`` are the same.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[Path, FieldProb]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, path: str | int | Path) -> FieldProb:  # type: ignore[override]
        for tried in self._readings(path):
            if tried in self._fields:
                return self._fields[tried]
        known = ", ".join(repr(one.name) for one in list(self._fields.values())[:8])
        raise KeyError(f"no value at {path!r}; there are {known or 'none'}")

    def __iter__(self) -> Iterator[Path]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def as_tree(self) -> Any:
        """The probabilities in the shape of the answer: objects as dicts, arrays as lists."""
        tree: dict[str | int, Any] = {}
        for path, found in self._fields.items():
            branch = tree
            for step in path[:-1]:
                branch = branch.setdefault(step, {})
            branch[path[-1] if path else ""] = found.probability
        return _listed(tree) if () not in self._fields else self._fields[()].probability

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame with one row for each value: its name, value, text, probability and bounds.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        names = ("name", "value", "text", "probability", "lower", "upper")
        rows = [[getattr(one, name) for name in names] for one in self._fields.values()]
        return import_extra("pandas", "to_pandas()").DataFrame(rows, columns=list(names))

    def __repr__(self) -> str:
        shown = [f"{one.name or 'value'}: {_short(one.text)} {one.probability:.4g}" for one in self._fields.values()]
        return f"FieldProbs({'; '.join(shown[:20])}{'; …' if len(shown) > 20 else ''})"

    @staticmethod
    def _readings(path: str | int | Path) -> Iterator[Path]:
        if isinstance(path, tuple):
            yield path
            return
        yield (path,)
        if isinstance(path, str):
            yield tuple(int(number) if number else name for number, name in _STEP.findall(path))


def field_probs(completion: str | None, table: Logprobs | None) -> FieldProbs:
    """How probable each value of an answer in JSON was.

    Parameters
    ----------
    completion
        JSON, in a fence or without one.
    table
        The log-probabilities of its tokens.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities, or they are not those of this text.
    SettingError
        When the completion is no JSON.
    """
    if table is None or completion is None:
        raise LogprobsMissingError(
            "There are no log-probabilities to take from: ask with logprobs=True, and top_logprobs for closer bounds."
        )
    fenced = _FENCE.fullmatch(completion)
    before, inside = (completion[: fenced.start("inside")], fenced["inside"]) if fenced else ("", completion)
    try:
        json.loads(inside)
        data = inside.encode()
    except (ValueError, RecursionError) as error:
        raise SettingError(
            f"field_probs is for answers in JSON, which this is not ({error}): {completion[:80]!r}.",
            setting="completion",
            value=completion,
        ) from None
    written = b"".join(table.token_bytes)
    at = written.find(completion.encode())
    if at < 0:
        raise LogprobsMissingError(
            "The log-probabilities are not those of the completion's text: the tokens spell "
            f"{written[:60].decode('utf-8', 'replace')!r} and the completion begins {completion[:60]!r}."
        )
    shift = at + len(before.encode())
    rows = _Rows(table)
    found: dict[Path, FieldProb] = {}
    for path, start, stop in _leaves(data):
        literal = data[start:stop]
        bounds = rows.of(shift + start, literal, ends=literal[:1] in b'"tfn')
        found[path] = FieldProb(path, json.loads(literal), literal.decode(), *bounds)
    return FieldProbs(found)


class _Rows:
    """A table's tokens by the bytes they hold."""

    def __init__(self, table: Logprobs) -> None:
        _, _, weighed, others, offsets = table.columns
        self._octets = table.token_bytes
        self._starts = np.concatenate(([0], np.cumsum([len(octets) for octets in self._octets]))).tolist()
        self._probability = table.prob
        vocabulary = table.vocabulary
        self._weighed = [vocabulary.true_bytes(index) for index in weighed.tolist()]
        self._others = np.nan_to_num(np.exp(mask_censored(others))).tolist()
        self._offsets = offsets.tolist()

    def of(self, start: int, literal: bytes, *, ends: bool) -> tuple[float, float, float, tuple[int, int]]:
        """Probability, bounds and tokens of a literal that starts at a byte.

        ``ends`` says that the literal itself tells where it ends; a number is over where something else follows.
        """
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        before = self._octets[first][: start - self._starts[first]]
        target = _Target(before=before, literal=literal, ends=ends)
        stop = start + len(literal) + (not ends)
        last = first
        while last < len(self._octets) and self._starts[last] < stop:
            last += 1
        # What has been written, seen from the first token, when each of them is drawn.
        lower, upper, exact = 1.0, 1.0, True
        for place in range(last - 1, first - 1, -1):
            written = b"".join(self._octets[first:place])
            own = float(self._probability[place])
            sure, maybe, tail = self._beside(place, written, target)
            if math.isnan(own):
                lower, upper, exact = 0.0, 1.0, False
                continue
            lower = own * lower + sure
            upper = min(1.0, own * upper + sure + maybe + tail)
        own = float(self._probability[first])
        if target.before and math.isnan(own):
            lower, upper = 0.0, 1.0
        elif target.before:
            # Given the text before it, of which the first token has a part. What is open belongs to both, or to what
            # is given alone: the largest divisor holds for both bounds.
            sure, maybe, tail = self._beside(first, b"", target.lead())
            most = min(1.0, own + sure + maybe + tail)
            lower, upper = (lower / most, upper / most) if most > 0 else (0.0, 1.0)
        lower, upper = min(1.0, lower), min(1.0, upper)
        return lower if exact else math.nan, lower, upper, (first, last)

    def _beside(self, place: int, written: bytes, target: _Target) -> tuple[float, float, float]:
        """Mass beside the token drawn that makes the target true, that may, and that nothing is known of."""
        sure = maybe = listed = 0.0
        drawn = self._octets[place]
        own = float(self._probability[place])
        seen = False
        for at in range(self._offsets[place], self._offsets[place + 1]):
            octets, mass = self._weighed[at], self._others[at]
            if not seen and octets == drawn:
                seen = True
                continue
            listed += mass
            verdict = target.reached(written + octets)
            if verdict is None:
                maybe += mass
            elif verdict:
                sure += mass
        return sure, maybe, max(0.0, 1.0 - listed - (0.0 if math.isnan(own) else own))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The text whose probability is asked for, with what its first token has before it."""

    before: bytes
    literal: bytes
    ends: bool

    def lead(self) -> _Target:
        """Only what is before it."""
        return _Target(before=b"", literal=self.before, ends=True)

    def reached(self, written: bytes) -> bool | None:
        """Whether what is written so far makes it true or false; None where that is open."""
        wanted = self.before + self.literal
        if len(written) < len(wanted) or (len(written) == len(wanted) and not self.ends):
            return None if wanted.startswith(written) else False
        return written.startswith(wanted) and (self.ends or written[len(wanted)] not in _OF_NUMBERS)


def _leaves(data: bytes) -> Iterator[tuple[Path, int, int]]:
    """The path, start and end of each value of valid JSON that holds no others."""
    path: list[str | int] = []
    closers: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        byte = data[at : at + 1]
        if byte in (b"{", b"["):
            closers.append(byte)
            path.append(0)
            at += 1
            if byte == b"{":
                at = _key(data, at, path)
            continue
        if byte in (b"}", b"]"):
            closers.pop()
            path.pop()
            at += 1
        elif byte == b",":
            at += 1
            if closers[-1] == b"{":
                at = _key(data, at, path)
            else:
                path[-1] = int(path[-1]) + 1
        elif byte in (b" ", b"\t", b"\n", b"\r"):
            at += 1
        else:
            stop = _end_of(data, at)
            yield tuple(path), at, stop
            at = stop


def _key(data: bytes, at: int, path: list[str | int]) -> int:
    """Read a key and its colon; an empty object has none."""
    while data[at] in _SPACE:
        at += 1
    if data[at : at + 1] == b"}":
        return at
    stop = _end_of(data, at)
    path[-1] = json.loads(data[at:stop])
    return data.index(b":", stop) + 1


def _end_of(data: bytes, at: int) -> int:
    """Where a string, a number or a word ends."""
    if data[at : at + 1] != b'"':
        while at < len(data) and data[at] not in b',]}: \t\n\r"':
            at += 1
        return at
    at += 1
    while data[at : at + 1] != b'"':
        at += 2 if data[at : at + 1] == b"\\" else 1
    return at + 1


def _listed(tree: dict[str | int, Any]) -> Any:
    """Branches with positions for keys as lists."""
    grown = {step: _listed(one) if isinstance(one, dict) else one for step, one in tree.items()}
    if grown and all(isinstance(step, int) for step in grown):
        return [grown.get(place) for place in range(max(map(int, grown)) + 1)]
    return grown


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"


__all__ = ["FieldProb", "FieldProbs", "field_probs"]
