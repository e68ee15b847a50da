"""Which of a set of answers a model gives: by its first tokens, by following all beginnings, or by exact likelihood."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import LogprobError, LogprobsNotSupportedError, SettingError
from ..logprobs.values import log_sum
from ..prompts import Conversation, Message, Prompt, RawPrompt, as_prompt
from ..stats.core.validation import Alternative
from ..stats.entropy import log1mexp
from ..stats.labels import LabelMass, LabelSet, walk_trie
from ..stats.sequences import contextual_calibration, pmi_dc
from ..text.matching import Labels
from .first_token import alternatives_at, classify_response, to_classification
from .results import Classification, Classifications, failed_result
from .score import fill_template

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..prompts import PromptLike
    from ..response import APIResponse
    from .score import Input

Method = Literal["first-token", "trie", "exact"]
Calibration = Literal["contextual", "pmi"]
Template = str | RawPrompt | Conversation
Question = tuple[Prompt, Labels]
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
    labels: LabelSet | Sequence[LabelSet],
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
        spellings of an answer are added up. Or a list of those: the answers to each input.
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
    readers = _readers(labels, len(prompts))
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
    # Inputs that have their answers in common have what is measured without content in common, too.
    sets = list({id(reader): reader for reader in readers}.values())
    questions = [*zip(prompts, readers, strict=True), *((prompt, reader) for reader in sets for prompt in empty)]
    found = ask(questions, client, show_progress)
    results, free = found[: len(prompts)], found[len(prompts) :]
    if calibration is not None:
        of = {id(reader): free[place * len(empty) : (place + 1) * len(empty)] for place, reader in enumerate(sets)}
        results = [
            _calibrated(one, of[id(reader)], reader.names, calibration)
            for one, reader in zip(results, readers, strict=True)
        ]
    return Classifications(results, list(inputs), sets[0].names if len(sets) == 1 else (), method)


def _readers(labels: LabelSet | Sequence[LabelSet], size: int) -> list[Labels]:
    """The answers to each input."""
    if (
        isinstance(labels, str | Mapping)
        or not isinstance(labels, Sequence)
        or not labels
        or isinstance(labels[0], str)
    ):
        return [Labels(labels)] * size  # type: ignore[arg-type]
    if len(labels) != size:
        raise SettingError(
            f"labels must be one set of answers, or one for each of the {size} inputs, not {len(labels)}.",
            setting="labels",
            value=len(labels),
        )
    return [Labels(one) for one in labels]  # type: ignore[arg-type]


def _prompt(value: Any, template: Template | None, where: str) -> Prompt:
    if template is None:
        return as_prompt(value, where)
    if isinstance(template, str):
        return as_prompt(fill_template(template, value, where), where)
    if isinstance(template, RawPrompt):
        return as_prompt(RawPrompt(fill_template(template.text, value, where)), where)
    # Only one of a conversation's parts need have a place for the input.
    parts = [message.content for message in template.messages]
    if template.prefill is not None:
        parts.append(template.prefill)
    if not any("{" in part for part in parts):
        fill_template("\n".join(parts), value, where)
    texts = [fill_template(part, value, where) if "{" in part else part for part in parts]
    messages = tuple(Message(message.role, text) for message, text in zip(template.messages, texts, strict=False))
    return as_prompt(Conversation(messages, texts[-1] if template.prefill is not None else None), where)


# One request for each input -----------------------------------------------------------------------------------------


def _first(questions: list[Question], client: LLMClient, progress: bool) -> list[Classification]:
    responses = _answers([prompt for prompt, _ in questions], client, _TOKENS, progress)
    return [classify_response(response, labels) for response, (_, labels) in zip(responses, questions, strict=True)]


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


def _trie(questions: list[Question], client: LLMClient, progress: bool) -> list[Classification]:
    """Ask after each beginning that answers may go on from, likeliest first, until none is worth a request."""
    prompts, readers = [prompt for prompt, _ in questions], [labels for _, labels in questions]
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
            found = alternatives_at(table, 0) if table is not None and len(table) else []
            if found:
                nodes[place][prefix] = found
            elif not prefix:
                reasons[place] = response.error_message or response.note or "The answer has no tokens to look at."
        wanted = [
            (place, prefix)
            for place in range(len(prompts))
            if reasons[place] is None
            for prefix in _unfollowed(nodes[place], readers[place])
            if _can_follow(prompts[place], prefix)
        ]
        if not wanted:
            break
    results = []
    for place, reason in enumerate(reasons):
        try:
            if reason is None:
                results.append(to_classification(walk_trie(nodes[place], readers[place]), seen[place]))
                continue
        except LogprobError as error:
            reason = str(error)
        results.append(failed_result(readers[place].names, reason, seen[place]))
    return results


def _unfollowed(nodes: dict[str, list[Alternative]], labels: Labels) -> list[str]:
    """The beginnings that leave answers open, are likely enough, and have not been asked about."""
    reached: dict[str, float] = {"": 0.0}
    found = []
    for prefix in sorted(nodes, key=len):
        for one in nodes[prefix]:
            text, logprob = prefix + one.token, reached.get(prefix, -math.inf) + one.logprob
            reading = labels.read(text)
            if not one.token or not reading.is_undecided:
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


def _exact(questions: list[Question], client: LLMClient, progress: bool) -> list[Classification]:
    asked = [
        (place, name, _continuation(prompt, form))
        for place, (prompt, labels) in enumerate(questions)
        for name in labels.names
        for form in labels.spellings[name]
    ]
    pairs: list[Any] = [(questions[place][0], text) for place, _, text in asked]
    responses = client.score_continuations_sync(pairs, show_progress=progress)
    found: list[dict[str, list[APIResponse]]] = [{name: [] for name in labels.names} for _, labels in questions]
    for (place, name, _), response in zip(asked, responses, strict=True):
        found[place][name].append(response)
    return [_likelihoods(each, labels) for each, (_, labels) in zip(found, questions, strict=True)]


def _continuation(prompt: Prompt, form: str) -> str:
    """An answer as it follows the prompt: tokens carry their space in front, unless they begin a turn."""
    begins = prompt.raw is None and not prompt.prefill
    return form if begins or form[:1].isspace() else " " + form


def _likelihoods(found: dict[str, list[APIResponse]], labels: Labels) -> Classification:
    every = [response for responses in found.values() for response in responses]
    wrong = next((response for response in every if response.is_error or response.logprobs is None), None)
    if wrong is not None:
        return failed_result(
            labels.names, wrong.error_message or wrong.note or "There are no log-probabilities.", every
        )
    spelt = [
        (place, tuple(zip(table.token_ids, table.tokens, strict=True)), float(table.logprob.sum()))
        for place, responses in enumerate(found.values())
        for response in responses
        if (table := response.logprobs) is not None
    ]
    tally = LabelMass(labels)
    logliks: list[list[float]] = [[] for _ in labels.names]
    for place, tokens, logprob in {one[1]: one for one in spelt}.values():
        alone = logprob + _rest(logprob, tokens, {each[1]: each[2] for each in spelt})
        tally.per_label[place].append(math.exp(alone))
        logliks[place].append(alone)
    matched = math.fsum(p for parts in tally.per_label for p in parts)
    distribution = tally.to_distribution(max(1.0 - matched, 0.0), [math.inf] * len(labels))
    loglik = {name: log_sum(values) for name, values in zip(labels.names, logliks, strict=True)}
    # In logarithms, for what is unlikely enough to vanish can still be compared.
    total = log_sum(list(loglik.values()))
    shares = {name: math.exp(value - total) for name, value in loglik.items()} if total > -math.inf else {}
    return dataclasses.replace(to_classification(distribution, every, shares), loglik=loglik)


def _rest(logprob: float, tokens: Tokens, spelt: dict[Tokens, float]) -> float:
    """The logarithm of the share of a spelling that does not go on to a longer one ("1" to "10")."""
    longer = [other for other in spelt if len(other) > len(tokens) and other[: len(tokens)] == tokens]
    # Not those that go on from them in turn.
    first = [one for one in longer if not any(len(less) < len(one) and one[: len(less)] == less for less in longer)]
    gone = log_sum([spelt[one] for one in first]) - logprob
    return log1mexp(min(gone, 0.0))


# Calibration ----------------------------------------------------------------------------------------------------------


def _calibrated(one: Classification, free: list[Classification], names: list[str], calibration: str) -> Classification:
    if one.is_error or not one.uncalibrated:
        return one
    wrong = next((each for each in free if each.is_error or not each.uncalibrated), None)
    if wrong is not None:
        reason = wrong.error_message or "nothing without content settles on any answer."
        return dataclasses.replace(one, error_message=f"Calibration failed: {reason}")
    try:
        shares = _contextual(one, free, names) if calibration == "contextual" else _pmi(one, free[0], names)
    except SettingError as error:
        return dataclasses.replace(one, error_message=f"Calibration failed: {error}")
    label = max(names, key=shares.__getitem__)
    certified = one.certified and label == one.label
    return dataclasses.replace(one, label=label, probability=shares[label], probabilities=shares, certified=certified)


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
