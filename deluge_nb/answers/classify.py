"""Classify inputs: by the first tokens of an answer, by a tree of likely beginnings, or by exact likelihood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..errors import SettingError
from ..prompts import Conversation, Message, Prompt, RawPrompt, as_prompt
from ..stats.labels import LabelSet
from ..text.matching import Labels
from .calibrate import Calibration, calibrate
from .exact import by_likelihood
from .first_token import by_first_token
from .results import Classification, Classifications
from .score import fill_template
from .trie import by_trie

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..prompts import PromptLike
    from .score import Input

Method = Literal["first-token", "trie", "exact"]
Template = str | RawPrompt | Conversation
Question = tuple[Prompt, Labels]

_METHODS = ("first-token", "trie", "exact")
# Inputs without content, from the paper that proposed contextual calibration.
CONTENT_FREE = ("N/A", "[MASK]", "")


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
        "first-token": by_first_token,
        "trie": by_trie,
        "exact": by_likelihood,
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
