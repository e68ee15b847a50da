"""Calls for many responses: in the order in which they arrive, and from every model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...elsewhere import checked_call
from ...prompts import PromptLike, as_prompts
from ...response import APIResponse
from ...tools import Tool
from ..base import BaseClient
from ..interruption import distinct_names, group_by_model
from ..options import Settings
from ..sending.resume import Resume
from .completed import Completed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..sending.batch import Batch


class ManyResponses(BaseClient):
    """Further calls of :class:`LLMClient`."""

    @checked_call
    def as_completed(
        self,
        prompts: Iterable[PromptLike],
        *,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> Completed:
        """Send all prompts, and return their responses as they arrive.

        Leaving the loop cancels the requests under way; the responses that arrived are then in :attr:`interrupted`, and
        :attr:`usage` counts them.

        Parameters
        ----------
        prompts, sampling_params, tools, output_schema, use_cache
            As in :meth:`process_prompts_sync`.
        resume
            :attr:`interrupted` of the same call that ended early: its responses come first, and only prompts without
            one are asked.

        Returns
        -------
        Completed
            To loop over with ``for`` or ``async for``: pairs of the prompt's index and its response.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError
            Before anything is sent, for an error that would affect every prompt.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> client = LLMClient("local", temperature=0, max_new_tokens=2)
        >>> for index, response in client.as_completed(["Name a colour.", "Name a fruit."]):
        ...     assert not response.is_error
        """
        batch = self._batch(prompts, sampling_params, tools, output_schema, use_cache, resume=resume)
        self._attend(batch)
        return Completed(batch, self._hide, self._keep)

    @checked_call
    def ask_all(
        self,
        prompts: Iterable[PromptLike],
        *,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> dict[str, list[APIResponse]]:
        """Send every prompt to every model, and wait for the responses.

        Parameters
        ----------
        prompts, show_progress, sampling_params, tools, output_schema, use_cache
            As in :meth:`process_prompts_sync`.
        resume
            :attr:`interrupted` of the same call that was interrupted: only prompts without a response are asked.

        Returns
        -------
        dict of list of APIResponse
            For each model, by its name, the responses in the order of the prompts. A second model of the same name is
            called ``"name (2)"``.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError, LocalModelError
            Before anything is sent, for an error that would affect every prompt.
        KeyboardInterrupt
            If interrupted; the responses that arrived are in :attr:`interrupted`: for each prompt, one of each model.
            ``client.interrupted.by_model()`` has the form of the result.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> client = LLMClient(["local"], temperature=0, max_new_tokens=2)
        >>> answers = client.ask_all(["Name a colour.", "Name a fruit."], show_progress=False)
        >>> len(answers["local"])
        2

        ``pandas.DataFrame({model: [r.completion for r in found] for model, found in answers.items()})`` is a table with
        one column for each model.
        """
        batch = self._all_models(prompts, sampling_params, tools, output_schema, use_cache, resume)
        return self._run(batch, show_progress, self._by_model)

    @checked_call
    async def ask_all_async(
        self,
        prompts: Iterable[PromptLike],
        *,
        show_progress: bool = True,
        sampling_params: Settings | None = None,
        tools: Sequence[Tool | Callable[..., Any]] | None = None,
        output_schema: Any = None,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> dict[str, list[APIResponse]]:
        """Send every prompt to every model, and await the responses.

        Parameters
        ----------
        prompts, show_progress, sampling_params, tools, output_schema, use_cache, resume
            As in :meth:`ask_all`.

        Returns
        -------
        dict of list of APIResponse
            As from :meth:`ask_all`.

        Raises
        ------
        SettingError, LogprobsNotSupportedError, MissingKeyError, LocalModelError
            Before anything is sent, for an error that would affect every prompt.
        """
        batch = self._all_models(prompts, sampling_params, tools, output_schema, use_cache, resume)
        return await self._run_async(batch, show_progress, self._by_model)

    def _all_models(
        self,
        prompts: Iterable[PromptLike],
        sampling_params: Settings | None,
        tools: Sequence[Tool | Callable[..., Any]] | None,
        output_schema: Any,
        use_cache: bool,
        resume: Resume,
    ) -> Batch:
        count = len(self.models)
        # Each prompt goes to all models before the next one, so that all servers are busy.
        repeated: list[Any] = [prompt for prompt in as_prompts(prompts) for _ in range(count)]
        turns = itertools.cycle(range(count))
        return self._batch(repeated, sampling_params, tools, output_schema, use_cache, lambda: next(turns), resume)

    def _by_model(self, responses: list[APIResponse]) -> dict[str, list[APIResponse]]:
        names = distinct_names(self.models)
        found = dict[str, list[APIResponse]]((name, []) for name in names)
        return found | group_by_model(responses, names * (len(responses) // len(names)))
