"""Forms in which IPython displays responses and tables of log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..client.continuation import Continuer
from ..client.interruption import distinct_names
from ..logprobs.table import Logprobs
from ..printable import printable
from ..response import APIResponse
from ..widget.compare import LogprobCompare
from ..widget.fallback import display_with_fallback, require_kernel
from ..widget.view import LogprobView

Bundle = dict[str, Any]


class Responses(list[APIResponse]):
    """The responses of a cell that asked for several.

    Parameters
    ----------
    responses
        The responses.
    are_compared
        True if each is of another model; False for several answers of one.
    author
        The client with the prompt of all, with which the view branches.
    """

    def __init__(
        self, responses: Iterable[APIResponse] = (), *, are_compared: bool = False, author: Continuer | None = None
    ) -> None:
        super().__init__(responses)
        self._are_compared, self._author = are_compared, author

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_author": None}

    def widget(self) -> LogprobView | LogprobCompare | None:
        """Return the widget that shows the responses; None if none has log-probabilities."""
        shown = [response for response in self if response.logprobs is not None]
        if not shown:
            return None
        if not self._are_compared:
            return LogprobView(shown, client=self._author, prompt=shown[0].prompt)
        if len(shown) == 1:
            return LogprobView(shown[0])
        return LogprobCompare(*shown, names=distinct_names([response.model for response in shown]))


def responses_bundle(responses: Responses, **_: Any) -> Bundle:
    """Return the MIME bundle of several responses: their widget, or without log-probabilities their list."""
    widget = responses.widget()
    return {"text/plain": repr(list(responses))} if widget is None else widget._repr_mimebundle_()[0]


def print_responses(responses: Responses, printer: Any, _: bool) -> None:
    """Print several responses, for IPython, which prints a list by itself whatever its MIME bundle has."""
    printer.text(responses_bundle(responses)["text/plain"])


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
