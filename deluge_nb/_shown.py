"""How much of a table is shown, and the checks that all that show one share."""

from __future__ import annotations

from ._scale import COLOR_BY
from .errors import SettingError
from .logprobs.table import Logprobs


def limited(table: Logprobs, limit: int | None) -> tuple[Logprobs, int]:
    """The first tokens of a table, and how many more it has."""
    if limit is not None and limit < 0:
        raise SettingError(f"limit must be a number of tokens from 0, not {limit!r}.", setting="limit", value=limit)
    if limit is None or len(table) <= limit:
        return table, 0
    return table[:limit], len(table) - limit


def left_out(rest: int) -> str:
    """What is said of tokens that are not shown; nothing where there are none."""
    return f"… {rest} more token{'s' * (rest != 1)}" if rest else ""


def check_color_by(color_by: object) -> None:
    """Raise a :class:`SettingError` when no colour can say that."""
    if color_by not in COLOR_BY:
        raise SettingError(
            f"color_by must be one of {', '.join(COLOR_BY)}, not {color_by!r}.", setting="color_by", value=color_by
        )
