"""Prompts with the texts to score after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ...errors import SettingError, invalid_argument
from ...models.endpoints import BUILT_IN
from ...prompts import Prompt, PromptLike, RawPrompt, as_prompt, as_rows, check_characters
from ..route import Route

# Forms in which a server scores text after a chat; the others take raw text only.
_OF_CHATS = frozenset({"grammar", "prompt_logprobs"})


def as_scoring_pairs(
    pairs: Iterable[tuple[PromptLike, str]], routes: Sequence[Route], *, as_raw: bool = False
) -> list[tuple[Prompt, str | None]]:
    """Return prompts with the texts to score after them.

    Parameters
    ----------
    pairs
        Prompts, each with a text.
    routes
        The models that may be asked.
    as_raw
        True to take a prompt that is a text as raw text, which may be empty; False to take it as a chat.

    Raises
    ------
    SettingError
        When a model cannot score given texts, or a pair is not a prompt and a text.
    """
    check_scoring(routes, after_chat=False)
    checked: list[tuple[Prompt, str | None]] = []
    for i, pair in enumerate(as_rows(pairs, "pairs", "pairs of a prompt and a text")):
        if not _is_pair(pair):
            raise SettingError(
                f"pairs[{i}] must be a prompt and a text that is not empty, not {pair!r}.", setting="pairs", value=pair
            )
        prompt = as_given_prompt(pair[0], f"pairs[{i}][0]", as_raw=as_raw)
        if prompt.raw is None:
            check_scoring(routes, after_chat=True)
        checked.append((prompt, prompt.gap + pair[1]))
    return checked


def check_given(value: object, where: str) -> None:
    """Check that a text can be given to a model: it is not empty, and of whole characters.

    Parameters
    ----------
    value
        The text.
    where
        Its name in error messages.

    Raises
    ------
    SettingError
        When it is not.
    """
    if not isinstance(value, str) or not value:
        raise invalid_argument(where, value, "a text that is not empty")
    check_characters(value, where)


def _is_pair(pair: Any) -> bool:
    if isinstance(pair, str | Mapping | AbstractSet):
        return False
    try:
        _, text = pair
    except (TypeError, ValueError):
        return False
    return isinstance(text, str) and bool(text)


def as_given_prompt(value: Any, where: str, *, as_raw: bool) -> Prompt:
    """Return what stands before a text.

    Parameters
    ----------
    value
        Any form of a prompt; an empty raw prompt is the very beginning.
    where
        Its name in error messages.
    as_raw
        True to take a text as raw text, which may be empty; False to take it as a chat.

    Raises
    ------
    SettingError
        When the value has none of the accepted forms.
    """
    if as_raw and isinstance(value, str):
        value = RawPrompt(value)
    # The likelihood of a whole text is that after an empty prompt, which nothing could answer.
    is_empty = isinstance(value, RawPrompt) and value.text == ""
    return Prompt(raw="", given=value) if is_empty else as_prompt(value, where)


def scores_text(route: Route, *, after_chat: bool) -> bool:
    """Return whether a model's server is known to score given text.

    Parameters
    ----------
    route
        The route to the model.
    after_chat
        True for text after a chat, False for text after raw text.
    """
    return route.endpoint.scoring in _OF_CHATS or (not after_chat and route.endpoint.scoring is not None)


def check_scoring(routes: Sequence[Route], *, after_chat: bool) -> None:
    """Check that the servers of all models are known to score given text.

    Parameters
    ----------
    routes
        The routes to the models.
    after_chat
        True for text after a chat, False for text after raw text.

    Raises
    ------
    SettingError
        When one is not.
    """
    for route in routes:
        if route.endpoint.scoring is None:
            raise _not_supported(route)
        if not scores_text(route, after_chat=after_chat):
            raise SettingError(
                f"{route.model!r} is asked for the log-likelihood of text after raw text only, because "
                f"{route.endpoint.label} has no such request for a chat; pass RawPrompt(…) with the chat template "
                "written out, or use a vLLM or llama.cpp server or the embedded model 'local'.",
                setting="pairs",
                value=route.model,
            )


def _not_supported(route: Route) -> SettingError:
    # An API of older models does not help who asks for one of the newer models of the same provider.
    servers = [
        endpoint.label
        for endpoint in BUILT_IN
        if endpoint.scoring and not endpoint.launch and endpoint.dialect != "completions"
    ]
    return SettingError(
        f"{route.model!r} cannot be asked for the log-likelihood of a given text: {route.endpoint.label} has no "
        f"request for it. The embedded model 'local' can, and so can models of {', '.join(servers)}, and your own "
        "server with base_url= if it supports echo.",
        setting="model",
        value=route.model,
    )
