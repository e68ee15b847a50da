"""Ask how the log-probability of an answer changes when each part of its prompt is left out."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..client.calls.beginnings import can_read
from ..client.calls.estimates import DryRun
from ..client.client import LLMClient, client_for
from ..client.recorder import Recorder
from ..client.sending.pairs import check_given
from ..errors import DelugeError, SettingError
from ..notebook import kernel_shell
from ..printable import printable
from ..prompts import PromptLike, check_characters
from ..text.counts import pluralize
from .asking import Asking, Beginnings, Reading
from .beginning import Likelihood
from .parts import By, Part, SplitPrompt
from .result import Influence, PartInfluence

if TYPE_CHECKING:
    from ..models.spec import ServedModel
    from ..response import APIResponse

_NOTHING_LEFT = "Nothing is left to ask without this part."
_UNLISTED = "the alternatives after the whole prompt do not hold the answer, so that only bounds are known"


def influence(
    prompt: PromptLike,
    answer: str,
    model: str | ServedModel | LLMClient = "local",
    *,
    by: By = "sentence",
) -> Influence:
    """Return how the log-probability of an answer changes when each part of its prompt is left out.

    The model reads the answer after the whole prompt, and once more without each part: a request for each part that
    leads to another prompt, and one for the whole. Requests, tokens and, where it is known, the cost are written to the
    standard error stream before anything is sent; :func:`estimate_influence` returns them without asking. A part alone
    may matter little where another one says the same, so the numbers do not add up to anything.

    Where a server cannot score given texts, the model is asked to answer, and the alternatives at the first tokens give
    the probability that the answer begins with the text, with bounds (``method`` is then ``"alternatives"``).

    Parameters
    ----------
    prompt
        The prompt. A text is raw text, without a chat. Of a :class:`Conversation` or a list of messages the texts of
        all messages have parts; a message that is left without text stays as an empty one, so that the turns stay,
        except for Anthropic, Cohere and Gemini, which take none.
    answer
        The answer, as :func:`read` takes it: no space is added in front of it.
    model
        A model's name, a :class:`LocalModel`, or a client of one model. After an interrupt the responses that arrived
        are in the client's ``interrupted``; with a cache, the same call asks for the rest only.
    by
        ``"sentence"``; ``"word"``, separated by white space, and for Chinese and Japanese each character; or pairs of
        positions in code points (of a chat, in the texts of its messages end to end), which must not overlap.
        With a sentence or a word, the white space after it is left out too; or that before it, at the end of a text and
        where more line breaks follow. With a pair, exactly its characters are.

    Returns
    -------
    Influence
        A part for each row. A part whose request failed has an ``error``, and NaN in place of numbers.

    Raises
    ------
    SettingError
        If the prompt has no parts, an argument is invalid, or the model cannot be asked in any of these ways.
    LogprobsNotSupportedError
        If the model does not return log-probabilities.
    DelugeError
        If the request with the whole prompt fails.

    Examples
    --------
    >>> from deluge_nb import influence
    >>> result = influence("My name is Anna. I live in Rome. My name is", " Anna")
    >>> for part in result:
    ...     print(part.part, round(part.delta_nats))
    My name is Anna. 3
    I live in Rome. 0
    My name is 5
    """
    check_characters(prompt, "prompt")
    split = SplitPrompt(prompt, by)
    check_given(answer, "answer")
    recorder: Recorder | None = None
    try:
        with client_for(model) as client:
            _check_one_model(client)
            recorder = Recorder(client)
            return _ask_in_some_way(split, answer, recorder)
    except BaseException as error:
        if recorder is not None:
            recorder.keep(error)
        raise


def estimate_influence(
    prompt: PromptLike,
    answer: str,
    model: str | ServedModel | LLMClient = "local",
    *,
    by: By = "sentence",
    prices: Mapping[str, tuple[float, float]] | None = None,
) -> DryRun:
    """Estimate a call of :func:`influence`; nothing is sent, and no model is started.

    Parameters
    ----------
    prompt, answer, model, by
        As in :func:`influence`.
    prices
        As in :meth:`LLMClient.dry_run`.

    Returns
    -------
    DryRun
        Requests, bounds of the tokens, and the most that the call can cost. The proof that a server scores given texts
        is not included: two requests of a few tokens, once for each client.

    Raises
    ------
    SettingError
        As from :func:`influence`.

    Examples
    --------
    >>> from deluge_nb import estimate_influence
    >>> run = estimate_influence("Paris is in France. The capital of France is", " Paris", by="word")
    >>> run.requests, run.cost
    (10, 0.0)
    """
    check_characters(prompt, "prompt")
    split = SplitPrompt(prompt, by)
    check_given(answer, "answer")
    with client_for(model) as client:
        _check_one_model(client)
        way = Reading if can_read(client, after_chat=split.is_chat) else Beginnings
        return way(split, answer, client).estimate(client, prices=prices)


def _check_one_model(client: LLMClient) -> None:
    if len(client.models) > 1:
        raise SettingError(
            f"influence() compares the numbers of one model, and this client takes turns among {client.models!r}; pass "
            "a client of one of them.",
            setting="model",
            value=client.models,
        )


def _ask_in_some_way(split: SplitPrompt, answer: str, recorder: Recorder) -> Influence:
    client = recorder.client
    reason: str | None = None
    if can_read(client, after_chat=split.is_chat):
        try:
            return _ask(Reading(split, answer, client), recorder)
        except SettingError as error:
            if error.setting != "model":
                raise
            reason = str(error)  # the server does not prove its numbers
    return _ask(Beginnings(split, answer, client), recorder, note=reason)


def _ask(asking: Asking, recorder: Recorder, *, note: str | None = None) -> Influence:
    client = recorder.client
    estimate = asking.estimate(client, is_exact=True)
    _announce(estimate, client.models[0])
    return _collect(asking, asking.ask(recorder), estimate, note)


def _collect(asking: Asking, responses: Sequence[APIResponse], estimate: DryRun, note: str | None) -> Influence:
    whole = _likelihood(asking, responses[0])
    if isinstance(whole, DelugeError):
        raise whole
    known: dict[int, Likelihood | DelugeError] = {0: whole}
    parts: list[PartInfluence] = []
    for part, place in zip(asking.split.parts, asking.places, strict=True):
        if place is None:
            parts.append(_failed(part, _NOTHING_LEFT))
            continue
        if place not in known:
            known[place] = _likelihood(asking, responses[place])
        likelihood = known[place]
        if isinstance(likelihood, DelugeError):
            parts.append(_failed(part, str(likelihood)))
        else:
            parts.append(_compare(part, whole, likelihood, responses[place].note))
    notes = [note, responses[0].note, _UNLISTED if math.isnan(whole.value) else None]
    return Influence(
        parts,
        asking.split.texts,
        asking.answer,
        whole,
        model=responses[0].model,
        method=asking.method,
        estimate=estimate,
        note="; ".join(entry for entry in notes if entry) or None,
    )


def _likelihood(asking: Asking, response: APIResponse) -> Likelihood | DelugeError:
    """Return the log-probability of the answer, or why there is none."""
    if response.error is not None:
        error = response.error
        return error if isinstance(error, DelugeError) else DelugeError(str(response.error_message))
    try:
        return asking.likelihood(response)
    except DelugeError as error:
        return error


def _compare(part: Part, whole: Likelihood, without: Likelihood, note: str | None) -> PartInfluence:
    delta = whole.minus(without)
    low, high = delta.low, delta.high
    if low == -math.inf and high == math.inf:
        low = high = math.nan  # bounds that exclude nothing
    return PartInfluence(part.content, part.begin, part.end, delta.value, low, high, part.text.message, note=note)


def _failed(part: Part, error: str) -> PartInfluence:
    unknown = math.nan
    return PartInfluence(part.content, part.begin, part.end, unknown, unknown, unknown, part.text.message, error)


def _announce(estimate: DryRun, model: str) -> None:
    """Write what a call costs: in a cell as its output, else beside the progress bar, apart from a script's output."""
    low, high = estimate.input_tokens.low, estimate.input_tokens.high
    if estimate.input_tokens.exact:
        tokens = f"{low:,} tokens in"
    else:
        tokens = f"at least {low:,} tokens in" if high is None else f"{low:,} to {high:,} tokens in"
    cost = "no cost, on this machine" if estimate.cost == 0 else "price not known"
    # A notebook shows what is on the standard error stream in red.
    stream = sys.stderr if kernel_shell() is None else sys.stdout
    if stream is not None:
        requests = pluralize(estimate.requests, "request")
        stream.write(f"influence: {requests} to {printable(model)}, {tokens}, {cost}\n")
