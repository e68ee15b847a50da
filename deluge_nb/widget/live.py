"""An answer that is still coming, in a cell's output."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..client.continuation import Continuer
from .fallback import display_with_fallback, update_fallback
from .view import LogprobView

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..client.stream import Stream
    from ..logprobs.table import Logprobs
    from ..prompts import Conversation, RawPrompt
    from ..response import APIResponse
    from ..sampling import SamplingParams

# An answer that is there by now is shown once and for all: what follows it is drawn again at its end.
_PATIENCE = 0.3
# How often what has come is shown; drawing may take at most a fifth of the time.
_PAUSE, _SHARE = 0.05, 5


class LiveView:
    """Shows the tokens of an answer as they come, and in the end as they are saved.

    Parameters
    ----------
    shown
        Whether to show anything at all.
    """

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._view: LogprobView | None = None
        self._handle: Any = None
        self._asked: dict[str, Any] = {}
        self.interrupted = False
        """Whether the user ended the answer."""

    def answer(
        self, client: LLMClient, prompt: Conversation | RawPrompt, params: SamplingParams, *, use_cache: bool = True
    ) -> APIResponse:
        """Ask, and show the answer as it comes.

        Raises
        ------
        KeyboardInterrupt
            When interrupted before anything has come.
        """
        # What the view needs to go on from other tokens; a client that is closed opens again.
        continuer = Continuer(client, prompt, sampling_params=params, use_cache=use_cache)
        self._asked = {"client": continuer, "prompt": prompt}
        if not self._shown or params.full_vocab:
            return client.process_prompts_sync(
                [prompt], sampling_params=params, show_progress=False, use_cache=use_cache
            )[0]
        with client.stream(prompt, sampling_params=params, use_cache=use_cache) as stream:
            try:
                for table in _growing(stream):
                    self._update(table)
            except KeyboardInterrupt:
                stream.close()
                self.interrupted = True
                if stream.response is None or stream.response.logprobs is None:
                    raise
        assert stream.response is not None
        return stream.response

    @property
    def view(self) -> LogprobView | None:
        """What is shown, once something is."""
        return self._view

    def finish(self, response: APIResponse) -> None:
        """Show the answer as it is saved; nothing where it has no log-probabilities."""
        if response.logprobs is None or not self._shown:
            return
        if self._view is None:
            self._view = LogprobView(response, **self._asked)
            display_with_fallback(self._view)
            return
        self._view.update(response, prompt=self._asked.get("prompt"))
        # A notebook saves what was displayed, and the static form was that of the first tokens.
        update_fallback(self._view, self._handle)

    def _update(self, table: Logprobs) -> None:
        if self._view is None:
            self._view = LogprobView(table, **self._asked)
            self._handle = display_with_fallback(self._view)
        else:
            self._view.update(table, prompt=self._asked.get("prompt"))


def _growing(stream: Stream) -> Iterator[Logprobs]:
    """What has come, each time that more of it is due to be shown, until it ends: with what, the response tells."""
    due, fresh = time.monotonic() + _PATIENCE, False
    with contextlib.suppress(Exception):
        while True:
            # What has come is shown then, also where nothing follows it for long.
            if not fresh or stream.wait(due - time.monotonic()):
                if next(stream, None) is None:
                    return
                fresh = True
            began = time.monotonic()
            if began >= due:
                if (table := stream.logprobs) is not None:
                    yield table
                now = time.monotonic()
                due, fresh = now + max(_PAUSE, _SHARE * (now - began)), False


__all__ = ["LiveView"]
