"""Render a table of log-probabilities as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..text.counts import pluralize
from ..text.glyphs import Fragment, fragments, without_marks
from ..text.lines import display_width, wrap_lines
from .arguments import check_columns
from .colors import RGB
from .excerpt import NO_TOKEN, AlternativeLabels, before_fragments, check_before, count_omitted, short_answer, truncate
from .scale import percent

HOT: RGB = (255, 154, 60)
"""Strongest colour of the stylesheet."""
COOL: RGB = (94, 162, 245)
"""Strongest colour of what is likelier than something else."""
# A text colour that is legible on all of their shades.
_INK: RGB = (20, 20, 20)
# Heat below which a token keeps the terminal's own colours.
_FAINT = 0.1
_GREY = "\x1b[90m"
# Tokens that are listed below plain text.
_LEAST_PROBABLE = 5
# Columns of a bar of 100 %, and the parts of a column.
_RAIL = 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def to_text(
    logprobs: Any,
    *,
    before: str | None = None,
    color: bool = False,
    width: int | None = None,
    limit: int | None = None,
) -> str:
    """Return the completion as text for a terminal.

    White space has no marks, so that the text selected there is the completion. Control and direction characters are
    signs, such as ``␛``, because terminals act on them. Below up to three tokens stand their percents, below a single
    one the five likeliest as bars.

    Parameters
    ----------
    logprobs
        Table, or a response with log-probabilities: see :func:`deluge_nb.as_logprobs`.
    before
        Text that came before the tokens, such as the prompt: its end stands before them, in grey with ``color``. None:
        what the response or table knows of it; ``""`` shows none.
    color
        Colour the tokens with ANSI sequences. Otherwise the least probable tokens are listed below the text.
    width
        Columns at which lines are wrapped, between words if possible; by default lines end only where the text has a
        line break.
    limit
        Largest number of tokens to show; a note counts the omitted ones. All by default.

    Returns
    -------
    str
        One or more lines.

    Raises
    ------
    LogprobsMissingError
        When there are no log-probabilities.
    SettingError
        When an argument has an invalid value.

    Examples
    --------
    >>> from deluge_nb import to_text
    >>> top = [{"token": " Rome", "logprob": -0.2}, {"token": " Milan", "logprob": -2.5}]
    >>> print(to_text([{"token": "In", "logprob": -0.1}, {"token": " Milan", "logprob": -2.5, "top_logprobs": top}]))
    In Milan
    <BLANKLINE>
      In        90.5 %
      ·Milan     8.2 %  ·Rome 81.9 %
    >>> print(to_text([{"token": " Milan", "logprob": -2.5, "top_logprobs": top}]))
     Milan
    <BLANKLINE>
      ·Rome     81.9 %  ███████████████████▋
      ·Milan     8.2 %  ██
    """
    if width is not None:
        check_columns(width, 1)
    lead = before_fragments(check_before(before, logprobs))
    whole = as_logprobs(logprobs)
    table, rest = truncate(whole, limit)
    short = short_answer(whole, table)
    probabilities = table.prob.tolist()
    lines = wrap_lines([*lead, *map(without_marks, fragments(table.token_bytes))], width)
    draw = _in_colors if color else _without_colors
    text = "\n".join(draw(line, probabilities) for line in lines)
    if rest:
        text += f"\n{count_omitted(rest)}"
    if short.bars:
        return "\n".join([text, "", *_bars(short.bars)])
    if short.percents:
        return "\n".join([text, "", *_rows(table, range(len(table)))])
    return text if color else _with_least_probable(text, table, probabilities)


def _without_colors(line: list[Fragment], _: list[float]) -> str:
    return "".join(part.shown for part in line)


def _in_colors(line: list[Fragment], probabilities: list[float]) -> str:
    tokens = [part for part in line if part.token != NO_TOKEN]
    lead = "".join(part.shown for part in line[: len(line) - len(tokens)])
    grey = f"{_GREY}{lead}\x1b[0m" if lead else ""
    return grey + "".join(ansi(part, probabilities[part.token]) for part in tokens)


def ansi(fragment: Fragment, probability: float) -> str:
    """Return a fragment in its colour: from the terminal's background to orange with √(1 − p), as in the stylesheet."""
    if math.isnan(probability):
        codes = ["2", "9"]
    else:
        codes = shade(math.sqrt(max(0.0, 1 - probability)), HOT)
        if probability < 0.5:
            codes.append("4")
    return paint(fragment.shown, codes)


def shade(heat: float, strongest: RGB) -> list[str]:
    """Return the ANSI codes of dark text on a colour; none for a faint one, which keeps the terminal's own colours.

    Parameters
    ----------
    heat
        Strength of the colour, from 0 to 1.
    strongest
        The colour for 1.
    """
    if not heat > _FAINT:
        return []
    mixed = (round(255 - (255 - value) * heat) for value in strongest)
    return ["38", "2", *map(str, _INK), "48", "2", *map(str, mixed)]


def paint(text: str, codes: Sequence[str]) -> str:
    """Return a text between ANSI codes; as it is if there are none."""
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes and text else text


def _with_least_probable(text: str, table: Logprobs, probabilities: list[float]) -> str:
    """Add a list of the least probable tokens, of those below 50 %."""
    unsure = [position for position in range(len(table)) if probabilities[position] < 0.5]
    unsure = sorted(unsure, key=lambda position: probabilities[position])[:_LEAST_PROBABLE]
    if not unsure:
        return text
    count = f"{len(unsure)} " if len(unsure) > 1 else ""
    head = f"The {count}least probable of {pluralize(len(table), 'token')}:"
    return "\n".join([text, "", head, *_rows(table, unsure)])


def _rows(table: Logprobs, positions: Sequence[int]) -> list[str]:
    """Return a line for each of some tokens, with its percent and its first alternatives."""
    labels, probabilities = AlternativeLabels(table), table.prob.tolist()
    names = _padded([labels.chosen(position) for position in positions])
    return [
        f"  {name}  {percent(probabilities[position]):>8}  {labels.alternatives(position)}".rstrip()
        for name, position in zip(names, positions, strict=True)
    ]


def _bars(bars: Sequence[tuple[str, float, bool]]) -> list[str]:
    """Return a line for each of the likeliest tokens in place of a single one, with its percent and a bar."""
    names = _padded([label for label, _, _ in bars])
    return [
        f"  {name}  {percent(probability):>8}  {_bar(probability)}".rstrip()
        for name, (_, probability, _) in zip(names, bars, strict=True)
    ]


def _bar(probability: float) -> str:
    columns, eighths = divmod(max(1, round(8 * _RAIL * min(probability, 1))), 8)
    return "█" * columns + _EIGHTHS[eighths].strip()


def _padded(names: Sequence[str]) -> list[str]:
    width = max(map(display_width, names))
    return [name + " " * (width - display_width(name)) for name in names]
