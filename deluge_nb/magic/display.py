"""Forms in which IPython displays responses and tables of log-probabilities."""

from __future__ import annotations

from typing import Any

from ..logprobs.table import Logprobs
from ..printable import printable
from ..response import APIResponse
from ..widget.fallback import display_with_fallback, require_kernel
from ..widget.view import LogprobView

Bundle = dict[str, Any]


class Responses(list[APIResponse]):
    """The responses of a cell that asked for several, which the cell has displayed already."""


def response_bundle(response: APIResponse, **_: Any) -> Bundle:
    """Return the MIME bundle of a response: its tokens, or without log-probabilities its text or error."""
    if response.logprobs is not None:
        return table_bundle(response)
    text = response.error_message if response.is_error else response.completion or ""
    parts = (text, response.note and f"({response.note})")
    return {"text/plain": printable("\n".join(part for part in parts if part))}


def table_bundle(table: Logprobs | APIResponse, **_: Any) -> Bundle:
    """Return the MIME bundle of a table of log-probabilities, or of a response that has one."""
    return LogprobView(table)._repr_mimebundle_()


def show_table(table: Logprobs | APIResponse) -> None:
    """Display a table, or a response that has one, as a :class:`deluge_nb.LogprobView`."""
    require_kernel()
    display_with_fallback(LogprobView(table))
