"""Show a streamed answer in the output of a cell while it grows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..client.continuation import Continuer
from ..interop.before import before_of
from .fallback import display_with_fallback, update_fallback
from .view import LogprobView

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..client.stream import Stream
    from ..logprobs.table import Logprobs
    from ..prompts import Conversation, RawPrompt
    from ..response import APIResponse
    from ..sampling import SamplingParams

# Seconds before the first tokens are shown: an answer that is complete by then is drawn only once.
_PATIENCE = 0.3
# The least seconds between two updates; after a slow one wait five times as long as it took, so that drawing takes at
# most a fifth of the time.
_PAUSE, _SHARE = 0.05, 5


class LiveView:
    """Display of an answer that shows its tokens while they arrive, and at the end the form that is saved.

    Parameters
    ----------
    shown
        False to request the answer without showing it.
    """

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._view: LogprobView | None = None
        self._handle: Any = None
        self._author: dict[str, Any] = {}
        self.interrupted = False
        """True if the user interrupted the answer."""

    def answer(
        self, client: LLMClient, prompt: Conversation | RawPrompt, params: SamplingParams, *, use_cache: bool = True
    ) -> APIResponse:
        """Request an answer, and show it while it arrives.

        Raises
        ------
        KeyboardInterrupt
            When interrupted before the first token.
        """
        # The view branches with this later; a closed client opens again by itself.
        continuer = Continuer(client, prompt, sampling_params=params, use_cache=use_cache)
        self._author = {"client": continuer, "prompt": prompt}
        if params.full_vocab:  # which no server streams
            return client.process_prompts_sync(
                [prompt], sampling_params=params, show_progress=False, use_cache=use_cache
            )[0]
        with client.stream(prompt, sampling_params=params, use_cache=use_cache) as stream:
            try:
                if self._shown:
                    for table in _growing_tables(stream):
                        self._update(table)
                else:
                    _read_to_end(stream)
            except KeyboardInterrupt:
                stream.close()
                self.interrupted = True
                if stream.response is None or not (stream.response.logprobs or stream.response.completion):
                    raise
        assert stream.response is not None
        return stream.response

    @property
    def view(self) -> LogprobView | None:
        """The view on the screen; None before there is one."""
        return self._view

    def finish(self, response: APIResponse) -> None:
        """Show the answer in the form that is saved; do nothing if it has no log-probabilities."""
        if response.logprobs is None or not self._shown:
            return
        if self._view is None:
            self._view = LogprobView(response, **self._author)
            display_with_fallback(self._view)
            return
        self._view.update(response, prompt=self._author.get("prompt"))
        # The static form on the page shows the first tokens only, and a notebook saves that.
        update_fallback(self._view, self._handle)

    def _update(self, table: Logprobs) -> None:
        if self._view is None:
            before = before_of(self._author["prompt"], table)
            self._view = LogprobView(table, before=before, **self._author)
            self._handle = display_with_fallback(self._view)
        else:
            self._view.update(table, prompt=self._author.get("prompt"))


def _read_to_end(stream: Stream) -> None:
    """Wait for the end of a stream; its response reports any error."""
    with contextlib.suppress(Exception):
        for _ in stream:
            pass


def _growing_tables(stream: Stream) -> Iterator[Logprobs]:
    """Yield the table so far each time an update is due, until the stream ends; its response reports any error."""
    due, is_fresh = time.monotonic() + _PATIENCE, False
    with contextlib.suppress(Exception):
        while True:
            # Wait no longer than until the update is due, so that a pause of the stream does not delay it.
            if not is_fresh or stream.wait(due - time.monotonic()):
                if next(stream, None) is None:
                    return
                is_fresh = True
            began = time.monotonic()
            if began >= due:
                if (table := stream.logprobs) is not None:
                    yield table
                now = time.monotonic()
                due, is_fresh = now + max(_PAUSE, _SHARE * (now - began)), False


__all__ = ["LiveView"]
