"""Resumption of a call that ended early: take the responses that arrived, and ask for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import DelugeError, SettingError, invalid_argument
from ...prompts import as_prompt
from ...response import APIResponse
from ..interruption import PartialResponses, distinct_names

if TYPE_CHECKING:
    from ..route import Route
    from .batch import Batch
    from .request import Item

Resume = Sequence[APIResponse | None] | None
"""``client.interrupted`` of the same call; None for a call from its beginning."""


def resume_batch(batch: Batch, responses: Resume) -> None:
    """Give a batch the responses of the same call that ended early.

    Raises
    ------
    SettingError
        When they are those of another call.
    """
    if responses is None:
        return
    check_list(responses)
    if len(responses) != len(batch.items):
        raise SettingError(
            f"resume must have one entry for each prompt and model, {len(batch.items)} in all, not {len(responses)}; "
            "pass client.interrupted of the same call.",
            setting="resume",
            value=responses,
        )
    for index, (response, item) in enumerate(zip(responses, batch.items, strict=True)):
        if response is not None and not isinstance(response, APIResponse):
            raise invalid_argument(f"resume[{index}]", response, "a response or None")
        if response is not None and not _answers(response, item):
            raise SettingError(
                f"resume[{index}] is the response of {response.model!r} to another prompt; pass client.interrupted of "
                "the same call.",
                setting="resume",
                value=response,
            )
    end_growth(responses)
    batch.resume(responses)


def as_partial(batch: Batch, routes: Sequence[Route]) -> PartialResponses:
    """Return a list for the responses of a batch as they arrive, with the models and prompts of its places.

    Parameters
    ----------
    batch
        The batch.
    routes
        The models of the client, in its order.
    """
    names = dict(zip(map(id, routes), distinct_names([route.model for route in routes]), strict=True))
    models = [names[id(item.route)] for item in batch.items]
    return PartialResponses(batch.responses, models, [item.prompt.as_asked for item in batch.items])


def end_growth(responses: Resume) -> None:
    """End the call that still adds responses to ``resume``: it would send what the new call asks for.

    A loop that was left runs on if a traceback holds it, and a task if its event loop was interrupted.
    """
    if isinstance(responses, PartialResponses):
        responses.settle()


def check_list(responses: object) -> None:
    """Check that ``resume`` is a list.

    Raises
    ------
    SettingError
        When it is none.
    """
    if isinstance(responses, str) or not isinstance(responses, Sequence):
        raise invalid_argument("resume", responses, "client.interrupted of the same call")


def _answers(response: APIResponse, item: Item) -> bool:
    """Return whether a response is one to an item, as far as it says."""
    if response.model != item.route.model:
        return False
    if item.continuation is not None and not response.is_error and response.completion != item.continuation:
        return False
    asked = item.prompt.as_asked
    return response.prompt == asked or _content(response.prompt) == _content(asked)


def _content(prompt: Any) -> Any:
    """Return the content of a prompt in any form: one that was saved as JSON has another form than it was asked in."""
    try:
        read = as_prompt(prompt)
    except DelugeError:
        return prompt
    return read.raw, read.messages, read.prefill
