"""Group several answers to one prompt by their tokens: different answers with counts, and the beginnings they share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LogprobsMissingError, SettingError
from ..extras import import_extra
from ..logprobs.table import Logprobs
from ..printable import printable
from ..prompts.prompt import Prompt, as_prompt
from ..stats.scoring.intervals import wilson_interval
from .api_response import APIResponse
from .beginnings import common_length, nested_ranges, number_tokens

if TYPE_CHECKING:
    import pandas

# Characters of an error message, or of a text, in one line about many answers.
_SHORT = 100


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """One of the different answers to a prompt that was asked several times, or a beginning that several share.

    Answers are the same if they have the same tokens. A text that was cut into tokens in two ways is two answers, each
    with the probability of its own tokens; the probability of the text is at least the sum of both.

    Parameters
    ----------
    count, total
        Number of answers that are this one, or that begin with it, and number of all answers.
    position
        Position of the first token in which it differs from its siblings: the tokens before are those of ``parent``.
    stop
        Number of its tokens, from the start of the answer.
    logprob
        Sum of the log-probabilities (nats) of its tokens from the point at which the answers part; from the start where
        all are the same, and for the beginning that all share. None where one of them is not known. The end of an
        answer has no token, so its probability is not included.
    parent
        The longest beginning that it shares with other answers; None where there is none.

    Examples
    --------
    >>> from deluge_nb import APIResponse, LogprobView, as_logprobs
    >>> def answer(*tokens):
    ...     table = as_logprobs([{"token": token, "logprob": -0.5} for token in tokens])
    ...     return APIResponse("m", completion=table.text, logprobs=table)
    >>> view = LogprobView([answer("It", " is", " red"), answer("It", " is", " blue"), answer("It", " is", " red")])
    >>> red = view.samples[0]
    >>> red.text, red.count, round(red.share, 2), round(red.low, 2), round(red.high, 2), red.logprob
    ('It is red', 2, 0.67, 0.21, 0.94, -0.5)
    >>> red.parent
    Sample('It is', 3 of 3)
    """

    count: int
    total: int
    position: int
    stop: int
    logprob: float | None
    parent: Sample | None
    _group: _Group
    _range: tuple[int, int]
    _first: int

    @property
    def share(self) -> float:
        """Share of all answers."""
        return self.count / self.total

    @property
    def low(self) -> float:
        """Lower end of the share's 95 % confidence interval (Wilson)."""
        return wilson_interval(self.count, self.total).low

    @property
    def high(self) -> float:
        """Upper end of the share's 95 % confidence interval (Wilson)."""
        return wilson_interval(self.count, self.total).high

    @property
    def responses(self) -> list[APIResponse]:
        """The responses, in the order in which they were given."""
        start, stop = self._range
        return [self._group.responses[index] for index in sorted(self._group.order[start:stop])]

    @property
    def response(self) -> APIResponse:
        """The first response; of a beginning, the first with the most common answer."""
        return self._group.responses[self._first]

    @property
    def table(self) -> Logprobs:
        """Log-probabilities of the tokens, from the start of the answer, as :attr:`response` has them."""
        return self._group.tables[self._first][: self.stop]

    @property
    def text(self) -> str:
        """Text of the tokens, from the start of the answer."""
        return self.table.text

    def __repr__(self) -> str:
        text = self.text
        return f"Sample({text if len(text) <= _SHORT else f'{text[: _SHORT - 1]}…'!r}, {self.count} of {self.total})"


class Samples(list[Sample]):
    """Different answers to one prompt, the most common first; made by :attr:`deluge_nb.LogprobView.samples`.

    Of answers that are equally common, the more probable comes first.

    Parameters
    ----------
    samples
        The different answers.
    beginnings
        The beginnings that several of them share, each before those that go on from it. The first is what all share; it
        may be empty.
    failed
        Failed responses, which are left out, by their positions among all.

    Examples
    --------
    >>> from deluge_nb import APIResponse, LogprobView, as_logprobs
    >>> table = as_logprobs([{"token": "Yes", "logprob": -0.1}])
    >>> samples = LogprobView([APIResponse("m", completion="Yes", logprobs=table)] * 3).samples
    >>> samples, samples.total
    ([Sample('Yes', 3 of 3)], 3)
    """

    def __init__(
        self, samples: Iterable[Sample], beginnings: Sequence[Sample] = (), failed: dict[int, APIResponse] | None = None
    ) -> None:
        super().__init__(samples)
        self.beginnings = list(beginnings)
        """The beginnings that several answers share, each before those that go on from it."""
        self.failed = failed or {}
        """Failed responses, which are left out, by their positions among all."""

    @property
    def total(self) -> int:
        """Number of all answers."""
        return sum(sample.count for sample in self)

    @cached_property
    def repeated(self) -> set[int]:
        """Indices of the answers whose text is that of another one, too, in other tokens."""
        texts = [b"".join(sample.table.token_bytes) for sample in self]
        counts = Counter(texts)
        return {index for index, text in enumerate(texts) if counts[text] > 1}

    @property
    def first_name(self) -> str:
        """Caption of the first answer: the most common one, or the most probable one where all are different."""
        return f"Most {'common' if self and self[0].count > 1 else 'probable'} answer"

    @property
    def failures(self) -> str:
        """The responses that are left out, in one sentence; empty if there are none."""
        if not self.failed:
            return ""
        numbers = _numbers([index + 1 for index in self.failed])
        return f"{numbers} failed and left out: {_message_of(next(iter(self.failed.values())))}"

    def to_pandas(self) -> pandas.DataFrame:
        """Return the different answers as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row per different answer: ``text``, ``count``, ``share``, ``low``, ``high``, ``logprob_nats``,
            ``tokens`` (their number) and ``position``. Group by ``text`` to add up texts in different tokens.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.

        Examples
        --------
        >>> from deluge_nb import APIResponse, LogprobView, as_logprobs
        >>> tables = [as_logprobs([{"token": token, "logprob": -0.7}]) for token in ("Yes", "No", "Yes")]
        >>> view = LogprobView([APIResponse("m", completion=table.text, logprobs=table) for table in tables])
        >>> view.samples.to_pandas()[["text", "count"]].values.tolist()
        [['Yes', 2], ['No', 1]]
        """
        pd = import_extra("pandas", "to_pandas()")
        columns = {
            "text": [sample.text for sample in self],
            **{name: [getattr(sample, name) for sample in self] for name in ("count", "share", "low", "high")},
            "logprob_nats": np.array([sample.logprob for sample in self], np.float64),
            "tokens": [sample.stop for sample in self],
            "position": [sample.position for sample in self],
        }
        return pd.DataFrame(columns)


def are_responses(value: Any) -> bool:
    """Return whether a value is a list of responses of this package."""
    return isinstance(value, list | tuple) and any(isinstance(entry, APIResponse) for entry in value)


def group_samples(responses: Sequence[Any]) -> Samples:
    """Group the answers to one prompt by their tokens.

    Parameters
    ----------
    responses
        Responses of this package. Further answers of a request with ``SamplingParams(n=…)`` are included.

    Returns
    -------
    Samples
        The different answers, the most common first.

    Raises
    ------
    LogprobsMissingError
        When an answer has no log-probabilities.
    SettingError
        When an entry is no response, all have failed, or the prompts differ.
    """
    given = _with_choices(responses)
    failed = {index: response for index, response in enumerate(given) if response.is_error}
    answers = {index: response for index, response in enumerate(given) if index not in failed}
    if not answers:
        subject = f"all {len(given)} responses" if len(given) > 1 else "the response"
        raise SettingError(
            f"There is no answer to show, as {subject} failed: {_message_of(given[0])}",
            setting="logprobs",
            value=responses,
        )
    _check_prompts(answers)
    tables = [_table_of(index, response) for index, response in answers.items()]
    return _Group(list(answers.values()), tables).samples(failed)


def _with_choices(responses: Sequence[Any]) -> list[APIResponse]:
    """Return the responses, each followed by its further answers unless these are given, too."""
    for index, response in enumerate(responses):
        if not isinstance(response, APIResponse):
            raise SettingError(
                f"logprobs[{index}] must be a response like the others, not {type(response).__name__}.",
                setting="logprobs",
                value=response,
            )
    given = {id(response) for response in responses}
    return [
        choice for response in responses for choice in response.choices if choice is response or id(choice) not in given
    ]


def _check_prompts(answers: dict[int, APIResponse]) -> None:
    first: tuple[int, Any, Prompt] | None = None
    for index, response in answers.items():
        prompt = response.prompt
        if prompt is None or (first is not None and prompt is first[1]):
            continue
        read = as_prompt(prompt)
        if first is None:
            first = index, prompt, read
        elif read != first[2]:
            raise SettingError(
                f"The responses must answer one prompt, and number {index + 1} answers another than number "
                f"{first[0] + 1}; compare different prompts with LogprobCompare.",
                setting="logprobs",
                value=prompt,
            )


def _table_of(index: int, response: APIResponse) -> Logprobs:
    if response.logprobs is not None:
        return response.logprobs
    if response.completion == "":  # a server sends no list for no tokens
        return Logprobs.from_entries([])
    reason = f": {response.note}" if response.note else "; ask for them with logprobs=True"
    raise LogprobsMissingError(f"Response {index + 1} has no log-probabilities{reason.rstrip('.')}.")


def _message_of(response: APIResponse) -> str:
    message = printable(response.error_message or "no reason was given.")
    return message if len(message) <= _SHORT else f"{message[: _SHORT - 1]}…"


def _numbers(numbers: list[int]) -> str:
    """Return the numbers of responses as text, such as ``responses 2, 5 and 7``."""
    if len(numbers) == 1:
        return f"response {numbers[0]}"
    if len(numbers) > 5:
        return f"{len(numbers)} responses"
    return f"responses {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


class _Group:
    """Answers in the order of their tokens, in which those with a common beginning are neighbours."""

    def __init__(self, responses: list[APIResponse], tables: list[Logprobs]) -> None:
        self.responses, self.tables = responses, tables
        tokens = number_tokens(tables)
        keys = [column.astype(">u4").tobytes() for column in tokens]
        self.order: list[int] = sorted(range(len(keys)), key=keys.__getitem__)
        # The different answers: where each begins in the order, and its number of tokens.
        begins = [at for at, index in enumerate(self.order) if not at or keys[index] != keys[self.order[at - 1]]]
        self._starts = [*begins, len(keys)]
        distinct = [tokens[self.order[at]] for at in begins]
        self._lengths = [len(column) for column in distinct]
        shared = [common_length(a, b) for a, b in pairwise(distinct)]
        self._ranges = nested_ranges(shared)
        self._common = self._ranges[0].stop if self._ranges else 0

    def samples(self, failed: dict[int, APIResponse]) -> Samples:
        """Return the different answers, and the beginnings that they share."""
        starts, ranges = self._starts, self._ranges
        inner = np.zeros(len(self._lengths), np.int64)
        for number, (first, last, _, _) in enumerate(ranges):
            inner[first:last] = number
        ends_inside = [bool(ranges) and ranges[at].stop == n for at, n in zip(inner, self._lengths, strict=True)]
        # Of each answer its rank: by count, by probability, and by the order in which the answers were given. Where
        # others go on, the end of an answer is a large part of its probability, and unknown.
        ranks = [
            (start - end, ends, -_total(self.tables[self.order[start]], self._common), self.order[start])
            for (start, end), ends in zip(pairwise(starts), ends_inside, strict=True)
        ]
        best = [(1, False, 0.0, 0)] * len(ranges)
        for rank, number in zip(ranks, inner.tolist() if ranges else [], strict=False):
            best[number] = min(best[number], rank)
        for number in range(len(ranges) - 1, 0, -1):
            around = ranges[number].around
            best[around] = min(best[around], best[number])
        beginnings: list[Sample] = []
        for number, (first, last, stop, around) in enumerate(ranges):
            parent = beginnings[around] if number else None
            beginnings.append(self._sample(first, last, stop, parent, best[number][3]))
        answers = [
            self._sample(number, number + 1, length, beginnings[inner[number]] if ranges else None, ranks[number][3])
            for number, length in enumerate(self._lengths)
        ]
        in_order = sorted(range(len(ranks)), key=ranks.__getitem__)
        return Samples([answers[number] for number in in_order], beginnings, failed)

    def _sample(self, first: int, last: int, stop: int, parent: Sample | None, index: int) -> Sample:
        """Return the sample of the different answers from ``first`` to ``last``, up to ``stop`` tokens."""
        position = 0 if parent is None else parent.stop
        total = _total(self.tables[index], 0 if parent is None else self._common, stop)
        logprob = None if total == -math.inf else total
        low, high = self._starts[first], self._starts[last]
        return Sample(high - low, len(self.order), position, stop, logprob, parent, self, (low, high), index)


def _total(table: Logprobs, start: int, stop: int | None = None) -> float:
    """Return the sum of the log-probabilities of some tokens; minus infinity where one is not known."""
    logprobs = table.logprob[start:stop]
    return -math.inf if np.isnan(logprobs).any() else float(logprobs.sum())
