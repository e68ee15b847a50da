"""Tokens and costs of prompts before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...errors import SettingError, invalid_argument
from ...models import REGISTRY
from ...prompts import Prompt, PromptLike, as_prompts
from ...sampling import requested_choices
from ...transport import portal
from ..base import BaseClient
from ..options import Settings
from ..route import Route
from ..sending.request import Item, build_ask

# Tokens that a chat template puts around one message, and before the first one.
_AROUND_MESSAGE, _BEFORE_CHAT = 16, 64


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Number of tokens, or bounds for it where the model's tokenizer is not at hand.

    Parameters
    ----------
    low
        The fewest tokens: one for each word, because tokenizers do not join words.
    high
        The most tokens: one for each byte of the text, and those of a chat template. None without a bound, as for
        pictures.

    Examples
    --------
    >>> from deluge_nb import TokenCount
    >>> TokenCount(12, 12).exact, TokenCount(12, 80).exact
    (True, False)
    >>> TokenCount(12, 12) + TokenCount(3, None)
    TokenCount(low=15, high=None)
    """

    low: int
    high: int | None

    @property
    def exact(self) -> bool:
        """True if the number is known."""
        return self.low == self.high

    def __add__(self, other: TokenCount) -> TokenCount:
        high = None if self.high is None or other.high is None else self.high + other.high
        return TokenCount(self.low + other.low, high)


@dataclass(frozen=True, slots=True)
class DryRun:
    """Requests, tokens and cost of a call, before anything is sent.

    Parameters
    ----------
    requests
        Requests, if none is retried or answered from the cache.
    input_tokens
        Tokens of all prompts; tools and schemas are not included.
    most_output_tokens
        The most tokens that can be generated; None where ``max_new_tokens`` is not set.
    cost
        The most that the call can cost, in US dollars; None where a price, or a bound of tokens, is not known.

    Examples
    --------
    >>> from deluge_nb import LLMClient
    >>> client = LLMClient("gpt-4o-mini", max_new_tokens=5)
    >>> run = client.dry_run(["Is the sky blue?"] * 100, prices={"gpt-4o-mini": (0.15, 0.60)})
    >>> run.requests, run.most_output_tokens, run.cost < 0.01
    (100, 500, True)
    """

    requests: int
    input_tokens: TokenCount
    most_output_tokens: int | None
    cost: float | None


class Estimates(BaseClient):
    """Calls of :class:`LLMClient` that say what prompts take."""

    def count_tokens(self, prompts: Iterable[PromptLike]) -> list[TokenCount]:
        """Count the tokens of prompts, as the first model reads them.

        Exact for the embedded model, whose tokenizer and chat template are used. For other models the result is an
        interval that holds the number; nothing is sent to a provider.

        Parameters
        ----------
        prompts
            As in :meth:`process_prompts_sync`.

        Returns
        -------
        list of TokenCount
            In the order of the prompts.

        Raises
        ------
        SettingError
            When a prompt is invalid.
        LocalModelError
            When the embedded model cannot be started.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> client = LLMClient("local", max_new_tokens=1)
        >>> (count,) = client.count_tokens(["Name a colour."])
        >>> (response,) = client.process_prompts_sync(["Name a colour."], show_progress=False)
        >>> count.exact, count.low == response.input_tokens
        (True, True)
        """
        read, route = as_prompts(prompts), self._routes[0]
        if route.endpoint.dialect != "llamacpp" or route.served() is None:
            return [_bounds(prompt, route) for prompt in read]
        params = self._settings_for(None)[0]
        return portal.run(_count_exactly([Item(route, prompt, params) for prompt in read], route))

    def dry_run(
        self,
        prompts: Iterable[PromptLike],
        *,
        sampling_params: Settings | None = None,
        prices: Mapping[str, tuple[float, float]] | None = None,
    ) -> DryRun:
        """Estimate a call of :meth:`process_prompts_sync`; nothing is sent, and no model is started.

        Parameters
        ----------
        prompts, sampling_params
            As in :meth:`process_prompts_sync`.
        prices
            By the model's name, US dollars for a million tokens in and for a million tokens out. Prices change, so none
            are built in; models on this machine cost nothing.

        Returns
        -------
        DryRun
            Requests, bounds of the tokens, and the most that the call can cost.

        Raises
        ------
        SettingError, LogprobsNotSupportedError
            As :meth:`process_prompts_sync` raises them.

        Examples
        --------
        >>> from deluge_nb import LLMClient
        >>> LLMClient("gpt-4o-mini").dry_run(["Is the sky blue?"]).cost is None
        True
        """
        prices = _checked_prices(prices)
        settings, next_turn = self._settings_for(sampling_params), self._turns()
        tokens_in, most_out, cost, requests = TokenCount(0, 0), _Sum(0), _Sum(0.0), 0
        for prompt in as_prompts(prompts):
            turn = next_turn()
            route = self._routes[turn]
            if not prompt.is_plain:
                REGISTRY.validate(route.target, settings[turn], prompt)
            ask = build_ask(Item(route, prompt, settings[turn]))
            bounds, limit = _bounds(prompt, route), ask.params.max_new_tokens
            out = None if limit is None else limit * requested_choices(ask.params)
            requests, tokens_in = requests + 1, tokens_in + bounds
            most_out = most_out.plus(out)
            cost = cost.plus(_cost(bounds.high, out, _price(route, prices)))
        return DryRun(requests, tokens_in, cast(int | None, most_out.value), cost.value)


@dataclass(frozen=True, slots=True)
class _Sum:
    """Sum that is unknown as soon as one of its parts is."""

    value: float | None

    def plus(self, part: float | None) -> _Sum:
        return _Sum(None if self.value is None or part is None else self.value + part)


def _checked_prices(prices: object) -> Mapping[str, tuple[float, float]]:
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):
        raise invalid_argument("prices", prices, "a dict such as {'gpt-4o-mini': (0.15, 0.60)}")
    for model, price in prices.items():
        numbers = list(price) if isinstance(price, Sequence) and not isinstance(price, str) else []
        if len(numbers) != 2 or not all(isinstance(item, int | float) and 0 <= item < float("inf") for item in numbers):
            raise SettingError(
                f"prices[{model!r}] must be two numbers, dollars for a million tokens in and out, not {price!r}.",
                setting="prices",
                value=price,
            )
    return prices


def _price(route: Route, prices: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    if route.model not in prices:
        return (0.0, 0.0) if route.endpoint.launch is not None else None
    tokens_in, tokens_out = prices[route.model]
    return tokens_in, tokens_out


def _cost(tokens_in: int | None, tokens_out: int | None, price: tuple[float, float] | None) -> float | None:
    if price == (0.0, 0.0):
        return 0.0
    if tokens_in is None or tokens_out is None or price is None:
        return None
    return (tokens_in * price[0] + tokens_out * price[1]) / 1e6


def _bounds(prompt: Prompt, route: Route) -> TokenCount:
    if prompt.raw is not None:
        return TokenCount(len(prompt.raw.split()), len(prompt.raw.encode(errors="replace")) + 1)
    messages = list(prompt.messages)
    system = route.target.spec.system
    if system is not None and not prompt.has_system:
        messages.append({"role": "system", "content": system})
    if prompt.prefill is not None:
        messages.append({"role": "assistant", "content": prompt.prefill})
    texts = [text for message in messages for text in _texts(message)]
    low = sum(len(text.split()) for text in texts if text is not None)
    if None in texts:
        return TokenCount(low, None)
    size = sum(len(text.encode(errors="replace")) for text in texts if text is not None)
    return TokenCount(low, size + _AROUND_MESSAGE * len(messages) + _BEFORE_CHAT)


def _texts(message: Mapping[str, Any]) -> Iterator[str | None]:
    """Yield the texts of a message, and None for each part of another kind."""
    content = message.get("content")
    for part in content if isinstance(content, list) else [content]:
        text = part.get("text") if isinstance(part, Mapping) else part
        if text is not None or isinstance(part, Mapping):
            yield text if isinstance(text, str) else None
    if message.get("tool_calls"):
        yield None


async def _count_exactly(items: list[Item], route: Route) -> list[TokenCount]:
    import asyncio

    from ...dialects.llamacpp.dialect import count_tokens

    transport = await asyncio.to_thread(route.transport)
    counts: list[TokenCount] = []
    for item in items:
        exchange: Any = count_tokens(build_ask(item))
        count: Any = await transport.carry(exchange, route.model)
        counts.append(TokenCount(count, count))
    return counts
