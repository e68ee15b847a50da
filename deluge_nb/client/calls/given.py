"""Calls for the log-probabilities of given texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...prompts import PromptLike
from ...response import APIResponse
from ...sampling import SamplingParams
from ..base import BaseClient
from ..route import greedy
from ..sending.pairs import as_given_prompt, as_scoring_pairs
from ..sending.resume import Resume

if TYPE_CHECKING:
    from ...logprobs.table import Logprobs
    from ..sending.batch import Batch


class GivenTexts(BaseClient):
    """Further calls of :class:`LLMClient`."""

    def read_sync(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        *,
        top_logprobs: int | None = 20,
        show_progress: bool = True,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse]:
        """Read given texts: the log-probability of each token of a text after what stands before it.

        A text that does not fit the model's context is read in overlapping windows of which each begins half a window
        after the one before. Each row after the first window is then conditioned on at least half a window before it,
        not on the whole text; the response's ``note`` says so.

        A server other than llama.cpp's must first prove, once per client, that it returns the model's numbers for given
        text: the log-probabilities of some tokens that it generates are compared with those of the same text as given.

        Parameters
        ----------
        pairs
            What stands before each text, and the text. Text before it is raw text, without a chat; ``""`` reads from
            the very beginning. A :class:`Conversation` or a list of messages is a chat.
        top_logprobs
            Alternatives to return at each token; at most as many as the server returns.
        show_progress
            Show a progress bar.
        use_cache
            False bypasses the client's cache.
        resume
            :attr:`interrupted` of the same call that was interrupted: only texts without a response are read.

        Returns
        -------
        list of APIResponse
            ``logprobs`` has a row for each token of the text. The first token of a text with nothing before it has no
            log-probability where the server puts no token in front. Where a token straddles the beginning of the text,
            the first row also holds characters before it, and the ``note`` says how many.

        Raises
        ------
        SettingError
            If a model's server cannot score given texts, or does not prove that it does; the message names those that
            can.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> client = LLMClient("local")
        >>> (response,) = client.read_sync([("The capital of France is", " Paris.")], show_progress=False)
        >>> response.logprobs.tokens
        [' Paris', '.']
        """
        return self._run(self._reading(pairs, top_logprobs, use_cache, resume), show_progress)

    async def read_async(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        *,
        top_logprobs: int | None = 20,
        show_progress: bool = True,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse]:
        """Read given texts, and await their log-probabilities.

        Parameters
        ----------
        pairs, top_logprobs, show_progress, use_cache, resume
            As in :meth:`read_sync`.

        Returns
        -------
        list of APIResponse
            As from :meth:`read_sync`.

        Raises
        ------
        SettingError
            If a model's server cannot score given texts, or does not prove that it does; the message names those that
            can.
        """
        return await self._run_async(self._reading(pairs, top_logprobs, use_cache, resume), show_progress)

    def score_continuations_sync(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        *,
        ends: bool = False,
        top_logprobs: int = 0,
        show_progress: bool = True,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse]:
        """Compute the log-likelihood of given texts: the log-probability of each token of a text after its prompt.

        Exactly the given text is scored after exactly the given prompt: no space is added. White space that a begun
        answer (:meth:`Conversation.assistant_prefix`) ended in is scored as the beginning of the text, and so are
        spaces at the end of a :class:`RawPrompt`, because tokens begin with them.

        Parameters
        ----------
        pairs
            Prompts, each with the text to score after it. ``RawPrompt("")`` gives the log-likelihood of a whole text.
        ends
            Also score the token that ends the model's turn after the text: ``exp(total_logprob)`` is then the
            probability of this answer and nothing more. It is the last row; its token is empty.
        top_logprobs
            Alternatives to return at each token.
        show_progress
            Show a progress bar.
        use_cache
            False bypasses the client's cache.
        resume
            :attr:`interrupted` of the same call that was interrupted: only texts without a response are scored.

        Returns
        -------
        list of APIResponse
            ``logprobs`` has a row for each token of the text; ``logprobs.total_logprob`` is its log-likelihood in nats,
            and ``logprobs.text`` is the text that was scored.

        Raises
        ------
        SettingError
            If a model's server cannot score given texts, or does not prove that it does; the message names servers that
            can.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> pairs = [("The capital of France is", text) for text in (" Paris", " Berlin")]
        >>> paris, berlin = LLMClient("local").score_continuations_sync(pairs, show_progress=False)
        >>> paris.logprobs.total_logprob > berlin.logprobs.total_logprob
        True
        """
        return self._run(self._continuations(pairs, top_logprobs, ends, use_cache, resume), show_progress)

    async def score_continuations_async(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        *,
        ends: bool = False,
        top_logprobs: int = 0,
        show_progress: bool = True,
        use_cache: bool = True,
        resume: Resume = None,
    ) -> list[APIResponse]:
        """Compute the log-likelihood of given texts, and await it.

        Parameters
        ----------
        pairs, ends, top_logprobs, show_progress, use_cache, resume
            As in :meth:`score_continuations_sync`.

        Returns
        -------
        list of APIResponse
            As from :meth:`score_continuations_sync`.

        Raises
        ------
        SettingError
            If a model's server cannot score given texts, or does not prove that it does; the message names servers that
            can.
        """
        return await self._run_async(self._continuations(pairs, top_logprobs, ends, use_cache, resume), show_progress)

    def _reading(
        self, pairs: Iterable[tuple[PromptLike, str]], top_logprobs: int | None, use_cache: bool, resume: Resume
    ) -> Batch:
        prompts = as_scoring_pairs(pairs, self._routes, as_raw=True)
        params = SamplingParams(logprobs=True, top_logprobs=top_logprobs)
        params = params.replace(top_logprobs=min(top_logprobs or 0, self.max_top_logprobs))
        return self._scoring(prompts, params, use_cache=use_cache, resume=resume)

    def _continuations(
        self,
        pairs: Iterable[tuple[PromptLike, str]],
        top_logprobs: int,
        ends: bool,
        use_cache: bool,
        resume: Resume,
    ) -> Batch:
        params = SamplingParams(logprobs=True, top_logprobs=top_logprobs)
        prompts = as_scoring_pairs(pairs, self._routes)
        return self._scoring(prompts, params, ends=ends, use_cache=use_cache, resume=resume)


def ask_next_token(client: GivenTexts, text: PromptLike) -> APIResponse:
    """Ask for the distribution after a text, and return the response with the row of the likeliest token.

    Parameters
    ----------
    client
        The client; of several models, one is asked.
    text
        Raw text, or a chat.
    """
    prompt = as_given_prompt(text, "text", as_raw=True)
    if all(route.endpoint.full_vocab for route in client._routes):
        # After the end of the turn nothing is drawn, so that a row is there also where the text ends.
        params = SamplingParams(logprobs=True, full_vocab=True, max_new_tokens=1)
        (response,) = client._run(client._scoring([(prompt, "")], params, ends=True), show_progress=False)
        return replace(response, logprobs=_likeliest(response.logprobs), completion=None)
    params = SamplingParams(logprobs=True, top_logprobs=client.max_top_logprobs, max_new_tokens=1)
    settings = [greedy(params, route.target) for route in client._routes]
    (response,) = client._run(client._batch([prompt.as_asked], settings, None, None, True), show_progress=False)
    return response


def _likeliest(table: Logprobs | None) -> Logprobs | None:
    """Return a table of one row with its likeliest alternative as the chosen token."""
    if table is None or not table.top_counts.all():
        return table
    _, _, alternative, logprob, offsets = table.columns
    best = slice(int(logprob.argmax()), int(logprob.argmax()) + 1)
    return type(table)(
        table.vocabulary,
        alternative[best],
        logprob[best],
        alternative,
        logprob,
        offsets,
        vocab_size=table.vocab_size,
        rounding=table.rounding,
    )
