"""Ask several prompts or models the same inputs, and compare their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..answers.inputs import Template, check_client
from ..client.interruption import replace_note
from ..errors import SettingError, invalid_argument
from .rows import read_rows, used_values
from .variants import Variants

if TYPE_CHECKING:
    from ..client.client import LLMClient
    from ..models.spec import ServedModel
    from ..response import APIResponse
    from .comparisons import Comparisons


def compare_many(
    inputs: Any,
    variants: Mapping[str, Any],
    *,
    template: Template | None = None,
    client: LLMClient | None = None,
    model: str | ServedModel = "local",
    show_progress: bool = True,
    resume: Mapping[str, Sequence[APIResponse | None]] | None = None,
) -> Comparisons:
    """Compare the answers of several prompts or models to many inputs.

    Parameters
    ----------
    inputs
        A list or a Series of texts, tuples, dicts or whole prompts; or a data frame, an Arrow table or a dict of
        columns, whose names are then the placeholders.
    variants
        What is compared, by its name; the others are compared with the first. A client or the name of a model is asked
        the inputs themselves, or ``template`` filled with each. A template, with placeholders as for
        :func:`deluge_nb.score_llm`, is asked of ``client``. A list of responses, one for each input, is taken as it is.
    template
        The template for clients and models: a text, a :class:`~deluge_nb.RawPrompt` or a
        :class:`~deluge_nb.Conversation`. By default the inputs are the prompts.
    client
        The client that the templates among the variants are asked of.
    model
        In place of ``client``: a model's name, or a :class:`~deluge_nb.LocalModel`.
    show_progress
        Show a progress bar.
    resume
        ``Comparisons.interrupted`` of the same call that was interrupted, or ``comparisons.responses``: only what is
        missing or failed is asked.

    Returns
    -------
    Comparisons
        One row for each input. An answer that failed is a line in its row. Clients ask for log-probabilities, with
        temperature 0 where they leave it open.

    Raises
    ------
    SettingError
        When an argument has an invalid value, or template and inputs do not fit together.
    LogprobsNotSupportedError
        When a model gives no log-probabilities.
    KeyboardInterrupt
        If interrupted. As after any exception that ends the call early, ``Comparisons.interrupted`` has the responses
        that arrived. Pass it to the same call as ``resume``, or in place of ``variants`` to see them.

    Examples
    --------
    >>> from deluge_nb import LLMClient, RawPrompt, compare_many
    >>> client = LLMClient("local", max_new_tokens=4)
    >>> prompts = {"plain": RawPrompt("The capital of {0} is"), "map": RawPrompt("On the map, the capital of {0} is")}
    >>> comparisons = compare_many(["France", "Italy"], prompts, client=client, show_progress=False)
    >>> comparisons
    Comparisons(2 inputs, plain / map)
    >>> comparisons[0]
    LogprobCompare(4 tokens, 4 tokens)
    """
    if client is not None:
        check_client(client, "client")
        if model != "local":
            raise SettingError("Pass client or model, not both.", setting="model", value=model)
    rows = read_rows(inputs)
    asked = Variants(variants, template, client, model)
    asked.check_count(len(rows.values))
    if rows.is_frame and None in asked.templates:
        raise invalid_argument("template", template, "a template with names of columns, as the inputs are a frame")
    for call in asked.calls:
        call.fill(rows.values)
    earlier = None if resume is None else _read_resume(resume, asked, len(rows.values))
    # Loads numpy and ipywidgets: before anything is paid for.
    from .comparisons import Comparisons

    try:
        for call in asked.calls:
            call.ask(earlier, show_progress)
        texts = [used_values(value, asked.templates) for value in rows.values]
        return Comparisons(texts, _responses(asked, len(rows.values)), index=rows.index)
    except BaseException as error:
        kept = _responses(asked, len(rows.values))
        _keep(error, {name: kept[name] for name in asked.names if name not in asked.given}, kept)
        raise


def _responses(asked: Variants, count: int) -> dict[str, list[Any]]:
    by_name: dict[str, list[Any]] = dict(asked.given)
    for call in asked.calls:
        by_name |= call.by_name(count)
    return {name: by_name[name] for name in asked.names}


def _keep(error: BaseException, asked: Mapping[str, list[Any]], kept: dict[str, list[Any]]) -> None:
    """Keep the responses that arrived, and say where they are; nothing if none has."""
    from .comparisons import Comparisons

    arrived = sum(response is not None for responses in asked.values() for response in responses)
    if not arrived:
        return
    Comparisons.interrupted = kept
    total = sum(map(len, asked.values()))
    replace_note(
        error,
        f"Comparisons.interrupted has the {arrived} of {total} responses that arrived; resume=Comparisons.interrupted "
        "in the same call asks for the rest.",
    )


def _read_resume(
    resume: Mapping[str, Sequence[APIResponse | None]], asked: Variants, count: int
) -> Mapping[str, Sequence[APIResponse | None]]:
    if not isinstance(resume, Mapping):
        raise invalid_argument("resume", resume, "Comparisons.interrupted of the same call")
    for call in asked.calls:
        for name in call.names:
            if len(resume.get(name, ())) != count:
                raise SettingError(
                    f"resume must have {count} entries for {name!r}, not {len(resume.get(name, ()))}; pass "
                    "Comparisons.interrupted of the same call.",
                    setting="resume",
                    value=len(resume),
                )
    return resume
