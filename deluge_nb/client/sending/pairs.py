"""Prompts with the texts to score after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import SettingError
from ...prompts import Prompt, PromptLike, RawPrompt, as_prompt
from ..route import Route


def as_scoring_pairs(
    pairs: Iterable[tuple[PromptLike, str]], routes: Sequence[Route]
) -> list[tuple[Prompt, str | None]]:
    """Return prompts with the texts to score after them.

    Raises
    ------
    SettingError
        When a model cannot score given texts, or a pair is not a prompt and a text.
    """
    for route in routes:
        if not route.endpoint.continuations:
            raise SettingError(
                f"{route.model!r} cannot be asked for the log-likelihood of a given text; the embedded model 'local' "
                "can.",
                setting="model",
                value=route.model,
            )
    checked: list[tuple[Prompt, str | None]] = []
    for i, pair in enumerate(pairs):
        if isinstance(pair, str) or len(pair) != 2 or not isinstance(pair[1], str) or not pair[1]:
            raise SettingError(
                f"pairs[{i}] must be a prompt and a text that is not empty, not {pair!r}.", setting="pairs", value=pair
            )
        # The likelihood of a whole text is that after an empty prompt, which nothing could answer.
        whole_text = isinstance(pair[0], RawPrompt) and pair[0].text == ""
        prompt = Prompt(raw="") if whole_text else as_prompt(pair[0], f"pairs[{i}][0]")
        checked.append((prompt, prompt.gap + pair[1]))
    return checked
