"""What other packages make of the same inputs, and how long it takes; functions.py runs it where they are installed."""

from __future__ import annotations

import importlib
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def alone(package: str, *inner: str) -> None:
    """Make a package's modules importable without what its own front door loads (torch, datasets, …)."""
    spec = importlib.util.find_spec(package)
    home = Path(spec.submodule_search_locations[0])  # type: ignore[union-attr, index]
    for name in (package, *(f"{package}.{one}" for one in inner)):
        module = types.ModuleType(name)
        module.__path__ = [str(home.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module


def seconds(run: Callable[[], Any], rounds: int = 3) -> float:
    """The best of a few runs."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def entries(top: Any) -> list[dict[str, Any]]:
    """A list of lists of log-probabilities in the documented structure."""
    return [
        {"token": "t", "logprob": row[0], "top_logprobs": [{"token": f"t{i}", "logprob": v} for i, v in enumerate(row)]}
        for row in top
    ]


def uqlm(given: Any) -> dict[str, Any]:
    """Entropies of lists that are made to add up to 1."""
    alone("uqlm", "white_box")
    scorer = importlib.import_module("uqlm.white_box.top_logprobs").TopLogprobsScorer(top_k_logprobs=20)
    rows = entries(given["top"].tolist())
    entropies = scorer._compute_token_entropies(rows[:500])
    spent = seconds(lambda: scorer.evaluate([rows]) and None, 1)
    only = seconds(lambda: scorer._compute_token_entropies(rows), 1)
    return {
        "entropy": entropies.tolist(),
        "entropy_seconds_per_token": only / len(rows),
        "all_scores_seconds_per_token": spent / len(rows),
        "tail_a": float(scorer._compute_token_entropies(entries([np.log([0.5, 0.3, 0.1]).tolist()]))[0]),
        "tail_b": float(scorer._compute_token_entropies(entries([np.log([0.05, 0.03, 0.01]).tolist()]))[0]),
    }


def polygraph(given: Any) -> dict[str, Any]:
    """The area under the risk-coverage curve, for two orders of the same tied data."""
    alone("lm_polygraph", "ue_metrics")
    risk = importlib.import_module("lm_polygraph.ue_metrics.risk_cov_curve").RiskCoverageCurveAUC()
    confidence, correct = given["tied"], given["tied_correct"]
    back = slice(None, None, -1)
    return {
        "aurc": float(risk(-confidence, correct)),
        "aurc_reversed": float(risk(-confidence[back], correct[back])),
    }


def scikit(given: Any) -> dict[str, Any]:
    """Scores of forecasts, and the curve that a calibration error is made from."""
    from sklearn.calibration import calibration_curve
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    p, y = given["p"], given["y"]
    few, said = p[:2000], y[:2000]
    return {
        "curve_seconds": seconds(lambda: calibration_curve(y, p, n_bins=10), 5),
        "brier": float(brier_score_loss(said, few)),
        "log_loss": float(log_loss(said, few)),
        "auroc": float(roc_auc_score(said, few)),
        "isotonic": IsotonicRegression().fit(few, said).predict(few).tolist(),
        "curve": [one.tolist() for one in calibration_curve(said, few, n_bins=10)],
    }


def deluge(given: Any) -> dict[str, Any]:
    """extract_prob in a loop: the loop's seconds for one answer and for five."""
    from lm_deluge.util.logprobs import extract_prob

    texts = given["texts"].tolist()
    answers = []
    for ids, row in zip(given["ids"].tolist(), given["answers"].tolist(), strict=True):
        top = [{"token": texts[i], "logprob": v, "bytes": []} for i, v in zip(ids, row, strict=True)]
        answers.append([{**top[0], "top_logprobs": top}])
    labels = given["labels"].tolist()

    def loop(wanted: list[str]) -> list[float]:
        return [extract_prob(label, one, use_top_logprobs=True) for one in answers for label in wanted]

    return {
        "one_seconds_per_response": seconds(lambda: loop(labels[:1])) / len(answers),
        "five_seconds_per_response": seconds(lambda: loop(labels)) / len(answers),
        "first": loop(labels[:1])[:200],
    }


def structured(given: Any) -> dict[str, Any]:
    """The log-probability of a field after an emoji."""
    from openai.types.chat import ChatCompletion
    from structured_logprobs import add_logprobs

    body = json.loads(str(given["emoji"]))
    found = add_logprobs(ChatCompletion.model_validate(body)).log_probs[0]
    return {"answer": found["answer"]}


def main() -> None:
    """Print what each found."""
    given = np.load(sys.argv[1])
    found: dict[str, Any] = {}
    for name, run in (
        ("uqlm", uqlm),
        ("lm_polygraph", polygraph),
        ("scikit_learn", scikit),
        ("lm_deluge", deluge),
        ("structured_logprobs", structured),
    ):
        found[name] = run(given)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
