"""The comparison of one row for the browser, without a widget: not every host lets a message create widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from ..logprobs.alignment import Alignment
from ..logprobs.table import Logprobs
from ..render.comparison import default_color, summary
from ..widget.compare import LogprobCompare
from ..widget.compare_codec import pack_aligned, pack_parts, replies
from ..widget.fallback import own_names
from ..widget.packer import Packer
from ..widget.table_sync import with_small_vocabulary


class RowState:
    """Traits of the comparison of one row, and answers to requests of the browser.

    Parameters
    ----------
    tables
        The tables of its answers, by the names of their variants.
    """

    def __init__(self, tables: Mapping[str, Logprobs]) -> None:
        self._aligned = Alignment([with_small_vocabulary(table) for table in tables.values()])
        self._packers = [Packer() for _ in tables]
        sides = range(len(tables))
        self.traits: dict[str, Any] = {
            "names": list(tables),
            "summaries": [summary(self._aligned, side) for side in sides],
            "color_by": default_color(self._aligned),
        }

    @cached_property
    def alignment(self) -> bytes:
        """The block of the alignment."""
        return pack_aligned(self._aligned)

    def parts(self, *, whole: bool = False) -> dict[str, bytes]:
        """Return the blocks of the responses; all of them, also if they are long, for a page without a kernel."""
        return pack_parts(self._aligned.tables, self._packers, whole=whole)

    def replies(self, content: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the answers to a request of the browser, each with its block."""
        return replies(self._aligned.tables, self._packers, content)


def shared_traits() -> dict[str, Any]:
    """Return the settings of a new comparison, as JSON."""
    traits = LogprobCompare.class_traits(sync=True)
    defaults = {name: traits[name].default() for name in own_names(LogprobCompare)}
    return {name: value for name, value in defaults.items() if not isinstance(value, bytes)}
