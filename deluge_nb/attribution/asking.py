"""The two ways to ask how probable an answer is: have it read, or look it up among the alternatives of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ..client.calls.beginnings import keeps_empty_messages, settings_for_beginnings
from ..client.calls.estimates import DryRun, TokenCount
from ..errors import DelugeError, LogprobsMissingError
from ..prompts import PromptLike, RawPrompt, as_prompt
from ..sampling import SamplingParams
from .beginning import Likelihood, likelihood_of_beginning
from .parts import SplitPrompt, identity_of

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..client.recorder import Recorder
    from ..response import APIResponse

Method = Literal["given-text", "alternatives"]
Prices = Mapping[str, tuple[float, float]] | None
# Tokens; an answer that begins with the text has mostly left it or ended long before.
_MOST_TOKENS = 256


class Asking(ABC):
    """Prompts to ask, the whole one first, each once.

    Parameters
    ----------
    split
        The prompt with its parts.
    answer
        The answer.
    client
        The client that will be asked.
    """

    method: ClassVar[Method]

    def __init__(self, split: SplitPrompt, answer: str, client: LLMClient) -> None:
        self.split, self.answer = split, answer
        self.prompts: list[PromptLike] = []
        """The prompts, each once."""
        self.places: list[int | None] = []
        """The place of the prompt without each part among them; None where nothing is left to ask."""
        known: dict[str, int] = {}
        keeps_empty = keeps_empty_messages(client)
        for prompt in (split.whole, *(split.without(part, keeps_empty=keeps_empty) for part in split.parts)):
            place = None
            if prompt is not None and self.can_ask(prompt):
                place = known.setdefault(identity_of(prompt), len(self.prompts))
                if place == len(self.prompts):
                    self.prompts.append(prompt)
            self.places.append(place)
        del self.places[0]

    @abstractmethod
    def can_ask(self, prompt: PromptLike) -> bool:
        """Return whether there is a request for a prompt."""

    @abstractmethod
    def ask(self, recorder: Recorder) -> Sequence[APIResponse]:
        """Return the responses to the prompts."""

    @abstractmethod
    def estimate(self, client: LLMClient, *, prices: Prices = None, is_exact: bool = False) -> DryRun:
        """Return the requests, tokens and cost; with the number of tokens of an embedded model if it may be started."""

    @abstractmethod
    def likelihood(self, response: APIResponse) -> Likelihood:
        """Return the log-probability of the answer according to a response.

        Raises
        ------
        DelugeError
            When it has none.
        """


class Reading(Asking):
    """Have the answer read after each prompt."""

    method = "given-text"

    def can_ask(self, prompt: PromptLike) -> bool:
        """Return True: also an empty text can stand before an answer."""
        return True

    def ask(self, recorder: Recorder) -> Sequence[APIResponse]:
        """Return the answer as the model reads it after each prompt."""
        pairs = [(prompt, self.answer) for prompt in self.prompts]
        return recorder.read(pairs, top_logprobs=0, show_progress=True)

    def estimate(self, client: LLMClient, *, prices: Prices = None, is_exact: bool = False) -> DryRun:
        """Count the tokens of each prompt with the answer after it."""
        answered = [_with_answer(prompt, self.answer) for prompt in self.prompts]
        run = client.dry_run(answered, sampling_params=SamplingParams(max_new_tokens=1), prices=prices)
        return _with_count(run, client, answered) if is_exact else run

    def likelihood(self, response: APIResponse) -> Likelihood:
        """Return the sum over the tokens of the answer, which is exact."""
        table = response.logprobs
        if table is None or not len(table) or table.censored.any():
            reason = response.note or "the server withheld log-probabilities of the answer"
            raise LogprobsMissingError(f"The answer has no log-probability ({reason}).")
        return Likelihood(table.total_logprob, table.total_logprob, table.total_logprob)


class Beginnings(Asking):
    """Have the model answer each prompt, and look up the answer among the alternatives."""

    method = "alternatives"

    def can_ask(self, prompt: PromptLike) -> bool:
        """Return False for an empty text, which no server answers."""
        return not isinstance(prompt, RawPrompt) or bool(prompt.text)

    def ask(self, recorder: Recorder) -> Sequence[APIResponse]:
        """Return the answers to the prompts."""
        if self.split.prompt.prefill is not None:
            recorder.client.require_continuing()
        return recorder.process(self.prompts, settings_for_beginnings(recorder.client, self._tokens), True)

    def estimate(self, client: LLMClient, *, prices: Prices = None, is_exact: bool = False) -> DryRun:
        """Count the tokens of each prompt, and as many tokens of an answer as are asked for."""
        settings = settings_for_beginnings(client, self._tokens)
        run = client.dry_run(self.prompts, sampling_params=settings, prices=prices)
        return _with_count(run, client, self.prompts) if is_exact else run

    def likelihood(self, response: APIResponse) -> Likelihood:
        """Return the probability that the model's own answer begins with this one, with bounds."""
        return likelihood_of_beginning(response, self.split.prompt.gap + self.answer)

    @property
    def _tokens(self) -> int:
        # A token has at least one byte.
        return min(len(self.answer.encode("utf-8", "surrogatepass")), _MOST_TOKENS)


def _with_answer(prompt: PromptLike, answer: str) -> PromptLike:
    if isinstance(prompt, RawPrompt):
        return RawPrompt(prompt.text + answer)
    read = as_prompt(prompt)
    begun = (read.prefill or "") + read.gap + answer
    return [*read.messages, {"role": "assistant", "content": begun}]


def _with_count(run: DryRun, client: LLMClient, prompts: Sequence[PromptLike]) -> DryRun:
    try:
        return replace(run, input_tokens=sum(client.count_tokens(prompts), TokenCount(0, 0)))
    except DelugeError:
        return run  # the requests themselves say what is wrong, each for its own prompt
