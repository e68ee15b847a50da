"""Register the magic, its completions, its hint, and the display of responses and tables with a shell."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from IPython.core.inputtransformer2 import TransformerManager

from ..logprobs.table import Logprobs
from ..response import APIResponse
from .display import Responses, print_responses, response_bundle, responses_bundle, show_table, table_bundle
from .magics import DelugeMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_BUNDLES: tuple[tuple[type, Callable[..., dict[str, Any]]], ...] = (
    (APIResponse, response_bundle),
    (Responses, responses_bundle),
    (Logprobs, table_bundle),
)
# What stands above a line with the magic. A cell that begins with a magic for cells is that one's own.
_ABOVE = re.compile(r"(?!\s*%%(?!deluge\b))(.*?)^[ \t]*(?=%%deluge\b)", re.DOTALL | re.MULTILINE)
_HINT = "__import__('deluge_nb.magic.line').magic.line.below_others({!r})\n"


def load(shell: InteractiveShell) -> None:
    """Register everything with a shell; a second time has no effect."""
    if _registered(shell) is not None:
        return
    magics = DelugeMagics(shell)
    shell.register_magics(magics)
    parts: Any = shell
    parts.events.register("pre_run_cell", magics.cells.begin)
    parts.events.register("post_run_cell", magics.cells.end)
    parts.Completer.custom_matchers.append(magics.matcher)
    parts.input_transformers_cleanup.insert(0, explain_place)
    formatter = parts.display_formatter
    for kind, bundle in _BUNDLES:
        formatter.mimebundle_formatter.for_type(kind, bundle)
    for kind in (APIResponse, Responses):
        formatter.ipython_display_formatter.for_type(kind, magics.show_value)
    formatter.ipython_display_formatter.for_type(Logprobs, show_table)
    formatter.formatters["text/plain"].for_type(Responses, print_responses)


def unload(shell: InteractiveShell) -> None:
    """Remove everything that :func:`load` registered."""
    magics = _registered(shell)
    if magics is None:
        return
    parts: Any = shell
    manager, formatter = parts.magics_manager, parts.display_formatter
    manager.registry.pop(DelugeMagics.__name__, None)
    for kind in ("line", "cell"):
        manager.magics[kind].pop("deluge", None)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    parts.events.unregister("pre_run_cell", magics.cells.begin)
    parts.events.unregister("post_run_cell", magics.cells.end)
    parts.Completer.custom_matchers.remove(magics.matcher)
    parts.input_transformers_cleanup.remove(explain_place)
    for shown, _ in _BUNDLES:
        formatter.mimebundle_formatter.type_printers.pop(shown, None)
    for shown in (APIResponse, Responses, Logprobs):
        formatter.ipython_display_formatter.type_printers.pop(shown, None)
    formatter.formatters["text/plain"].type_printers.pop(Responses, None)


def explain_place(lines: list[str]) -> list[str]:
    """Return the lines of a cell; where others stand above the magic, a line that says so in their place.

    IPython takes such a magic for one of a line, and says that it was not found. An indented magic is none for it
    either; that one is moved to the edge.
    """
    cell = "".join(lines)
    found = _ABOVE.match(cell)
    if found is None:
        return lines
    above = found[1]
    if not above.strip():
        return cell[found.end() :].splitlines(keepends=True)
    # Within a text of several lines the part above is no code of its own.
    if TransformerManager().check_complete(f"{above}\n0\n\n")[0] != "complete":
        return lines
    is_code = any(line.strip() and not line.lstrip().startswith("#") for line in above.split("\n"))
    return [_HINT.format("code" if is_code else "comment")]


def _registered(shell: InteractiveShell) -> DelugeMagics | None:
    magics = cast(Any, shell).magics_manager.registry.get(DelugeMagics.__name__)
    return magics if isinstance(magics, DelugeMagics) else None
