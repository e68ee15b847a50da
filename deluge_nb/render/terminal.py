"""A table of log-probabilities as text for a terminal."""

from __future__ import annotations

import math
from typing import Any

from ..errors import SettingError
from ..interop.readers import as_logprobs
from ..logprobs.table import Logprobs
from ..text.glyphs import Fragment, fragments
from ..text.lines import display_width, wrap_lines
from .excerpt import AlternativeLabels, count_omitted, truncate
from .scale import percent

# The stylesheet's strongest colour, and the text that can be read on all of its shades.
_HEAT, _INK = (255, 154, 60), (20, 20, 20)
_FAINT = 0.1
# How many tokens are listed below a plain text.
_FEWEST = 5


def to_text(logprobs: Any, *, color: bool = False, width: int | None = None, limit: int | None = None) -> str:
    """The completion for a terminal.

    Parameters
    ----------
    logprobs
        A table, or a response that has one: see :func:`deluge_nb.as_logprobs`.
    color
        Colour the tokens with ANSI sequences; otherwise the least probable ones are listed below the text.
    width
        Break lines at so many columns, between words where there are any; by default only where the text does.
    limit
        Show at most so many tokens, and say how many more there are; all by default.

    Raises
    ------
    LogprobsMissingError
        When there is nothing to show.
    SettingError
        When an argument has a value it cannot have.
    """
    if width is not None and width < 1:
        raise SettingError(f"width must be a number of columns from 1, not {width!r}.", setting="width", value=width)
    table, rest = truncate(as_logprobs(logprobs), limit)
    probabilities = table.prob.tolist()
    lines = wrap_lines(fragments(table.token_bytes), width)
    text = "\n".join(
        "".join(ansi(one, probabilities[one.token]) if color else one.shown for one in line) for line in lines
    )
    if rest:
        text += f"\n{count_omitted(rest)}"
    return text if color else _with_least_probable(text, table, probabilities)


def ansi(fragment: Fragment, probability: float) -> str:
    """A fragment in its colour: from the terminal's own ground to orange with √(1 − p), as in the stylesheet."""
    if math.isnan(probability):
        codes = ["2", "9"]
    else:
        heat = math.sqrt(max(0.0, 1 - probability))
        codes: list[str] = []
        if heat > _FAINT:
            # Dark on orange; the terminal's own colours where the token was all but certain.
            shade = (round(255 - (255 - strongest) * heat) for strongest in _HEAT)
            codes = ["38", "2", *map(str, _INK), "48", "2", *map(str, shade)]
        if probability < 0.5:
            codes.append("4")
    return f"\x1b[{';'.join(codes)}m{fragment.shown}\x1b[0m" if codes else fragment.shown


def _with_least_probable(text: str, table: Logprobs, probabilities: list[float]) -> str:
    unsure = sorted(
        (place for place in range(len(table)) if probabilities[place] < 0.5), key=lambda place: probabilities[place]
    )[:_FEWEST]
    if not unsure:
        return text
    weighed = AlternativeLabels(table)
    names = [weighed.own(place) for place in unsure]
    width = max(map(display_width, names))
    padded = [name + " " * (width - display_width(name)) for name in names]
    rows = [
        f"  {name}  {percent(probabilities[place]):>8}  {weighed.at(place)}".rstrip()
        for name, place in zip(padded, unsure, strict=True)
    ]
    return "\n".join([text, "", f"The {len(rows)} least probable of {len(table)} tokens:", *rows])
