"""Cuts of a sampler: against a literal sampler, and within their bounds where only the top is known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.errors import SettingError
from deluge_nb.stats import sampling_bounds, temperature_topk, top_k, top_p

FILE = json.loads((Path(__file__).parent.parent / "fixtures" / "sampling_vectors.json").read_text("utf-8"))
SLACK = 1e-9


def literal(
    p: np.ndarray, temperature: float, k: int | None, share: float | None, least: float | None, order: str
) -> Any:
    """Sample as the server does, step by step over the whole vocabulary; return the probabilities of the draw."""
    logits = np.log(p)

    def probabilities(values: np.ndarray) -> np.ndarray:
        powers = np.exp(values - values.max())
        return powers / powers.sum()

    def heat(values: np.ndarray) -> np.ndarray:
        return values / temperature

    def by_number(values: np.ndarray) -> np.ndarray:
        kept = np.argsort(-values, kind="stable")[:k]
        return np.where(np.isin(np.arange(len(values)), kept), values, -np.inf)

    def by_sum(values: np.ndarray) -> np.ndarray:
        order = np.argsort(-values, kind="stable")
        before = np.cumsum(probabilities(values)[order]) - probabilities(values)[order]
        kept = order[before < (share or 1)]
        return np.where(np.isin(np.arange(len(values)), kept), values, -np.inf)

    def by_share(values: np.ndarray) -> np.ndarray:
        shares = probabilities(values)
        return np.where(shares >= (least or 0) * shares.max(), values, -np.inf)

    steps = {"vllm": (heat, by_share, by_number, by_sum), "llama.cpp": (by_number, by_sum, by_share, heat)}[order]
    for step in steps:
        logits = step(logits)
    return probabilities(logits)


CUTS: dict[str, Any] = {
    "temperature": st.sampled_from([0.3, 0.7, 1.0, 1.4, 2.0]),
    "k": st.none() | st.integers(1, 14),
    "share": st.none() | st.floats(0.05, 0.99),
    "least": st.none() | st.floats(0.001, 0.9),
    "order": st.sampled_from(["vllm", "llama.cpp"]),
}
WHOLE = st.lists(st.floats(0.01, 1), min_size=2, max_size=12, unique_by=lambda x: round(x, 3))


@given(weights=WHOLE, **CUTS)
def test_of_a_whole_distribution_the_result_is_that_of_the_sampler(
    weights: list[float], temperature: float, k: int | None, share: float | None, least: float | None, order: Any
) -> None:
    p = np.array(weights) / sum(weights)
    truth = literal(p, temperature, k, share, least, order)
    got = sampling_bounds(
        np.log(p), temperature=temperature, top_k=k, top_p=share, min_p=least, order=order, vocab_size=len(p)
    )
    assert got.lower == pytest.approx(truth, abs=SLACK)
    assert got.upper == pytest.approx(truth, abs=SLACK)
    assert (got.certain == (truth > 0)).all()
    assert (got.possible == (truth > 0)).all()
    assert got.rest == pytest.approx((0, 0), abs=SLACK)


@given(weights=WHOLE, listed=st.integers(1, 12), known_size=st.booleans(), with_extra=st.booleans(), **CUTS)
def test_of_the_top_the_bounds_hold_the_truth(
    weights: list[float],
    listed: int,
    known_size: bool,
    with_extra: bool,
    temperature: float,
    k: int | None,
    share: float | None,
    least: float | None,
    order: Any,
) -> None:
    p = np.array(sorted(weights, reverse=True)) / sum(weights)
    truth = literal(p, temperature, k, share, least, order)
    listed = min(listed, len(p))
    extra = len(p) - 1 if with_extra and len(p) > listed else None
    shown = [*range(listed), *([] if extra is None else [extra])]
    got = sampling_bounds(
        np.log(p[:listed]),
        temperature=temperature,
        top_k=k,
        top_p=share,
        min_p=least,
        order=order,
        unlisted=None if extra is None else math.log(p[extra]),
        vocab_size=len(p) if known_size else None,
    )
    assert (got.lower <= truth[shown] + SLACK).all()
    assert (got.upper >= truth[shown] - SLACK).all()
    assert not (got.certain & (truth[shown] == 0)).any()
    assert not (~got.possible & (truth[shown] > 0)).any()
    others = 1 - truth[shown].sum()
    assert got.rest[0] - SLACK <= others <= got.rest[1] + SLACK
    if order == "vllm" and k is not None and k <= listed:
        assert got.upper == pytest.approx(got.lower)  # known exactly, whatever the list leaves out


def test_without_cuts_the_bounds_are_those_of_the_temperature() -> None:
    logprobs = [math.log(p) for p in (0.5, 0.2, 0.1)]
    for temperature in (0, 0.5, 1, 1.7):
        for size in (None, 1000):
            expected = temperature_topk(logprobs, temperature, size)
            got = sampling_bounds(logprobs, temperature=temperature, vocab_size=size)
            assert got.lower == pytest.approx(expected.lower)
            assert got.upper == pytest.approx(expected.upper)


def test_one_cut_keeps_what_the_filter_of_its_name_keeps() -> None:
    logprobs = [math.log(p) for p in (0.2, 0.5, 0.1, 0.05)]
    for p in (0.3, 0.5, 0.6, 0.8):
        kept = top_p(logprobs, p)
        got = sampling_bounds(logprobs, top_p=p)
        assert sorted(kept.kept) == np.flatnonzero(got.certain).tolist()
        assert got.lower[list(kept.kept)] == pytest.approx(kept.probs)
    assert sampling_bounds(logprobs, top_k=2).lower[[1, 0]] == pytest.approx(top_k(logprobs, 2).probs)


def test_the_order_matters_where_the_temperature_flattens() -> None:
    logprobs = [math.log(p) for p in (0.6, 0.3, 0.1)]
    late = sampling_bounds(logprobs, temperature=2, top_p=0.85, order="llama.cpp", vocab_size=3)
    early = sampling_bounds(logprobs, temperature=2, top_p=0.85, order="vllm", vocab_size=3)
    assert late.certain.tolist() == [True, True, False]
    assert early.certain.tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_k", 2.5),
        ("top_p", 0),
        ("top_p", 1.5),
        ("min_p", -0.1),
        ("min_p", 2),
        ("order", "hf"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name):
        sampling_bounds([-0.5, -2], **{name: value})


@pytest.mark.parametrize("vector", FILE["vectors"], ids=lambda vector: vector["id"])
def test_the_bounds_equal_the_vectors_that_the_browser_is_tested_by(vector: dict[str, Any]) -> None:
    got = sampling_bounds(**vector["inputs"])
    expected = vector["expected"]
    assert got.certain.tolist() == expected["certain"]
    assert got.possible.tolist() == expected["possible"]
    assert got.lower == pytest.approx(expected["lower"], rel=1e-11, abs=1e-15)
    assert got.upper == pytest.approx(expected["upper"], rel=1e-11, abs=1e-15)
    assert got.rest == pytest.approx(tuple(expected["rest"]), rel=1e-11, abs=1e-12)
