"""Choose examples, and show them to the model before a question."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..answers.inputs import Template, fill_prompt
from ..errors import SettingError
from ..prompts import Prompt
from ..text.boundary import space_between

# Between two examples of a raw prompt.
_GAP = "\n\n"


def choose_examples(codes: NDArray[np.intp], size: int, random: np.random.RandomState) -> list[int]:
    """Return the rows of a random choice with equally many examples of each class, as far as there are that many.

    Parameters
    ----------
    codes
        The class of each row, from 0, shape (n,).
    size
        The number of examples, at most n.
    random
        The generator that chooses the rows and their order.

    Returns
    -------
    list of int
        Row numbers, in the order in which the examples are shown.
    """
    order = random.permutation(len(codes))
    # The rank of each row among those of its class: all first rows, then all second ones, and so on.
    ranks = np.empty(len(codes), np.int64)
    for code in np.unique(codes):
        of_class = order[codes[order] == code]
        ranks[of_class] = np.arange(len(of_class))
    by_rank = order[np.argsort(ranks[order], kind="stable")]
    return random.permutation(by_rank[:size]).tolist()


def build_prompt(value: Any, template: Template | None, examples: Sequence[tuple[Any, str]], where: str) -> Prompt:
    """Return the prompt of one input, after examples in the same form with their answers.

    Parameters
    ----------
    value
        The input.
    template
        The question; None if the input is the whole prompt.
    examples
        Inputs with their answers. A chat shows them as earlier turns, a raw prompt as text.
    where
        The input in error messages.

    Returns
    -------
    Prompt
        The prompt.

    Raises
    ------
    SettingError
        When input and template do not fit together, or an instruction differs between examples.
    """
    prompt = fill_prompt(value, template, where)
    shown = [(fill_prompt(text, template, "an example"), answer) for text, answer in examples]
    if not shown:
        return prompt
    if prompt.raw is not None:
        texts = [f"{_with_answer(example.raw or '', answer)}{_GAP}" for example, answer in shown]
        return Prompt(raw="".join(texts) + prompt.raw)
    head = _instruction(prompt)
    messages = [*head]
    for example, answer in shown:
        if _instruction(example) != head:
            raise SettingError(
                "template has a placeholder in its instruction, which is given once for all examples: "
                "move it to a turn of the user, or use n_examples=0.",
                setting="template",
                value=template,
            )
        messages += example.messages[len(head) :]
        messages.append({"role": "assistant", "content": _with_answer((example.prefill or "") + example.gap, answer)})
    return dataclasses.replace(prompt, messages=(*messages, *prompt.messages[len(head) :]), given=None)


def _with_answer(beginning: str, answer: str) -> str:
    return f"{beginning}{space_between(beginning, answer)}{answer}"


def _instruction(prompt: Prompt) -> tuple[Any, ...]:
    """Return the messages before the first turn of the user or the model."""
    first = next(
        (place for place, message in enumerate(prompt.messages) if message["role"] not in ("system", "developer")),
        len(prompt.messages),
    )
    return prompt.messages[:first]
