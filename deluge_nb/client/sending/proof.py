"""Prove that a server returns the model's own log-probabilities of given text, or continues the beginning of an answer.

For the former, some tokens are generated, and the same text is given. A server that ignores a field, that shifts its
numbers by one token or that returns processed ones does not return the same numbers twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from ...errors import DelugeError, RequestError, SettingError
from ...prompts import Prompt
from ...sampling import SamplingParams
from ...text.spelling import spellings
from ...transport import portal
from ...transport.secrecy import forget_frames
from ..route import Route, with_prefill
from .request import Item, build_ask, continues_counting, send

if TYPE_CHECKING:
    from ...logprobs.table import Logprobs
    from ...transport.http import Transport

# Texts that can go on in many ways, so that neighbouring tokens have different numbers.
_BEGINNINGS = ("Here is a short story about", "My three favourite things in the world are", "The old man said that")
_TOKENS = 8
# Nats; a model computes a prompt in another order than new tokens.
_MOST_MEAN, _MOST_SINGLE = 0.05, 0.5
# Statuses of a request that the server does not know.
_REFUSALS = frozenset({400, 404, 405, 422, 501})
# Tokens that must be compared.
_LEAST = 3


def prove_scoring(routes: Iterable[Route], on_request: Callable[[], None]) -> None:
    """Check that servers score given text as they generate it, once for each route.

    Parameters
    ----------
    routes
        The routes to the servers. llama.cpp's needs no proof: it generates the text.
    on_request
        Called for each request that is sent for it.

    Raises
    ------
    SettingError
        If the numbers differ, or cannot be compared.
    """
    for route in routes:
        if route.endpoint.scoring not in (None, "grammar"):
            _prove(route, on_request)


def _prove(route: Route, on_request: Callable[[], None]) -> None:
    with route.proof:
        if route.scores is None:
            route.scores = portal.run(_compare(route, route.transport(), on_request))
    if route.scores:
        raise SettingError(
            f"{route.model!r} at {route.endpoint.label} is not proven to return the log-probabilities of given text: "
            f"{route.scores}. The embedded model 'local' and llama.cpp servers do.",
            setting="model",
            value=route.model,
        )


async def _compare(route: Route, transport: Transport, on_request: Callable[[], None]) -> str:
    """Return why a server's numbers cannot be used; empty if they can.

    Raises
    ------
    SettingError
        When the server cannot be asked, so that nothing is known of it.
    """
    reason = "it generated too few tokens to compare"
    for beginning in _BEGINNINGS:
        prompt = Prompt(raw=beginning)
        params = SamplingParams(logprobs=True, top_logprobs=1, max_new_tokens=_TOKENS, temperature=1)
        try:
            drawn = await send(build_ask(Item(route, prompt, params)), transport, on_request=on_request)
        except DelugeError as error:
            raise _not_known(route, error) from error
        route.charge(drawn)
        if not drawn.text or drawn.logprobs is None or len(drawn.logprobs) < _LEAST:
            continue
        asked = build_ask(Item(route, prompt, SamplingParams(logprobs=True, top_logprobs=1), drawn.text))
        try:
            given = await send(asked, transport, on_request=on_request)
        except DelugeError as error:
            if isinstance(error, RequestError) and error.status_code not in _REFUSALS:
                raise _not_known(route, error) from error
            return str(error).removeprefix(f"{route.model!r}: ").rstrip(".")
        route.charge(given)
        outcome = None if given.logprobs is None else differ(drawn.logprobs, given.logprobs)
        if outcome is not None:
            return outcome
        reason = "the tokens that it generated could not be compared with the same text as given"
    return reason


def _not_known(route: Route, error: DelugeError) -> SettingError:
    forget_frames(error)  # they have the server's reply, which may quote the key
    return SettingError(
        f"{route.model!r} could not be asked whether it returns the log-probabilities of given text: {error}",
        setting="model",
        value=route.model,
    )


def differ(drawn: Logprobs, given: Logprobs) -> str | None:
    """Return in what the numbers of given tokens differ from those of the same tokens as they were generated.

    Parameters
    ----------
    drawn, given
        The tokens as they were generated, and as they were given.

    Returns
    -------
    str or None
        Empty if they agree. None if too few tokens can be compared, or numbers in the wrong places would agree, too.
    """
    pairs: list[tuple[float, float]] = []
    tokens = zip(drawn.tokens, given.tokens, given.token_ids, strict=False)
    rows = zip(tokens, drawn.logprob.tolist(), given.logprob.tolist(), strict=False)
    for (token, other, token_id), mine, its in rows:
        # Some servers write ids or spellings of the vocabulary, or do not write the space in front of a token.
        forms = {form.lstrip(b" ") for form in spellings(token, None)}
        if token != f"token_id:{token_id}" and other.lstrip(" ").encode() not in forms:
            break  # the text has other tokens than were drawn
        pairs.append((mine, its))
    if len(pairs) < _LEAST:
        return None
    if any(its != its for _, its in pairs):
        return "it returned some tokens of the text without a number"
    own = [mine for mine, _ in pairs if mine == mine]
    if len(own) < len(pairs) or _agree(list(pairwise(own))):
        return None
    if _agree(pairs):
        return ""
    shown = ", ".join(f"{mine:.2f} and {its:.2f}" for mine, its in pairs[:3])
    return f"its numbers for tokens that it generated and for the same tokens as given text differ ({shown})"


def _agree(pairs: list[tuple[float, float]]) -> bool:
    gaps = [abs(mine - its) for mine, its in pairs]
    return max(gaps) <= _MOST_SINGLE and sum(gaps) / len(gaps) <= _MOST_MEAN


def starts_anew(route: Route, reason: str = "") -> SettingError:
    """Return the error of a server that is not proven to continue the beginning of an answer.

    Parameters
    ----------
    route
        The route to the server.
    reason
        Why it is not proven; empty where the server is known to start a new answer.
    """
    return SettingError(
        f"{route.model!r} is not proven to continue the beginning of an answer: "
        f"{reason or f'{route.endpoint.label} starts a new one'}. If you know that it does, give "
        f"LLMClient(…, continues=True) or name its server, as in 'vllm/{route.model}'; the embedded model 'local' "
        "does.",
        setting="continues",
        value=route.model,
    )


def prove_continuing(route: Route, on_request: Callable[[], None]) -> None:
    """Check that a server continues the beginning of an answer; if that is not known, ask it once, and remember.

    Parameters
    ----------
    route
        The route to the server.
    on_request
        Called for each request that is sent for it.

    Raises
    ------
    SettingError
        If the server starts a new answer, or it cannot be found out.
    MissingKeyError
        If it needs a key and has none.
    """
    with route.proof:
        continues, reason = route.endpoint.prefill, ""
        if continues is None:
            route.require_key()
            try:
                continues = portal.run(continues_counting(route, route.transport(), on_request))
            except DelugeError as error:
                refused = getattr(error, "status_code", None) in (400, 422)
                continues = False if refused else None
                reason = f"asked to continue one, it failed ({str(error).rstrip('.')})"
            if continues is not None:
                route.target = with_prefill(route.target, continues)
    if not continues:
        raise starts_anew(route, reason)
