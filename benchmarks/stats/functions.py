"""`deluge_nb.stats` and other packages on the same inputs: their results and their times."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deluge_nb import APIResponse, Logprobs, extract_probs
from deluge_nb import stats as ours
from deluge_nb.logprobs.columns import Vocabulary

TOKENS, ALTERNATIVES, POINTS, RESPONSES = 1_000_000, 20, 1_000_000, 100_000
BARS = {
    "entropy_to_bare_numpy": ("at most", 1.2),
    "bounds_faster_than_uqlm": ("at least", 100),
    "ece_faster_than_scikit_learn_s_curve": ("at least", 2),
    "one_answer_faster_than_lm_deluge": ("at least", 100),
    "five_answers_faster_than_lm_deluge": ("at least", 200),
}
LABELS = ["yes", "no", "maybe", "A", "B"]
WHOLE = ("numpy", "scipy", "scikit-learn", "lm-deluge", "structured-logprobs")
# Without requirements: these are several gigabytes, and the measured functions need none of them.
BARE = ("uqlm==0.6.7", "lm-polygraph==0.7.0")


def measure(build: Path) -> dict[str, Any]:
    """Measure best times of several runs; peers run in a process of their own, on the same numbers."""
    python = _peers(build)
    inputs = _inputs()
    path = build / "stats_inputs.npz"
    np.savez(path, **{name: value for name, value in inputs.items() if name not in ("law", "laws")})
    done = subprocess.run(
        [python, Path(__file__).with_name("peers.py"), path], capture_output=True, text=True, check=True
    )
    peers = json.loads(done.stdout.strip().splitlines()[-1])
    figures = _times(inputs, peers)
    agreement = _compare(inputs, peers)
    passed = all(
        figures[name] <= bar if kind == "at most" else figures[name] >= bar for name, (kind, bar) in BARS.items()
    )
    return {
        "figures": figures,
        "agreement": agreement,
        "bar": ", ".join(f"{name} {kind} {bar}" for name, (kind, bar) in BARS.items()) + "; all of agreement true",
        "passed": passed and all(agreement.values()),
    }


def _peers(build: Path) -> Path:
    """Return the Python of an environment with the compared packages; it is made once."""
    home = build / "stats_peers"
    python = home / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        install = [uv, "pip", "install", "--quiet", "--python", python]
        subprocess.run([uv, "venv", "--quiet", home], check=True)
        subprocess.run([*install, *WHOLE], check=True)
        subprocess.run([*install, "--no-deps", *BARE], check=True)
    return python


def _inputs() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    # Confident and uncertain positions, as in text.
    logits = rng.normal(0, 1, (20_000, 200)) * rng.uniform(0.5, 5, (20_000, 1))
    law = -np.sort(-(logits - np.logaddexp.reduce(logits, axis=1)[:, None]), axis=1)
    texts = [f"word{i}" for i in range(2000)]
    for index, text in enumerate(["Yes", " yes", "YES", "No", " no", "Maybe", " maybe", "A", "B", "The", "\n"]):
        texts[index * 7] = text
    ids = np.argsort(rng.random((2000, 2000)), axis=1)[:, :ALTERNATIVES]
    ids[np.arange(2000), rng.integers(0, 5, 2000)] = rng.integers(0, 11, 2000) * 7
    p = rng.random(POINTS)
    tied = np.round(rng.random(500), 1)
    return {
        "law": law,
        "top": law[:, :ALTERNATIVES],
        "p": p,
        "y": (rng.random(POINTS) < p).astype(np.int64),
        "tied": tied,
        "tied_correct": (rng.random(500) < tied).astype(np.float64),
        "texts": np.array(texts),
        "ids": ids,
        "answers": law[:2000, :ALTERNATIVES],
        "labels": np.array(LABELS),
        "emoji": np.array(json.dumps(_emoji())),
    }


def _emoji() -> dict[str, Any]:
    """Return an answer in JSON whose first value is a heart in two tokens; "yes" has -0.9, the others nearly 0."""
    tokens = ['{"', "heart", '":"', "\\xf0\\x9f\\x92", "\\x99", '","', "answer", '":"', "yes", '"}']
    raws = [t.encode() for t in tokens]
    raws[3], raws[4] = b"\xf0\x9f\x92", b"\x99"
    content = [
        {"token": token, "bytes": list(raw), "logprob": -0.9 if token == "yes" else -0.001, "top_logprobs": []}
        for token, raw in zip(tokens, raws, strict=True)
    ]
    message = {"role": "assistant", "content": b"".join(raws).decode()}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": {"content": content}}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def _times(inputs: dict[str, Any], peers: dict[str, Any]) -> dict[str, Any]:
    top = np.ascontiguousarray(np.tile(inputs["top"], (TOKENS // len(inputs["top"]), 1)))
    vocabulary = Vocabulary.of([(f"t{i}", ..., None) for i in range(50_000)])
    ids = np.random.default_rng(1).integers(0, 50_000, top.shape).astype(np.int32)

    def table() -> Logprobs:
        offsets = (np.arange(TOKENS + 1) * ALTERNATIVES).astype(np.int32)
        return Logprobs(vocabulary, ids[:, 0], top[:, 0].copy(), ids.reshape(-1), top.reshape(-1), offsets)

    fresh = iter([table() for _ in range(8)])
    bare = _seconds(lambda: -(np.exp(top) * top).sum(axis=1), 7)
    entropy = _seconds(lambda: next(fresh).entropy(), 7)
    whole = table()
    bounds = _seconds(lambda: ours.entropy_bounds_batch(whole, 50_000), 3)
    error = _seconds(lambda: ours.ece(inputs["p"], inputs["y"]), 7)
    responses = _responses(inputs)
    one = _seconds(lambda: extract_probs(LABELS[0], responses), 7)
    five = _seconds(lambda: extract_probs(LABELS, responses), 7)
    return {
        "entropy_seconds": entropy,
        "bare_numpy_seconds": bare,
        "entropy_to_bare_numpy": entropy / bare,
        "bounds_seconds": bounds,
        "bounds_faster_than_uqlm": peers["uqlm"]["entropy_seconds_per_token"] * TOKENS / bounds,
        "ece_seconds": error,
        "ece_faster_than_scikit_learn_s_curve": peers["scikit_learn"]["curve_seconds"] / error,
        "one_answer_seconds": one,
        "one_answer_faster_than_lm_deluge": peers["lm_deluge"]["one_seconds_per_response"] * RESPONSES / one,
        "five_answers_seconds": five,
        "five_answers_faster_than_lm_deluge": peers["lm_deluge"]["five_seconds_per_response"] * RESPONSES / five,
    }


def _responses(inputs: dict[str, Any]) -> list[APIResponse]:
    """Return answers of one token as from a client: separate tables over one vocabulary."""
    vocabulary = Vocabulary.of([(text, ..., None) for text in inputs["texts"].tolist()])
    ids, values = inputs["ids"].astype(np.int32), inputs["answers"]
    ends = np.array([0, ALTERNATIVES], np.int32)
    responses = []
    for index in range(RESPONSES):
        row, value = ids[index % len(ids)].copy(), values[index % len(ids)].copy()
        table = Logprobs(vocabulary, row[:1].copy(), value[:1].copy(), row, value, ends.copy())
        responses.append(APIResponse("m", completion="x", logprobs=table))
    return responses


def _seconds(run: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _compare(inputs: dict[str, Any], peers: dict[str, Any]) -> dict[str, bool]:
    """Compare results: equal where the peer is right, and a named difference where it is not."""
    law, top = inputs["law"], inputs["top"]
    bounds = ours.entropy_bounds_batch(top[:500], law.shape[1])
    truth = -(np.exp(law[:500]) * law[:500]).sum(axis=1)
    theirs = np.array(peers["uqlm"]["entropy"])
    p, y = inputs["p"][:2000], inputs["y"][:2000]
    sklearn = peers["scikit_learn"]
    bins = ours.ece(p, y).bins
    tied, correct = inputs["tied"], inputs["tied_correct"]
    polygraph = peers["lm_polygraph"]
    body = json.loads(str(inputs["emoji"]))["choices"][0]
    table = Logprobs.from_entries(body["logprobs"]["content"])
    answer = APIResponse("m", completion=body["message"]["content"], logprobs=table).field_probs["answer"]
    first = extract_probs(LABELS[0], _responses(inputs)[:200])
    return {
        # uqlm divides the list by its sum: our `renormalized`, a lower bound of the entropy.
        "uqlm_s_entropy_is_our_renormalized": bool(np.allclose(theirs, bounds.renormalized, rtol=1e-9)),
        "the_truth_is_above_uqlm_s_and_within_ours": bool(
            (theirs <= truth + 1e-9).all()
            and (bounds.lower <= truth + 1e-9).all()
            and (truth <= bounds.upper + 1e-9).all()
        ),
        # Equal shares within the list, but 10 % and 91 % of the probability outside it.
        "uqlm_cannot_see_the_tail": math.isclose(peers["uqlm"]["tail_a"], peers["uqlm"]["tail_b"]),
        "ours_can": ours.entropy_bounds(np.log([0.05, 0.03, 0.01])).lower
        > 2 * ours.entropy_bounds(np.log([0.5, 0.3, 0.1])).lower,
        "scikit_learn_agrees_on_brier_log_loss_auroc": all(
            math.isclose(mine, sklearn[name], rel_tol=1e-9)
            for name, mine in (
                ("brier", ours.brier(p, y)),
                ("log_loss", ours.log_loss(p, y)),
                ("auroc", ours.auroc(p, y)),
            )
        ),
        "scikit_learn_agrees_on_isotonic": bool(np.allclose(ours.fit_isotonic(p, y), sklearn["isotonic"], atol=1e-6)),
        "scikit_learn_s_curve_is_our_bins": bool(
            np.allclose([bin.accuracy for bin in bins], sklearn["curve"][0])
            and np.allclose([bin.confidence for bin in bins], sklearn["curve"][1])
        ),
        # With ties its area depends on the order of the data; ours is the mean over orders.
        "lm_polygraph_s_area_depends_on_the_order": not math.isclose(
            polygraph["aurc"], polygraph["aurc_reversed"], rel_tol=1e-6
        ),
        "ours_lies_between": min(polygraph.values())
        <= ours.risk_coverage(tied, correct).aurc
        <= max(polygraph.values()),
        # It counts the characters of the escaped form of half an emoji.
        "structured_logprobs_is_off_after_an_emoji": not math.isclose(
            peers["structured_logprobs"]["answer"], -0.9, abs_tol=0.01
        ),
        "ours_is_right": math.isclose(math.log(answer.probability), -0.9, abs_tol=0.01),
        # lm-deluge keeps letters only and matches prefixes both ways, so "\n" (no letters) matches "yes".
        "lm_deluge_is_higher_where_it_matches_empty_text": bool(
            (np.array(peers["lm_deluge"]["first"]) >= first - 1e-9).all()
        ),
    }
