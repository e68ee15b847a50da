"""The requests of one piece of work that goes on after the last response, or asks several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .interruption import PartialResponses, keep
from .sending.resume import Resume, check_list, end_growth

if TYPE_CHECKING:
    from ..response import APIResponse
    from .client import LLMClient


class Recorder:
    """The requests of one piece of work, whose responses are kept if an exception ends it.

    ``classify``, ``score_llm`` and ``influence`` go on after the last response, and some methods ask several
    times.

    Parameters
    ----------
    client
        The client that is asked.
    resume
        ``client.interrupted`` of the same work that was interrupted.
    """

    def __init__(self, client: LLMClient, resume: Resume = None) -> None:
        if resume is not None:
            check_list(resume)
            end_growth(resume)
        self.client = client
        self._resume = resume
        self._taken = 0
        # Requests that depend on earlier responses are the same ones if all of these are.
        self._is_same = True
        self._earlier: list[APIResponse] = []
        self._last: list[APIResponse] = []
        self._before: object = getattr(client, "interrupted", None)

    def process(self, prompts: Sequence[Any], settings: Any, show_progress: bool) -> list[APIResponse]:
        """Ask prompts, as :meth:`LLMClient.process_prompts_sync` does."""
        resume = self._take(len(prompts))
        # One statement, and a call without `**`: an interrupt before the list has the responses would lose them.
        self._last = self.client.process_prompts_sync(
            prompts, sampling_params=settings, show_progress=show_progress, resume=resume
        )
        return self._add()

    def score(self, pairs: Sequence[Any], *, ends: bool, top_logprobs: int, show_progress: bool) -> list[APIResponse]:
        """Score texts, as :meth:`LLMClient.score_continuations_sync` does."""
        resume = self._take(len(pairs))
        self._last = self.client.score_continuations_sync(
            pairs, ends=ends, top_logprobs=top_logprobs, show_progress=show_progress, resume=resume
        )
        return self._add()

    def read(self, pairs: Sequence[Any], *, top_logprobs: int, show_progress: bool) -> list[APIResponse]:
        """Read texts, as :meth:`LLMClient.read_sync` does."""
        resume = self._take(len(pairs))
        self._last = self.client.read_sync(pairs, top_logprobs=top_logprobs, show_progress=show_progress, resume=resume)
        return self._add()

    def _take(self, count: int) -> Resume:
        """Return the earlier responses to the next requests; None if there are none."""
        if self._resume is None or not self._is_same:
            return None
        part = list(self._resume[self._taken : self._taken + count])
        if self._taken:  # an interrupted call has not come to the later requests
            part += [None] * (count - len(part))
        self._taken += count
        self._is_same = all(response is not None and not response.is_error for response in part)
        return part

    def _add(self) -> list[APIResponse]:
        responses = self._last
        self._earlier, self._last = [*self._earlier, *responses], list[Any]()
        return responses

    def keep(self, error: BaseException, hint: str = "") -> None:
        """Keep all responses in ``client.interrupted``, in the order of the requests; nothing if none was sent."""
        inner = getattr(self.client, "interrupted", None)
        # Another list than before is that of the request under way.
        under_way = inner if isinstance(inner, PartialResponses) and inner is not self._before else PartialResponses()
        under_way.settle()  # a second interrupt may have ended the wait for its last responses
        arrived = PartialResponses([*self._earlier, *self._last])
        if arrived or under_way:
            models, prompts = (*arrived.models, *under_way.models), (*arrived.prompts, *under_way.prompts)
            keep(self.client, PartialResponses([*arrived, *under_way], models, prompts), error, hint)


__all__ = ["Recorder"]
