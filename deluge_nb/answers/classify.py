"""Classify inputs: by the first tokens of an answer, by a tree of likely beginnings, or by exact likelihood."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..errors import LogprobError, LogprobsNotSupportedError, SettingError
from ..logprobs.values import log_sum
from ..prompts import Conversation, Message, Prompt, RawPrompt, as_prompt
from ..stats.core.validation import Alternative
from ..stats.entropy import log1mexp
from ..stats.labels import LabelMass, LabelSet, walk_trie
from ..text.matching import Labels
from .calibrate import Calibration, calibrate
from .first_token import NO_TOKENS, alternatives_at, classify_response, to_classification
from .results import Classification, Classifications, failed_result
from .score import fill_template

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..prompts import PromptLike
    from ..response import APIResponse
    from .score import Input

Method = Literal["first-token", "trie", "exact"]
Template = str | RawPrompt | Conversation
Question = tuple[Prompt, Labels]
Tokens = tuple[tuple[int | None, str], ...]

_METHODS = ("first-token", "trie", "exact")
# Inputs without content, from the paper that proposed contextual calibration.
CONTENT_FREE = ("N/A", "[MASK]", "")
# Enough for white space and Markdown before an answer, and for the tokens of most answers.
_ANSWER_TOKENS = 4
_ALTERNATIVES = 20
# Beginnings of lower probability are not worth a request.
_MIN_PROBABILITY = 1e-3
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
        Prompts; or, with a template, its values: a text, a tuple of values or a dict of named values for each input.
    labels
        The answers, or a dict from each answer to its spellings. Case, white space and opening marks are ignored, and
        the spellings of an answer are added up. A list of such sets gives each input its own answers.
    client
        The client to ask. Its settings are used, except where the method needs others.
    template
        The question, with ``{0}``, ``{1}`` (or ``{}``, or ``{name}``) as placeholders for an input's values: a text, a
        :class:`~deluge_nb.RawPrompt`, or a :class:`~deluge_nb.Conversation`, whose ``assistant_prefix`` may begin the
        answer.
    method
        ``"first-token"`` reads the alternatives where the answer begins, and along the text that the model writes: one
        request per input, with any model that gives alternatives. ``"trie"`` follows all likely beginnings of answers,
        one request each; the model must be able to continue an answer. ``"exact"`` asks for the likelihood of each
        whole spelling, one request each; the server must score given texts, as the embedded model's does.
    calibration
        ``"contextual"`` divides by the preference of the template alone, measured on the ``content_free`` inputs.
        ``"pmi"`` compares each answer with its likelihood after the first of ``content_free``: how much likelier does
        the input make it?
    content_free
        Inputs without content: values for the template, or whole prompts where there is no template.
    show_progress
        Show a progress bar.

    Returns
    -------
    Classifications
        A sequence with one :class:`~deluge_nb.Classification` per input, in order; ``.to_pandas()`` makes a table.
        A failed request gives a result with ``error_message``.

    Raises
    ------
    SettingError
        When labels, template and inputs do not fit together, or a server does not support the method.
    LogprobsNotSupportedError
        When a model gives no log-probabilities, or no alternatives.

    References
    ----------
    T. Zhao et al., "Calibrate Before Use", 2021 (contextual calibration); A. Holtzman et al., "Surface Form
    Competition", 2021 (PMI).

    Examples
    --------
    >>> from deluge_nb import LLMClient, RawPrompt, classify
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
    >>> question = RawPrompt("Review: {0} Sentiment:")
    >>> reviews = ["I loved it.", "A waste of time."]
    >>> classify(reviews, ["positive", "negative"], client, template=question, show_progress=False).labels
    ['positive', 'negative']
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
    prompts = [_fill_prompt(values, template, f"inputs[{row}]") for row, values in enumerate(inputs)]
    answer_sets = _answer_sets(labels, len(prompts))
    baselines: list[Prompt] = []
    if calibration is not None:
        neutral = list(content_free)[:1] if calibration == "pmi" else list(content_free)
        if not neutral:
            raise SettingError("content_free must hold at least one input.", setting="content_free", value=content_free)
        if template is None and content_free is CONTENT_FREE:
            raise SettingError(
                f"calibration={calibration!r} needs a template, or prompts without content in content_free.",
                setting="content_free",
                value=None,
            )
        baselines = [_fill_prompt(values, template, f"content_free[{row}]") for row, values in enumerate(neutral)]
    ask: Callable[..., list[Classification]] = {
        "first-token": _by_first_token,
        "trie": _by_trie,
        "exact": _by_likelihood,
    }[method]
    # Inputs with the same answers share the measurements without content.
    distinct = list({id(answers): answers for answers in answer_sets}.values())
    questions = [
        *zip(prompts, answer_sets, strict=True),
        *((prompt, answers) for answers in distinct for prompt in baselines),
    ]
    asked = ask(questions, client, show_progress)
    results, references = asked[: len(prompts)], asked[len(prompts) :]
    if calibration is not None:
        size = len(baselines)
        reference_of = {
            id(answers): references[index * size : (index + 1) * size] for index, answers in enumerate(distinct)
        }
        results = [
            calibrate(result, reference_of[id(answers)], answers.names, calibration)
            for result, answers in zip(results, answer_sets, strict=True)
        ]
    return Classifications(results, list(inputs), distinct[0].names if len(distinct) == 1 else (), method)


def _answer_sets(labels: LabelSet | Sequence[LabelSet], size: int) -> list[Labels]:
    """Return the set of answers of each input."""
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
    return [Labels(label_set) for label_set in labels]  # type: ignore[arg-type]


def _fill_prompt(values: Any, template: Template | None, where: str) -> Prompt:
    """Return the prompt of one input: the template with its values, or the input itself."""

    def fill(text: str) -> str:
        return fill_template(text, values, where, setting="template")

    if template is None:
        return as_prompt(values, where)
    if isinstance(template, str):
        return as_prompt(fill(template), where)
    if isinstance(template, RawPrompt):
        return as_prompt(RawPrompt(fill(template.text)), where)
    # One placeholder in the whole conversation is enough.
    parts = [message.content for message in template.messages]
    if template.prefill is not None:
        parts.append(template.prefill)
    if not any("{" in part for part in parts):
        fill("\n".join(parts))
    texts = [fill(part) if "{" in part else part for part in parts]
    messages = tuple(Message(message.role, text) for message, text in zip(template.messages, texts, strict=False))
    return as_prompt(Conversation(messages, texts[-1] if template.prefill is not None else None), where)


# First token --------------------------------------------------------------------------------------------------------


def _by_first_token(questions: list[Question], client: LLMClient, progress: bool) -> list[Classification]:
    responses = _request_alternatives([prompt for prompt, _ in questions], client, _ANSWER_TOKENS, progress)
    return [classify_response(response, labels) for response, (_, labels) in zip(responses, questions, strict=True)]


def _request_alternatives(prompts: Sequence[Any], client: LLMClient, tokens: int, progress: bool) -> list[APIResponse]:
    """Ask for at most ``tokens`` tokens per prompt, with as many alternatives as the model gives."""
    limit = client.max_top_logprobs
    if limit < 1:
        raise LogprobsNotSupportedError(
            f"classify needs alternatives, and {', '.join(client.models)} gives the chosen tokens only; use "
            "method='exact' with a server that scores given texts.",
            model=", ".join(client.models),
            remedy="method='exact'",
        )
    settings = []
    for params in client.sampling_params:
        if not params.full_vocab:
            params = params.replace(logprobs=True, top_logprobs=min(params.top_logprobs or _ALTERNATIVES, limit))
        settings.append(params.replace(max_new_tokens=min(tokens, params.max_new_tokens or tokens)))
    return client.process_prompts_sync(list(prompts), sampling_params=settings, show_progress=progress)


# Trie of beginnings -------------------------------------------------------------------------------------------------


def _by_trie(questions: list[Question], client: LLMClient, progress: bool) -> list[Classification]:
    """Expand likely beginnings of answers, one request each, until none is worth a request."""
    prompts, answer_sets = [prompt for prompt, _ in questions], [labels for _, labels in questions]
    tries: list[dict[str, list[Alternative]]] = [{} for _ in prompts]
    responses_of: list[list[APIResponse]] = [[] for _ in prompts]
    reasons: list[str | None] = [None] * len(prompts)
    frontier = [(row, "") for row in range(len(prompts))]
    for turn in range(_ROUNDS):
        requests = [_with_prefix(prompts[row], prefix) for row, prefix in frontier]
        responses = _request_alternatives(requests, client, 1, progress and turn == 0)
        for (row, prefix), response in zip(frontier, responses, strict=True):
            responses_of[row].append(response)
            table = response.logprobs
            alternatives = alternatives_at(table, 0) if table is not None and len(table) else []
            if alternatives:
                tries[row][prefix] = alternatives
            elif not prefix:
                reasons[row] = response.error_message or response.note or NO_TOKENS
        frontier = [
            (row, prefix)
            for row in range(len(prompts))
            if reasons[row] is None
            for prefix in _unexplored_prefixes(tries[row], answer_sets[row])
            if _can_continue(prompts[row], prefix)
        ]
        if not frontier:
            break
    results = []
    for row, reason in enumerate(reasons):
        try:
            if reason is None:
                results.append(to_classification(walk_trie(tries[row], answer_sets[row]), responses_of[row]))
                continue
        except LogprobError as error:
            reason = str(error)
        results.append(failed_result(answer_sets[row].names, reason, responses_of[row]))
    return results


def _unexplored_prefixes(trie: dict[str, list[Alternative]], labels: Labels) -> list[str]:
    """Return the beginnings that leave answers open, are likely enough, and have no node in the trie yet."""
    best: dict[str, float] = {"": 0.0}
    prefixes = []
    for prefix in sorted(trie, key=len):
        for alternative in trie[prefix]:
            text, logprob = prefix + alternative.token, best.get(prefix, -math.inf) + alternative.logprob
            if not alternative.token or not labels.read(text).is_undecided:
                continue
            best[text] = max(best.get(text, -math.inf), logprob)
            if text not in trie and logprob > math.log(_MIN_PROBABILITY) and text not in prefixes:
                prefixes.append(text)
    return prefixes


def _can_continue(prompt: Prompt, prefix: str) -> bool:
    """Return whether a model continues exactly this beginning: chat servers strip white space at its end."""
    return prompt.raw is not None or prefix == prefix.rstrip()


def _with_prefix(prompt: Prompt, prefix: str) -> Prompt:
    """Return the prompt with the beginning of its answer."""
    if not prefix:
        return prompt
    if prompt.raw is not None:
        return dataclasses.replace(prompt, raw=prompt.raw + prefix)
    return dataclasses.replace(prompt, prefill=(prompt.prefill or "") + prefix)


# Exact likelihood ---------------------------------------------------------------------------------------------------


def _by_likelihood(questions: list[Question], client: LLMClient, progress: bool) -> list[Classification]:
    """Ask for the likelihood of every spelling of every answer."""
    requests = [
        (row, name, _continuation(prompt, spelling))
        for row, (prompt, labels) in enumerate(questions)
        for name in labels.names
        for spelling in labels.spellings[name]
    ]
    pairs: list[Any] = [(questions[row][0], text) for row, _, text in requests]
    responses = client.score_continuations_sync(pairs, show_progress=progress)
    scored: list[dict[str, list[APIResponse]]] = [{name: [] for name in labels.names} for _, labels in questions]
    for (row, name, _), response in zip(requests, responses, strict=True):
        scored[row][name].append(response)
    return [_from_likelihoods(of_label, labels) for of_label, (_, labels) in zip(scored, questions, strict=True)]


def _continuation(prompt: Prompt, spelling: str) -> str:
    """Return a spelling as it follows the prompt: with a space in front, unless it begins the model's turn."""
    begins_turn = prompt.raw is None and not prompt.prefill
    return spelling if begins_turn or spelling[:1].isspace() else " " + spelling


def _from_likelihoods(scored: dict[str, list[APIResponse]], labels: Labels) -> Classification:
    """Return the result of the scored spellings of each answer."""
    responses = [response for of_label in scored.values() for response in of_label]
    failed = next((response for response in responses if response.is_error or response.logprobs is None), None)
    if failed is not None:
        return failed_result(
            labels.names, failed.error_message or failed.note or "There are no log-probabilities.", responses
        )
    spelt = [
        (answer, tuple(zip(table.token_ids, table.tokens, strict=True)), float(table.logprob.sum()))
        for answer, of_label in enumerate(scored.values())
        for response in of_label
        if (table := response.logprobs) is not None
    ]
    logprob_of = {tokens: logprob for _, tokens, logprob in spelt}
    label_mass = LabelMass(labels)
    logliks: list[list[float]] = [[] for _ in labels.names]
    for answer, tokens, logprob in {spelling[1]: spelling for spelling in spelt}.values():
        complete = logprob + _log_complete_share(logprob, tokens, logprob_of)
        label_mass.per_label[answer].append(math.exp(complete))
        logliks[answer].append(complete)
    matched = math.fsum(p for parts in label_mass.per_label for p in parts)
    distribution = label_mass.to_distribution(max(1.0 - matched, 0.0), [math.inf] * len(labels))
    loglik = {name: log_sum(values) for name, values in zip(labels.names, logliks, strict=True)}
    # In logarithms: probabilities that underflow to 0 can still be compared.
    total = log_sum(list(loglik.values()))
    shares = {name: math.exp(value - total) for name, value in loglik.items()} if total > -math.inf else {}
    return dataclasses.replace(to_classification(distribution, responses, shares), loglik=loglik)


def _log_complete_share(logprob: float, tokens: Tokens, logprob_of: dict[Tokens, float]) -> float:
    """Return the logarithm of the share of a spelling that is not continued to a longer one ("1" to "10")."""
    longer = [other for other in logprob_of if len(other) > len(tokens) and other[: len(tokens)] == tokens]
    # A spelling that continues another of the longer ones is already part of that one.
    nearest = [
        spelling
        for spelling in longer
        if not any(len(other) < len(spelling) and spelling[: len(other)] == other for other in longer)
    ]
    continued = log_sum([logprob_of[spelling] for spelling in nearest]) - logprob
    return log1mexp(min(continued, 0.0))
