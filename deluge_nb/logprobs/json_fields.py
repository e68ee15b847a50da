"""Compute the probability of each value of a JSON answer, with bounds.

A value is a range of the answer's bytes, and tokens need not end where it does: one token may hold the end of a key, a
colon and the first quotation mark, another the last letter, a quotation mark and a comma. The probability is therefore
that of the text, given all text before it and summed over all tokenisations. The sampled tokens and their alternatives
determine a part of it exactly; bounds cover the rest.
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
_NUMBER_BYTES = b"0123456789+-.eE"


@dataclass(frozen=True, slots=True)
class FieldProb:
    """Probability of one value of a JSON answer.

    Parameters
    ----------
    path
        Keys and array indices that lead to the value.
    value
        Parsed value.
    text
        JSON text of the value, quotation marks included.
    probability
        Known probability of this text and its end, given all text before it: that of the sampled tokens and of
        alternatives that spell the same. NaN where a log-probability was withheld.
    lower, upper
        Bounds of the probability of this text over all tokenisations.
    tokens
        First token of the value and the one after its last, as positions in ``response.logprobs``.

    Examples
    --------
    >>> from deluge_nb import FieldProb
    >>> field = FieldProb(("items", 0, "price"), 5, "5", probability=0.5, lower=0.5, upper=0.6, tokens=(3, 4))
    >>> field.name, round(field.logprob, 3)
    ('items[0].price', -0.693)
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
        """Logarithm of the probability, in nats."""
        return math.log(self.probability) if self.probability > 0 else -math.inf if self.probability == 0 else math.nan

    @property
    def name(self) -> str:
        """Path in the notation of code: ``items[0].price``."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).removeprefix(".")


class FieldProbs(Mapping[Path, FieldProb]):
    """Values of a JSON answer by their paths, each with its probability.

    ``probs["items[0].price"]`` and ``probs["items", 0, "price"]`` are the same.

    Parameters
    ----------
    fields
        Each value by its path.

    Examples
    --------
    >>> from deluge_nb import APIResponse, Logprobs
    >>> table = Logprobs.from_entries({"token": text, "logprob": -0.5} for text in ('{"paid":', " true", "}"))
    >>> probs = APIResponse(model="my-model", completion='{"paid": true}', logprobs=table).field_probs
    >>> probs
    FieldProbs(paid: true 0.6065)
    >>> probs["paid"].value, probs["paid"].tokens
    (True, (1, 2))
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[Path, FieldProb]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, path: str | int | Path) -> FieldProb:  # type: ignore[override]
        for candidate in self._parse_path(path):
            if candidate in self._fields:
                return self._fields[candidate]
        known = ", ".join(repr(field.name) for field in list(self._fields.values())[:8])
        raise KeyError(f"no value at {path!r}; there are {known or 'none'}")

    def __iter__(self) -> Iterator[Path]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def as_tree(self) -> Any:
        """Return the probabilities in the shape of the answer.

        Returns
        -------
        dict, list or float
            Objects as dicts, arrays as lists, and a probability for each value.
        """
        if () in self._fields:
            return self._fields[()].probability
        tree: dict[str | int, Any] = {}
        for path, field in self._fields.items():
            branch = tree
            for step in path[:-1]:
                branch = branch.setdefault(step, {})
            branch[path[-1]] = field.probability
        return _with_lists(tree)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame with one row per value.

        Returns
        -------
        pandas.DataFrame
            Columns ``name``, ``value``, ``text``, ``probability``, ``lower`` and ``upper``.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        names = ("name", "value", "text", "probability", "lower", "upper")
        rows = [[getattr(field, name) for name in names] for field in self._fields.values()]
        return import_extra("pandas", "to_pandas()").DataFrame(rows, columns=list(names))

    def __repr__(self) -> str:
        parts = [
            f"{field.name or 'value'}: {_short(field.text)} {field.probability:.4g}" for field in self._fields.values()
        ]
        return f"FieldProbs({'; '.join(parts[:20])}{'; …' if len(parts) > 20 else ''})"

    @staticmethod
    def _parse_path(path: str | int | Path) -> Iterator[Path]:
        """Yield the paths that a key may mean: the key itself comes before its parts."""
        if isinstance(path, tuple):
            yield path
            return
        yield (path,)
        if isinstance(path, str):
            yield tuple(int(number) if number else name for number, name in _STEP.findall(path))


def field_probs(completion: str | None, table: Logprobs | None) -> FieldProbs:
    """Return the probability of each value of a JSON answer.

    Parameters
    ----------
    completion
        JSON, with or without a code fence.
    table
        Log-probabilities of its tokens.

    Returns
    -------
    FieldProbs
        Each value by its path.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities, or they belong to another text.
    SettingError
        When the completion is not JSON.
    """
    if table is None or completion is None:
        raise LogprobsMissingError(
            "There are no log-probabilities: ask with logprobs=True, and with top_logprobs for tighter bounds."
        )
    fenced = _FENCE.fullmatch(completion)
    before, inside = (completion[: fenced.start("inside")], fenced["inside"]) if fenced else ("", completion)
    try:
        json.loads(inside)
        data = inside.encode()
    except (ValueError, RecursionError) as error:
        raise SettingError(
            f"field_probs needs an answer in JSON, which this is not ({error}): {completion[:80]!r}.",
            setting="completion",
            value=completion,
        ) from None
    spelled = b"".join(table.token_bytes)
    start_of_completion = spelled.find(completion.encode())
    if start_of_completion < 0:
        raise LogprobsMissingError(
            "The log-probabilities belong to another text: the tokens spell "
            f"{spelled[:60].decode('utf-8', 'replace')!r} and the completion begins {completion[:60]!r}."
        )
    shift = start_of_completion + len(before.encode())
    tokens = _Tokens(table)
    fields: dict[Path, FieldProb] = {}
    for path, start, stop in _leaves(data):
        literal = data[start:stop]
        bounds = tokens.bounds(shift + start, literal, is_delimited=literal[:1] in b'"tfn')
        fields[path] = FieldProb(path, json.loads(literal), literal.decode(), *bounds)
    return FieldProbs(fields)


class _Tokens:
    """Tokens of a table by their bytes, with the probabilities of their alternatives."""

    def __init__(self, table: Logprobs) -> None:
        _, _, alternative, alternative_logprob, offsets = table.columns
        self._octets = table.token_bytes
        self._starts = np.concatenate(([0], np.cumsum([len(octets) for octets in self._octets]))).tolist()
        self._probability = table.prob
        vocabulary = table.vocabulary
        self._alternative_octets = [vocabulary.true_bytes(index) for index in alternative.tolist()]
        self._alternative_mass = np.nan_to_num(np.exp(mask_censored(alternative_logprob))).tolist()
        self._offsets = offsets.tolist()

    def bounds(self, start: int, literal: bytes, *, is_delimited: bool) -> tuple[float, float, float, tuple[int, int]]:
        """Return the known probability, its bounds and the tokens of a literal that starts at a byte.

        ``is_delimited`` is True if the literal marks its own end. A number does not: it ends where something else
        follows.
        """
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        before = self._octets[first][: start - self._starts[first]]
        target = _Target(before=before, literal=literal, is_delimited=is_delimited)
        stop = start + len(literal) + (not is_delimited)
        last = first
        while last < len(self._octets) and self._starts[last] < stop:
            last += 1
        # Backwards from the last token: at each position, the bounds are those of the target given the tokens before.
        lower, upper, is_exact = 1.0, 1.0, True
        for position in range(last - 1, first - 1, -1):
            written = b"".join(self._octets[first:position])
            sampled = float(self._probability[position])
            reached, undecided, tail = self._alternative_masses(position, written, target)
            if math.isnan(sampled):
                lower, upper, is_exact = 0.0, 1.0, False
                continue
            lower = sampled * lower + reached
            upper = min(1.0, sampled * upper + reached + undecided + tail)
        sampled = float(self._probability[first])
        if target.before and math.isnan(sampled):
            lower, upper = 0.0, 1.0
        elif target.before:
            # The first token holds a part of the text before the literal, on which the probability is conditional.
            # Undecided mass may belong to this condition alone, so its largest probability divides both bounds.
            reached, undecided, tail = self._alternative_masses(first, b"", target.condition())
            largest = min(1.0, sampled + reached + undecided + tail)
            lower, upper = (lower / largest, upper / largest) if largest > 0 else (0.0, 1.0)
        lower, upper = min(1.0, lower), min(1.0, upper)
        return lower if is_exact else math.nan, lower, upper, (first, last)

    def _alternative_masses(self, position: int, written: bytes, target: _Target) -> tuple[float, float, float]:
        """Return the mass of alternatives that reach the target, of those that may yet, and of unlisted tokens."""
        reached = undecided = listed = 0.0
        octets_sampled = self._octets[position]
        sampled = float(self._probability[position])
        is_sampled_listed = False
        for entry in range(self._offsets[position], self._offsets[position + 1]):
            octets, mass = self._alternative_octets[entry], self._alternative_mass[entry]
            if not is_sampled_listed and octets == octets_sampled:
                is_sampled_listed = True
                continue
            listed += mass
            is_reached = target.is_reached(written + octets)
            if is_reached is None:
                undecided += mass
            elif is_reached:
                reached += mass
        return reached, undecided, max(0.0, 1.0 - listed - (0.0 if math.isnan(sampled) else sampled))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Literal of unknown probability, with the bytes that its first token has before it."""

    before: bytes
    literal: bytes
    is_delimited: bool

    def condition(self) -> _Target:
        """Return the target of the bytes before the literal alone."""
        return _Target(before=b"", literal=self.before, is_delimited=True)

    def is_reached(self, written: bytes) -> bool | None:
        """Return True if the bytes so far reach the target, False if they cannot, None if that is undecided."""
        text = self.before + self.literal
        if len(written) < len(text) or (len(written) == len(text) and not self.is_delimited):
            return None if text.startswith(written) else False
        return written.startswith(text) and (self.is_delimited or written[len(text)] not in _NUMBER_BYTES)


def _leaves(data: bytes) -> Iterator[tuple[Path, int, int]]:
    """Yield the path, start and end of each value of valid JSON that is neither an object nor an array."""
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
    """Skip a key and its colon, and put the key into the path. An empty object has none."""
    while data[at] in _SPACE:
        at += 1
    if data[at : at + 1] == b"}":
        return at
    stop = _end_of(data, at)
    path[-1] = json.loads(data[at:stop])
    return data.index(b":", stop) + 1


def _end_of(data: bytes, at: int) -> int:
    """Return the offset after a string, a number or a word that starts at a byte."""
    if data[at : at + 1] != b'"':
        while at < len(data) and data[at] not in b',]}: \t\n\r"':
            at += 1
        return at
    at += 1
    while data[at : at + 1] != b'"':
        at += 2 if data[at : at + 1] == b"\\" else 1
    return at + 1


def _with_lists(tree: dict[str | int, Any]) -> Any:
    """Return a tree with lists for dicts whose keys are array indices."""
    children = {step: _with_lists(child) if isinstance(child, dict) else child for step, child in tree.items()}
    if children and all(isinstance(step, int) for step in children):
        return [children.get(index) for index in range(max(map(int, children)) + 1)]
    return children


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"


__all__ = ["FieldProb", "FieldProbs", "field_probs"]
