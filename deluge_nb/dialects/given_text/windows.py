"""Overlapping windows, in which a text is read that does not fit the context of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...text.counts import pluralize

Window = tuple[list[int], list[int]]
"""Tokens that are given, and the tokens after them whose log-probabilities are read."""


def token_windows(lead: Sequence[int], before: Sequence[int], text: Sequence[int], size: int) -> Iterator[Window]:
    """Yield the windows of a text; each token is read once, and after the first window after half a window or more.

    A prompt that is too long keeps as much of its end as fits beside the text, and half a window at least.

    Parameters
    ----------
    lead
        Tokens that stand at the beginning of every text, such as a BOS token.
    before, text
        The tokens before the text, with ``lead``, and those of the text.
    size
        Most tokens of a window.
    """
    if len(before) + len(text) <= size:
        yield list(before), list(text)
        return
    half = (size + 1) // 2
    everything = [*before, *text]
    position, room = len(before), max(half, size - len(text))
    while True:
        known = everything[:position]
        if position > room:
            known = [*lead, *known[position - room + len(lead) :]]
        stop = position + max(size - len(known), 1)
        yield known, everything[position:stop]
        position, room = stop, half
        if position >= len(everything):
            return


def window_note(windows: Sequence[Window], before: int, size: int) -> str | None:
    """Return the note on a text that was read in several windows, or after a part of its prompt; else None.

    Parameters
    ----------
    windows
        The windows.
    before
        Number of tokens of the prompt.
    size
        Tokens that the context holds.
    """
    first = len(windows[0][0])
    notes = [] if first == before else [cut_note(first)]
    if len(windows) > 1:
        least = min(len(known) for known, _ in windows[1:])
        texts = (pluralize(count, "token") for count in (size, size - least, least))
        notes.append(windows_note(len(windows), *texts))
    return "; ".join(notes) or None


def cut_note(tokens: int) -> str:
    """Return the note on a prompt of which only so many tokens at the end stood before the text."""
    return f"of the prompt, the last {pluralize(tokens, 'token')} were given: the whole does not fit the context"


def windows_note(count: int, size: str, stride: str, least: str) -> str:
    """Return the note on a text that was read in several windows.

    Parameters
    ----------
    count
        Number of windows.
    size, stride
        Length of a window, and the distance between two windows, with their unit.
    least
        What each row after the first window is at least conditioned on.
    """
    return (
        f"read in {count} overlapping windows of {size} with a stride of {stride}: each row after the first window is "
        f"conditioned on at least the {least} before it, not on all of the text"
    )
