"""The model that lessons ask, and its answers, each computed once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from .. import reading
from ..client.client import client_for
from ..errors import invalid_argument
from ..prompts import Conversation

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

    from ..client.client import LLMClient
    from ..logprobs.table import Logprobs
    from ..models.spec import ServedModel

_Cached = TypeVar("_Cached", bound="_lru_cache_wrapper[Any]")

# Alternatives at each token of a given text.
LISTED = 20
_current: str | ServedModel | LLMClient = "local"
_caches: list[_lru_cache_wrapper[Any]] = []


def until_another(cached: _Cached) -> _Cached:
    """Empty the cache of a function when another model is chosen.

    A lesson asks for the same texts in its cells, its reveals and its checks, and cells are run again and again.
    """
    _caches.append(cached)
    return cached


def use_model(model: str | ServedModel | LLMClient) -> None:
    """Choose the model that the lessons ask from here on; the embedded model is the default.

    Checks and reveals compute their answers from this model, so they stay right. It must return whole distributions, as
    the embedded model, your own :class:`deluge_nb.LocalModel` and llama.cpp servers do.

    Parameters
    ----------
    model
        A model's name, a :class:`deluge_nb.LocalModel`, or a client.

    Raises
    ------
    SettingError
        If this is no model.

    Examples
    --------
    >>> from deluge_nb.lab import use_model
    >>> use_model("local")
    """
    global _current
    with client_for(model):  # which refuses what is no model
        _current = model
    for cached in _caches:
        cached.cache_clear()


def current_model() -> str | ServedModel | LLMClient:
    """Return the model of the lessons."""
    return _current


@until_another
@lru_cache(maxsize=64)
def distribution(text: str) -> Logprobs:
    """Return the distribution of the token after a text, over the whole vocabulary."""
    return reading.next_token(text, model=_current)


@until_another
@lru_cache(maxsize=16)
def first_of_answer(question: str) -> Logprobs:
    """Return the distribution of the first token of the answer to a question, in a chat."""
    return reading.next_token(Conversation.user(question), model=_current)


@until_another
@lru_cache(maxsize=256)
def scored(begin: str, end: str) -> Logprobs:
    """Return the log-probabilities of an end of a text after its beginning."""
    return reading.read(not_empty(end), before=begin, model=_current, top_logprobs=LISTED, show_progress=False)


def not_empty(end: str) -> str:
    """Return an end, and refuse an empty one by the name that it has in lessons."""
    if end == "":
        raise invalid_argument("end", end, "a text that is not empty")
    return end


def bits(begin: str, end: str) -> float:
    """Return the surprisal of an end of a text after its beginning, in bits."""
    return float(scored(begin, end).surprisal(2).sum())


def probability(begin: str, end: str) -> float:
    """Return the probability of an end of a text after its beginning."""
    return 2.0 ** -bits(begin, end)
