"""Tables for the browser tests."""

from __future__ import annotations

import math
from typing import Any

from playwright.sync_api import Locator, Page, expect

from deluge_nb import Logprobs


def entry(token: str | bytes, p: float, **others: float) -> dict[str, Any]:
    raw = token if isinstance(token, bytes) else token.encode()
    text = raw.decode("utf-8", "replace")
    top = [{"token": text, "logprob": math.log(p), "bytes": list(raw)}]
    top += [{"token": other, "logprob": math.log(q), "bytes": list(other.encode())} for other, q in others.items()]
    top.sort(key=lambda one: -one["logprob"])
    return {"token": text, "logprob": math.log(p), "bytes": list(raw), "top_logprobs": top}


def table(*tokens: tuple[Any, ...]) -> Logprobs:
    return Logprobs.from_entries([entry(token, p, **(others[0] if others else {})) for token, p, *others in tokens])


FRANCE = table(
    ("The", 0.53, {"Paris": 0.2, "France": 0.1}),
    (" capital", 0.93, {" city": 0.05}),
    (" of", 0.99),
    (" France", 0.98),
    (" is", 0.9, {" was": 0.04}),
    (" Paris", 0.04, {" Lyon": 0.7, "  Nice": 0.1}),
    (".", 0.6, {",": 0.3}),
)


def long_table(count: int) -> Logprobs:
    words = [" alpha", " beta", " gamma", ",", "ray", ".\n"]
    return Logprobs.from_entries(
        entry(words[i % len(words)], 0.1 + 0.8 * ((i * 37) % 100) / 100, **{" other": 0.05}) for i in range(count)
    )


def heats(tokens: Locator) -> list[float]:
    """Return the heat of each token, as the browser computed it."""
    return tokens.evaluate_all("all => all.map(e => Number(getComputedStyle(e).getPropertyValue('--u')))")


def is_the_card_of_paris(card: Locator) -> None:
    """Check the content of the card of the sixth token of FRANCE."""
    expect(card).to_be_visible()
    expect(card.locator(".deluge-card-head")).to_have_text("·Paris4 %")
    assert card.locator(".deluge-card-list code").all_text_contents() == [
        "·Lyon",
        "··Nice",
        "·Paris",
        "everything else",
    ]


def escapes_until_heard(page: Page) -> int:
    """Press Escape until the host receives it, and return the number of presses."""
    page.evaluate("window.heard = 0; addEventListener('keydown', (e) => { if (e.key === 'Escape') window.heard++; })")
    pressed = 0
    while page.evaluate("window.heard") == 0 and pressed < 10:
        page.keyboard.press("Escape")
        pressed += 1
    return pressed
