"""Tokens and costs of prompts before they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from deluge_nb import Conversation, LLMClient, RawPrompt, SettingError, TokenCount
from tests.openai_server import ChatServer

PRICES = {"gpt-4o-mini": (0.15, 0.60)}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "prompt",
    [
        "Is the sky blue?",
        "Ist der Himmel blau? 天は青いですか。 🙂",
        [{"role": "system", "content": "Short."}, {"role": "user", "content": "Is it?"}],
        Conversation().user("Is it?").assistant_prefix("It is "),
        RawPrompt("The sky is"),
    ],
    ids=repr,
)
def test_the_embedded_model_s_count_lies_within_the_bounds_for_others(prompt: Any) -> None:
    ((exact,), (bounds,)) = (LLMClient(name).count_tokens([prompt]) for name in ("local", "vllm/some-model"))
    assert exact.exact
    assert not bounds.exact
    assert bounds.high is not None
    assert bounds.low <= exact.low <= bounds.high


def test_a_picture_has_no_upper_bound() -> None:
    (count,) = LLMClient("gpt-4o-mini").count_tokens([Conversation().user("What is this?", image=PNG)])
    assert count == TokenCount(3, None)


def test_a_dry_run_sends_nothing(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    run = LLMClient("gpt-4o-mini", max_new_tokens=5).dry_run(["a b", "c"], prices=PRICES)
    assert not server.seen
    assert (run.requests, run.input_tokens.low, run.most_output_tokens) == (2, 3, 10)
    assert run.cost == pytest.approx(((run.input_tokens.high or 0) * 0.15 + 10 * 0.60) / 1e6)


@pytest.mark.parametrize(
    ("settings", "prices", "out"),
    [({"max_new_tokens": 5}, None, 5), ({}, PRICES, None), ({"max_new_tokens": 5}, {}, 5)],
)
def test_a_cost_is_none_where_something_is_not_known(settings: Any, prices: Any, out: int | None) -> None:
    run = LLMClient("gpt-4o-mini", **settings).dry_run(["a"], prices=prices)
    assert (run.cost, run.most_output_tokens) == (None, out)


def test_several_answers_take_several_times_the_tokens_out() -> None:
    assert LLMClient("gpt-4o-mini", n=3, max_new_tokens=5).dry_run(["a"]).most_output_tokens == 15


def test_a_model_on_this_machine_costs_nothing() -> None:
    assert LLMClient("local", max_new_tokens=5).dry_run(["a"]).cost == 0


def test_no_prompts_take_nothing() -> None:
    run = LLMClient("gpt-4o-mini").dry_run([])
    assert (run.requests, run.input_tokens, run.most_output_tokens, run.cost) == (0, TokenCount(0, 0), 0, 0)


@pytest.mark.parametrize("price", [0.15, "ab", (1,), (1, -1), (1, "2"), (1, float("nan"))], ids=repr)
def test_a_price_that_is_none_is_refused(price: Any) -> None:
    with pytest.raises(SettingError, match=r"prices\['gpt-4o-mini'\] must be two numbers"):
        LLMClient("gpt-4o-mini", max_new_tokens=1).dry_run(["a"], prices={"gpt-4o-mini": price})


@pytest.mark.parametrize("prices", ["x", (1, 2), 3, {"input": 1}, {"other": (1, -2)}, {"other": (1, "2")}])
def test_prices_that_are_none_are_refused(prices: Any) -> None:
    with pytest.raises(SettingError, match=r"^prices"):
        LLMClient("gpt-4o-mini").dry_run(["a"], prices=prices)


def test_a_dry_run_refuses_what_the_model_cannot_be_asked() -> None:
    with pytest.raises(SettingError, match="cannot continue raw text"):
        LLMClient("gpt-4o-mini").dry_run([RawPrompt("The sky is")])
