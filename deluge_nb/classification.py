"""Which of a set of answers a model gives: by its first tokens, by following all beginnings, or by exact likelihood."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._classified import Classification, Classifications, failed
from .errors import LogprobError, LogprobsNotSupportedError, SettingError
from .prompts import Conversation, Message, Prompt, RawPrompt, as_prompt
from .score import filled
from .stats._inputs import Alternative
from .stats._mass import log_sum
from .stats._matching import Labels
from .stats.entropy import log1mexp
from .stats.labels import LabelDistribution, LabelSet, Tally, walked
from .stats.sequences import contextual_calibration, pmi_dc

if TYPE_CHECKING:
    from .client import LLMClient
    from .logprobs import Logprobs
    from .prompts import PromptLike
    from .response import APIResponse
    from .score import Input

Method = Literal["first-token", "trie", "exact"]
Calibration = Literal["contextual", "pmi"]
Template = str | RawPrompt | Conversation
Tokens = tuple[tuple[int | None, str], ...]

_METHODS = ("first-token", "trie", "exact")
# What says nothing, and is what it says it is; from the paper that proposed the method.
CONTENT_FREE = ("N/A", "[MASK]", "")
# Enough for white space and Markdown in front of an answer, and for the pieces of most answers.
_TOKENS = 4
_ALTERNATIVES = 20
# A beginning that is followed must be worth a request.
_LEAST = 1e-3
_ROUNDS = 6


def classify(
    inputs: Sequence[Input | PromptLike],
    labels: LabelSet,
    client: LLMClient,
    *,
    template: Template | None = None,
    method: Method = "first-token",
    calibration: Calibration | None = None,
    content_free: Sequence[Input | PromptLike] = CONTENT_FREE,
    show_progress: bool = True,
) -> Classifications:
    """Ask a model which of a set of answers fits each input.

    Parameters
    ----------
    inputs
        Prompts; or, with a template, what goes into it: a text, a tuple of values or a dict of named ones for each.
    labels
        The answers, or a dict from each to its spellings. Case, white space and opening marks do not count, and all
        spellings of an answer are added up.
    client
        The client to ask. Its settings hold, but for what the method needs.
    template
        The question, with ``{0}``, ``{1}`` (or ``{}``, or ``{name}``) where an input's values go: a text, a
        :class:`~deluge_nb.RawPrompt`, or a :class:`~deluge_nb.Conversation`, whose ``assistant_prefix`` may begin the
        answer.
    method
        ``"first-token"`` looks at the alternatives where the answer begins, and along what the model then says: one
        request for each input, with any model that gives alternatives. ``"trie"`` follows all likely beginnings of
        answers, with a request for each; for models that can continue an answer that was begun. ``"exact"`` asks how
        likely each spelling is, whole, with a request for each; for servers that tell, such as the embedded model's.
    calibration
        ``"contextual"`` divides by what the template alone prefers, measured on ``content_free`` inputs. ``"pmi"``
        asks how much likelier the input makes an answer: the ratio to its likelihood after the first of
        ``content_free``.
    content_free
        Inputs that say nothing: for the template where there is one, else whole prompts.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    Classifications
        A sequence with one :class:`~deluge_nb.Classification` for each input, in order; ``.to_pandas()`` makes a table.
        A request that failed is a result with ``error_message``.

    Raises
    ------
    SettingError
        When labels, template and inputs do not fit together, or a server cannot do what the method needs.
    LogprobsNotSupportedError
        When a model gives no log-probabilities, or no alternatives.

    References
    ----------
    T. Zhao et al., "Calibrate Before Use", 2021 (contextual calibration); A. Holtzman et al., "Surface Form
    Competition", 2021 (PMI).
    """
    reader = Labels(labels)
    if method not in _METHODS:
        raise SettingError(
            f"method must be one of {', '.join(map(repr, _METHODS))}, not {method!r}.", setting="method", value=method
        )
    if calibration not in (None, "contextual", "pmi"):
        raise SettingError(
            f"calibration must be 'contextual', 'pmi' or None, not {calibration!r}.",
            setting="calibration",
            value=calibration,
        )
    if isinstance(inputs, str | RawPrompt | Conversation | Mapping):
        raise SettingError(
            f"inputs must be a list with one entry for each question, not {type(inputs).__name__}.",
            setting="inputs",
            value=inputs,
        )
    prompts = [_prompt(one, template, f"inputs[{place}]") for place, one in enumerate(inputs)]
    empty: list[Prompt] = []
    if calibration is not None:
        wanted = list(content_free)[:1] if calibration == "pmi" else list(content_free)
        if not wanted:
            raise SettingError("content_free must hold at least one input.", setting="content_free", value=content_free)
        if template is None and content_free is CONTENT_FREE:
            raise SettingError(
                f"calibration={calibration!r} needs a template, or prompts without content in content_free.",
                setting="content_free",
                value=None,
            )
        empty = [_prompt(one, template, f"content_free[{place}]") for place, one in enumerate(wanted)]
    ask: Callable[..., list[Classification]] = {"first-token": _first, "trie": _trie, "exact": _exact}[method]
    found = ask([*prompts, *empty], reader, client, show_progress)
    results, free = found[: len(prompts)], found[len(prompts) :]
    if calibration is not None:
        results = _calibrated(results, free, reader.names, calibration)
    return Classifications(results, list(inputs), reader.names, method)


def _prompt(value: Any, template: Template | None, where: str) -> Prompt:
    if template is None:
        return as_prompt(value, where)
    if isinstance(template, str):
        return as_prompt(filled(template, value, where), where)
    if isinstance(template, RawPrompt):
        return as_prompt(RawPrompt(filled(template.text, value, where)), where)
    # Only one of a conversation's parts need have a place for the input.
    parts = [message.content for message in template.messages]
    if template.prefill is not None:
        parts.append(template.prefill)
    if not any("{" in part for part in parts):
        filled("\n".join(parts), value, where)
    made = [filled(part, value, where) if "{" in part else part for part in parts]
    messages = tuple(Message(message.role, content) for message, content in zip(template.messages, made, strict=False))
    return as_prompt(Conversation(messages, made[-1] if template.prefill is not None else None), where)


# One request for each input -----------------------------------------------------------------------------------------


def _first(prompts: list[Prompt], labels: Labels, client: LLMClient, progress: bool) -> list[Classification]:
    responses = _answers(prompts, client, _TOKENS, progress)
    return [along(response, labels) for response in responses]


def along(response: APIResponse, labels: Labels) -> Classification:
    """What the tokens of an answer settle, and what those beside them do.

    The alternatives at the first token, and, as long as what was said so far leaves answers open (white space, the
    first piece of a word), those at the next: each weighed by the probability of what leads there.
    """
    table = response.logprobs
    if table is None or not len(table):
        reason = response.error_message or response.note or "The answer has no tokens to look at."
        return failed(labels.names, reason, [response])
    nodes: dict[str, list[Alternative]] = {}
    said = ""
    for position, token in enumerate(table.tokens):
        reading = labels.read(said)
        if said in nodes or reading.label is not None or reading.open == frozenset():
            break
        nodes[said] = _listed(table, position)
        if not nodes[said]:
            del nodes[said]
            break
        said += token
    if not nodes:
        return failed(labels.names, "The provider withheld the log-probabilities of this answer.", [response])
    try:
        return _classification(walked(nodes, labels), [response])
    except LogprobError as error:
        return failed(labels.names, str(error), [response])


def _listed(table: Logprobs, position: int) -> list[Alternative]:
    """The alternatives at a token, and the token itself where they do not hold it."""
    found = [
        Alternative(one["token"], float(one["logprob"]), None)
        for one, logprob in zip(table.top(position), table.top_logprob(position).tolist(), strict=True)
        if one["logprob"] is not None and not math.isnan(logprob)
    ]
    row = table[position : position + 1]
    if not row.is_listed[0] and not row.censored[0]:
        found.append(Alternative(row.tokens[0], float(row.logprob[0]), None))
    return found


def _answers(prompts: Sequence[Any], client: LLMClient, tokens: int, progress: bool) -> list[APIResponse]:
    most = client.max_top_logprobs
    if most < 1:
        raise LogprobsNotSupportedError(
            f"classify needs alternatives, and {', '.join(client.models)} gives the chosen tokens only; method='exact' "
            "is for servers that tell the likelihood of a given text.",
            model=", ".join(client.models),
            remedy="method='exact'",
        )
    settings = []
    for params in client.sampling_params:
        if not params.full_vocab:
            params = params.replace(logprobs=True, top_logprobs=min(params.top_logprobs or _ALTERNATIVES, most))
        settings.append(params.replace(max_new_tokens=min(tokens, params.max_new_tokens or tokens)))
    return client.process_prompts_sync(list(prompts), sampling_params=settings, show_progress=progress)


# All beginnings -----------------------------------------------------------------------------------------------------


def _trie(prompts: list[Prompt], labels: Labels, client: LLMClient, progress: bool) -> list[Classification]:
    """Ask after each beginning that answers may go on from, likeliest first, until none is worth a request."""
    nodes: list[dict[str, list[Alternative]]] = [{} for _ in prompts]
    seen: list[list[APIResponse]] = [[] for _ in prompts]
    reasons: list[str | None] = [None] * len(prompts)
    wanted = [(place, "") for place in range(len(prompts))]
    for turn in range(_ROUNDS):
        asked = [_begun(prompts[place], prefix) for place, prefix in wanted]
        responses = _answers(asked, client, 1, progress and turn == 0)
        for (place, prefix), response in zip(wanted, responses, strict=True):
            seen[place].append(response)
            table = response.logprobs
            found = _listed(table, 0) if table is not None and len(table) else []
            if found:
                nodes[place][prefix] = found
            elif not prefix:
                reasons[place] = response.error_message or response.note or "The answer has no tokens to look at."
        wanted = [
            (place, prefix)
            for place in range(len(prompts))
            if reasons[place] is None
            for prefix in _unfollowed(nodes[place], labels)
            if _can_follow(prompts[place], prefix)
        ]
        if not wanted:
            break
    results = []
    for place, reason in enumerate(reasons):
        try:
            if reason is None:
                results.append(_classification(walked(nodes[place], labels), seen[place]))
                continue
        except LogprobError as error:
            reason = str(error)
        results.append(failed(labels.names, reason, seen[place]))
    return results


def _unfollowed(nodes: dict[str, list[Alternative]], labels: Labels) -> list[str]:
    """The beginnings that leave answers open, are likely enough, and have not been asked about."""
    reached: dict[str, float] = {"": 0.0}
    found = []
    for prefix in sorted(nodes, key=len):
        for one in nodes[prefix]:
            text, logprob = prefix + one.token, reached.get(prefix, -math.inf) + one.logprob
            reading = labels.read(text)
            open_still = reading.label is None and (reading.open is None or bool(reading.open))
            if not one.token or not open_still:
                continue
            reached[text] = max(reached.get(text, -math.inf), logprob)
            if text not in nodes and logprob > math.log(_LEAST) and text not in found:
                found.append(text)
    return found


def _can_follow(prompt: Prompt, prefix: str) -> bool:
    """A chat drops white space at the end of what the answer begins with, so what ends so cannot be asked about."""
    return prompt.raw is not None or prefix == prefix.rstrip()


def _begun(prompt: Prompt, prefix: str) -> Prompt:
    """The prompt with the beginning of its answer."""
    if not prefix:
        return prompt
    if prompt.raw is not None:
        return dataclasses.replace(prompt, raw=prompt.raw + prefix)
    return dataclasses.replace(prompt, prefill=(prompt.prefill or "") + prefix)


# Exact likelihood ---------------------------------------------------------------------------------------------------


def _exact(prompts: list[Prompt], labels: Labels, client: LLMClient, progress: bool) -> list[Classification]:
    asked = [
        (place, name, form) for place in range(len(prompts)) for name in labels.names for form in labels.spellings[name]
    ]
    pairs: list[Any] = [(prompts[place], _continuation(prompts[place], form)) for place, _, form in asked]
    responses = client.score_continuations_sync(pairs, show_progress=progress)
    by_prompt: list[dict[str, list[APIResponse]]] = [{name: [] for name in labels.names} for _ in prompts]
    for (place, name, _), response in zip(asked, responses, strict=True):
        by_prompt[place][name].append(response)
    return [_likelihoods(found, labels) for found in by_prompt]


def _continuation(prompt: Prompt, form: str) -> str:
    """An answer as it follows the prompt: tokens carry their space in front, unless they begin a turn."""
    begins = prompt.raw is None and not prompt.prefill
    return form if begins or form[:1].isspace() else " " + form


def _likelihoods(found: dict[str, list[APIResponse]], labels: Labels) -> Classification:
    every = [response for responses in found.values() for response in responses]
    wrong = next((response for response in every if response.is_error or response.logprobs is None), None)
    if wrong is not None:
        return failed(labels.names, wrong.error_message or wrong.note or "There are no log-probabilities.", every)
    spelt = [
        (place, tuple(zip(table.token_ids, table.tokens, strict=True)), float(table.logprob.sum()))
        for place, responses in enumerate(found.values())
        for response in responses
        if (table := response.logprobs) is not None
    ]
    tally = Tally(labels)
    logliks: list[list[float]] = [[] for _ in labels.names]
    for place, tokens, logprob in {one[1]: one for one in spelt}.values():
        alone = logprob + _rest(logprob, tokens, {each[1]: each[2] for each in spelt})
        tally.settled[place].append(math.exp(alone))
        logliks[place].append(alone)
    matched = math.fsum(p for parts in tally.settled for p in parts)
    distribution = tally.settle(max(1.0 - matched, 0.0), [math.inf] * len(labels))
    loglik = {name: log_sum(values) for name, values in zip(labels.names, logliks, strict=True)}
    # In logarithms, for what is unlikely enough to vanish can still be compared.
    total = log_sum(list(loglik.values()))
    shares = {name: math.exp(value - total) for name, value in loglik.items()} if total > -math.inf else {}
    return dataclasses.replace(_classification(distribution, every, shares), loglik=loglik)


def _rest(logprob: float, tokens: Tokens, spelt: dict[Tokens, float]) -> float:
    """The logarithm of the share of a spelling that does not go on to a longer one ("1" to "10")."""
    longer = [other for other in spelt if len(other) > len(tokens) and other[: len(tokens)] == tokens]
    # Not those that go on from them in turn.
    first = [one for one in longer if not any(len(less) < len(one) and one[: len(less)] == less for less in longer)]
    gone = log_sum([spelt[one] for one in first]) - logprob
    return log1mexp(min(gone, 0.0))


# Results ------------------------------------------------------------------------------------------------------------


def _classification(
    found: LabelDistribution, responses: Sequence[APIResponse], shares: dict[str, float] | None = None
) -> Classification:
    shares = dict(found.normalized) if shares is None else shares
    label = max(shares, key=shares.__getitem__) if shares else None
    return Classification(
        label,
        shares[label] if label is not None else None,
        shares,
        found.lower,
        found.upper,
        found.matched_mass,
        found.certified and label == found.argmax,
        shares,
        responses=tuple(responses),
    )


def _calibrated(
    results: list[Classification], free: list[Classification], names: list[str], calibration: str
) -> list[Classification]:
    wrong = next((one for one in free if one.is_error or not one.uncalibrated), None)
    if wrong is not None:
        reason = f"Calibration failed: {wrong.error_message or 'nothing without content settles on any answer.'}"
        return [one if one.is_error else dataclasses.replace(one, error_message=reason) for one in results]
    made = []
    for one in results:
        if one.is_error or not one.uncalibrated:
            made.append(one)
            continue
        try:
            shares = _contextual(one, free, names) if calibration == "contextual" else _pmi(one, free[0], names)
        except SettingError as error:
            made.append(dataclasses.replace(one, error_message=f"Calibration failed: {error}"))
            continue
        label = max(names, key=shares.__getitem__)
        certified = one.certified and label == one.label
        made.append(
            dataclasses.replace(one, label=label, probability=shares[label], probabilities=shares, certified=certified)
        )
    return made


def _contextual(one: Classification, free: list[Classification], names: list[str]) -> dict[str, float]:
    rows = [_masses(each, names) for each in free]
    scores = contextual_calibration(_masses(one, names), rows).normalized
    return dict(zip(names, scores.tolist(), strict=True))


def _masses(one: Classification, names: list[str]) -> list[float]:
    """What is settled on each answer, as it is: the mean over inputs weighs those more that say more."""
    if one.loglik is not None:
        return [one.uncalibrated[name] for name in names]
    return [one.lower[name] for name in names]


def _pmi(one: Classification, domain: Classification, names: list[str]) -> dict[str, float]:
    def logs(each: Classification) -> list[float]:
        if each.loglik is not None:
            return [each.loglik[name] for name in names]
        return [math.log(each.lower[name]) if each.lower[name] > 0 else -math.inf for name in names]

    scores = pmi_dc(logs(one), logs(domain)).scores
    weights = np.exp(scores - scores.max())
    return dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
