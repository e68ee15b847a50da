"""Write counts for people: ``1 token``, ``2 tokens``."""

from __future__ import annotations


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun, in the singular for 1.

    Parameters
    ----------
    count
        Number of things, from 0.
    noun
        Singular of a noun whose plural is formed with an s.

    Returns
    -------
    str
        The count and the noun.

    Examples
    --------
    >>> from deluge_nb.text.counts import pluralize
    >>> pluralize(1, "token"), pluralize(5, "token")
    ('1 token', '5 tokens')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
