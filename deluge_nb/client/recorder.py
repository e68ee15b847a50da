"""The requests of one piece of work that goes on after the last response, or asks several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .interruption import keep

if TYPE_CHECKING:
    from ..response import APIResponse
    from .client import LLMClient


class Recorder:
    """The requests of one piece of work, whose responses are kept if an exception ends it.

    ``classify`` and ``score_llm`` go on after the last response has arrived, and some methods ask several times.

    Parameters
    ----------
    client
        The client that is asked.
    """

    def __init__(self, client: LLMClient) -> None:
        self.client = client
        self._earlier: list[APIResponse] = []
        self._last: list[APIResponse] = []
        self._before: object = getattr(client, "interrupted", None)

    def process(self, prompts: Sequence[Any], settings: Any, show_progress: bool) -> list[APIResponse]:
        """Ask prompts, as :meth:`LLMClient.process_prompts_sync` does."""
        # One statement, and a call without `**`: an interrupt before the list has the responses would lose them.
        self._last = self.client.process_prompts_sync(prompts, sampling_params=settings, show_progress=show_progress)
        return self._add()

    def score(self, pairs: Sequence[Any], *, ends: bool, top_logprobs: int, show_progress: bool) -> list[APIResponse]:
        """Score texts, as :meth:`LLMClient.score_continuations_sync` does."""
        self._last = self.client.score_continuations_sync(
            pairs, ends=ends, top_logprobs=top_logprobs, show_progress=show_progress
        )
        return self._add()

    def _add(self) -> list[APIResponse]:
        responses = self._last
        self._earlier, self._last = [*self._earlier, *responses], list[Any]()
        return responses

    def keep(self, error: BaseException, hint: str = "") -> None:
        """Keep all responses in ``client.interrupted``, in the order of the requests; nothing if none was sent."""
        inner = getattr(self.client, "interrupted", None)
        # Another list than before is that of the request under way.
        under_way = inner if inner is not self._before and inner is not None else []
        arrived = [*self._earlier, *self._last]
        if arrived or under_way:
            keep(self.client, [*arrived, *under_way], error, hint)


__all__ = ["Recorder"]
