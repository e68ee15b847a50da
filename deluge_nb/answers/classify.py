"""Classify inputs: by the first tokens of an answer, by a tree of likely beginnings, or by exact likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from ..client.calls.beginnings import check_can_read, check_may_continue
from ..client.recorder import Recorder
from ..errors import SettingError
from ..prompts import Conversation, Prompt, RawPrompt, as_rows
from .calibrate import Calibration, calibrate
from .exact import by_likelihood
from .first_token import by_first_token, check_alternatives
from .inputs import READ, RESUME, AnswerSet, Input, Template, check_client, fill_prompt, read_answer_sets, read_inputs
from .results import Classification, Classifications, warn_of_little_mass
from .trie import by_trie

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..client.sending.resume import Resume
    from ..prompts import PromptLike

Method = Literal["first-token", "trie", "exact"]

_METHODS = ("first-token", "trie", "exact")
# Inputs without content, from the paper that proposed contextual calibration.
CONTENT_FREE = ("N/A", "[MASK]", "")


def check_method(method: object, calibration: object) -> None:
    """Raise an error for a method or a calibration that does not exist.

    Parameters
    ----------
    method, calibration
        As for :func:`classify`.

    Raises
    ------
    SettingError
        When one of them does not exist.
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


def check_able(client: LLMClient, template: Template, method: Method | None) -> None:
    """Raise an error for a method that the models of a client are known not to support; nothing is sent.

    Parameters
    ----------
    client
        The client.
    template
        The question.
    method
        As for :func:`classify`; None where answers are read from the client's own requests.

    Raises
    ------
    SettingError
        When a server does not support the method, or cannot continue the answer that the template begins.
    LogprobsNotSupportedError
        When a model gives no alternatives.
    """
    is_chat = not isinstance(template, RawPrompt)
    if method == "exact":
        check_can_read(client, after_chat=is_chat)
    elif method is not None:
        check_alternatives(client)
    is_begun = isinstance(template, Conversation) and template.prefill is not None
    if (method == "trie" and is_chat) or (method == "first-token" and is_begun):
        check_may_continue(client)


def classify(
    inputs: Iterable[Input | PromptLike],
    labels: AnswerSet | Iterable[AnswerSet],
    client: LLMClient,
    *,
    template: Template | None = None,
    method: Method = "first-token",
    calibration: Calibration | None = None,
    content_free: Iterable[Input | PromptLike] = CONTENT_FREE,
    single_tokens: bool = False,
    show_progress: bool = True,
    resume: Resume = None,
) -> Classifications:
    """Ask a model which of a set of answers fits each input.

    Parameters
    ----------
    inputs
        Prompts; or, with a template, its values: a text, a tuple of values or a dict of named values for each input.
        Any iterable will do; a Series keeps its index. A data frame or a missing text is refused.
    labels
        The answers, any iterable of texts, or a dict from each answer to its spellings. Repeated answers count once,
        and those of a set are sorted. Case, white space and opening marks are ignored, and the spellings of an answer
        are added up. A list of such sets gives each input its own answers.
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
    single_tokens
        Whether you know that every answer is one token of the model's vocabulary, as the numbers 0 to 999 are for
        OpenAI's models. Then a token that equals an answer is that answer and nothing more ("1" cannot become "10").
    show_progress
        Show a progress bar.
    resume
        ``client.interrupted`` of the same call that was interrupted: only requests without a response are sent.

    Returns
    -------
    Classifications
        A sequence with one :class:`~deluge_nb.Classification` per input, in order; ``.to_pandas()`` makes a table.
        A failed request gives a result with ``error_message``.

    Raises
    ------
    SettingError
        When an argument has a wrong type, when labels, template and inputs do not fit together, or when a server does
        not support the method.
    LogprobsNotSupportedError
        When a model gives no log-probabilities, or no alternatives.
    KeyboardInterrupt
        If interrupted. As after any exception that ends the call early, ``client.interrupted`` has the responses that
        arrived, in the order of the inputs; those of ``content_free`` follow them. Pass it to the same call as
        ``resume``, or the responses to the inputs to :func:`classify_responses`.

    Warns
    -----
    UserWarning
        When more than half of at least ten inputs have less than 5 % of the probability on any answer.

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
    check_method(method, calibration)
    check_client(client, "client")
    values, index = read_inputs(inputs)
    prompts = [fill_prompt(value, template, f"inputs[{row}]") for row, value in enumerate(values)]
    answer_sets, names = read_answer_sets(labels, len(prompts), single_tokens=single_tokens)
    without_content = as_rows(content_free, "content_free", "inputs")
    baselines: list[Prompt] = []
    if calibration is not None:
        neutral = without_content[:1] if calibration == "pmi" else without_content
        if not neutral:
            raise SettingError("content_free must hold at least one input.", setting="content_free", value=content_free)
        if template is None and content_free is CONTENT_FREE:
            raise SettingError(
                f"calibration={calibration!r} needs a template, or prompts without content in content_free.",
                setting="content_free",
                value=None,
            )
        baselines = [fill_prompt(value, template, f"content_free[{row}]") for row, value in enumerate(neutral)]
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
    recorder = Recorder(client, resume)
    try:
        asked = ask(questions, recorder, show_progress)
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
        warn_of_little_mass([None if result.is_error else result.matched_mass for result in results])
        return Classifications(results, values, names, method, index=index)
    except BaseException as error:
        is_readable = method == "first-token" and calibration is None
        recorder.keep(error, RESUME + READ if is_readable else RESUME)
        raise
