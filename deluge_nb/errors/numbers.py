"""Exceptions of log-probabilities that are missing, or that are none."""

from __future__ import annotations

from .base import DelugeError


class LogprobsMissingError(DelugeError, ValueError):
    """Missing log-probabilities: a computation needs them and the response has none.

    Attributes
    ----------
    position : int or None
        Index of the token that has none, or None if the whole response has none.

    Examples
    --------
    >>> from deluge_nb import LogprobsMissingError, extract_prob
    >>> try:
    ...     extract_prob("yes", None)
    ... except LogprobsMissingError as error:
    ...     print(error.position)
    None
    """

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class LogprobError(DelugeError, ValueError):
    """Number that is no log-probability, or list of log-probabilities that is not consistent.

    Attributes
    ----------
    position : int or None
        Index in the list.
    token : str or None
        Text of the token.
    value : object
        The invalid number.

    Examples
    --------
    >>> from deluge_nb import LogprobError
    >>> from deluge_nb.stats import surprisal
    >>> try:
    ...     surprisal(0.5)
    ... except LogprobError as error:
    ...     print(error.position, error.value)
    0 0.5
    """

    def __init__(
        self, message: str, *, position: int | None = None, token: str | None = None, value: object = None
    ) -> None:
        super().__init__(message)
        self.position = position
        self.token = token
        self.value = value


class ProbabilityMassError(LogprobError):
    """Sum of probabilities above 1, or below 1 where the distribution should be complete.

    Attributes
    ----------
    position, token, value
        As in :class:`LogprobError`; ``value`` is the sum.

    Examples
    --------
    >>> import math
    >>> from deluge_nb import ProbabilityMassError
    >>> from deluge_nb.stats import entropy_bounds
    >>> try:
    ...     entropy_bounds([math.log(0.7), math.log(0.6)])
    ... except ProbabilityMassError as error:
    ...     print(round(error.value, 6))
    1.3
    """


class InconsistentTopKError(LogprobError):
    """List that cannot hold the likeliest tokens of a vocabulary of this size.

    The remaining probability does not fit into the tokens that are not listed, because none of them can be likelier
    than the last one of the list.

    Attributes
    ----------
    position, token, value
        As in :class:`LogprobError`; ``value`` is the probability that the list leaves out.

    Examples
    --------
    >>> import math
    >>> from deluge_nb import InconsistentTopKError
    >>> from deluge_nb.stats import entropy_bounds
    >>> try:
    ...     entropy_bounds([math.log(0.5), math.log(0.1)], vocab_size=3)
    ... except InconsistentTopKError as error:
    ...     print(round(error.value, 6))
    0.4
    """
