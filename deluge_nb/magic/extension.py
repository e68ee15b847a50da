"""Register the magic, its completions, its hint, and the display of responses and tables with a shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

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
    parts.input_transformers_cleanup.insert(0, magics.explain_place)
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
    parts.input_transformers_cleanup.remove(magics.explain_place)
    for shown, _ in _BUNDLES:
        formatter.mimebundle_formatter.type_printers.pop(shown, None)
    for shown in (APIResponse, Responses, Logprobs):
        formatter.ipython_display_formatter.type_printers.pop(shown, None)
    formatter.formatters["text/plain"].type_printers.pop(Responses, None)


def _registered(shell: InteractiveShell) -> DelugeMagics | None:
    # Not by its class, of which a reloaded module has another one.
    return cast(Any, shell).magics_manager.registry.get(DelugeMagics.__name__)
