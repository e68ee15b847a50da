"""Confidence intervals of a share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from ...errors import invalid_argument
from ...extras import import_extra
from ..core.records import Ends
from ..core.validation import between, count


@dataclass(frozen=True, slots=True, eq=False)
class Interval(Ends):
    """The ends of a confidence interval; ``low, high = interval`` unpacks them."""

    low: float
    high: float


def wilson_interval(k: int, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's confidence interval of a share: good for small numbers, and close to its level on average.

    Parameters
    ----------
    k, n
        The share is k of n.
    level
        The confidence level, between 0 and 1.

    Returns
    -------
    Interval
        Bounds from 0 to 1.

    Raises
    ------
    ValueError
        If k is not from 0 to n, n is less than 1, or the level is not between 0 and 1.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Examples
    --------
    >>> from deluge_nb.stats import wilson_interval
    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    hits, total, z = _read_share(k, n, level)
    share = hits / total
    spread = z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return Interval(0.0 if hits == 0 else max(centre - half, 0.0), 1.0 if hits == total else min(centre + half, 1.0))


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Return the Clopper-Pearson confidence interval of a share: never below its level, so rather wide. Needs SciPy.

    Parameters
    ----------
    k, n
        The share is k of n.
    level
        The confidence level, between 0 and 1.

    Returns
    -------
    Interval
        Bounds from 0 to 1.

    Raises
    ------
    MissingDependencyError
        If SciPy is not installed.
    ValueError
        If k is not from 0 to n, n is less than 1, or the level is not between 0 and 1.

    References
    ----------
    C. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.

    Examples
    --------
    >>> from deluge_nb.stats import clopper_pearson
    >>> interval = clopper_pearson(9, 10)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.555, 0.997)
    """
    hits, total, _ = _read_share(k, n, level)
    special = import_extra("scipy.special", "clopper_pearson")
    rest = (1 - level) / 2
    return Interval(
        0.0 if hits == 0 else float(special.betaincinv(hits, total - hits + 1, rest)),
        1.0 if hits == total else float(special.betainccinv(hits + 1, total - hits, rest)),
    )


def _read_share(k: int, n: int, level: float) -> tuple[int, int, float]:
    total = count(n, "n", 1)
    hits = count(k, "k")
    if hits > total:
        raise invalid_argument("k", k, f"at most n, {total}")
    return hits, total, normal_quantile(level)


def normal_quantile(level: float) -> float:
    """Return the number of standard deviations around the mean that hold this share of a normal distribution."""
    return NormalDist().inv_cdf(1 - (1 - between(level, "level", 0, 1, ends=False)) / 2)
