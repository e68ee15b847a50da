"""An answer that is still coming, in a cell's output."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._beside import show, show_again
from .branching import Continuer
from .view import LogprobView

if TYPE_CHECKING:
    from ._stream import Stream, StreamedToken
    from .client import LLMClient
    from .prompts import Conversation, RawPrompt
    from .response import APIResponse
    from .sampling import SamplingParams

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
            due = time.monotonic() + _PATIENCE
            try:
                for _ in _all_of(stream):
                    if time.monotonic() >= due and (table := stream.logprobs) is not None:
                        began = time.monotonic()
                        self._update(table)
                        now = time.monotonic()
                        due = now + max(_PAUSE, _SHARE * (now - began))
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
            show(self._view)
            return
        self._view.update(response, prompt=self._asked.get("prompt"))
        # A notebook saves what was displayed, and the static form was that of the first tokens.
        show_again(self._view, self._handle)

    def _update(self, table: Any) -> None:
        if self._view is None:
            self._view = LogprobView(table, **self._asked)
            self._handle = show(self._view)
        else:
            self._view.update(table, prompt=self._asked.get("prompt"))


def _all_of(stream: Stream) -> Iterator[StreamedToken]:
    """The tokens, whatever ends them: the response tells."""
    with contextlib.suppress(Exception):
        yield from stream


__all__ = ["LiveView"]
