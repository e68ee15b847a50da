"""Results and times of other packages on the same inputs; run by functions.py in their environment."""

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


def import_bare(package: str, *inner: str) -> None:
    """Make a package's modules importable without the imports of its `__init__` (torch, datasets, …)."""
    spec = importlib.util.find_spec(package)
    home = Path(spec.submodule_search_locations[0])  # type: ignore[union-attr, index]
    for name in (package, *(f"{package}.{name}" for name in inner)):
        module = types.ModuleType(name)
        module.__path__ = [str(home.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module


def seconds(run: Callable[[], Any], rounds: int = 3) -> float:
    """Return the best time of a few runs."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def entries(top: Any) -> list[dict[str, Any]]:
    """Return lists of log-probabilities in the documented structure."""
    return [
        {"token": "t", "logprob": row[0], "top_logprobs": [{"token": f"t{i}", "logprob": v} for i, v in enumerate(row)]}
        for row in top
    ]


def uqlm(inputs: Any) -> dict[str, Any]:
    """Return entropies of lists divided by their sum."""
    import_bare("uqlm", "white_box")
    scorer = importlib.import_module("uqlm.white_box.top_logprobs").TopLogprobsScorer(top_k_logprobs=20)
    rows = entries(inputs["top"].tolist())
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


def polygraph(inputs: Any) -> dict[str, Any]:
    """Return the area under the risk-coverage curve for two orders of the same tied data."""
    import_bare("lm_polygraph", "ue_metrics")
    risk = importlib.import_module("lm_polygraph.ue_metrics.risk_cov_curve").RiskCoverageCurveAUC()
    confidence, correct = inputs["tied"], inputs["tied_correct"]
    back = slice(None, None, -1)
    return {
        "aurc": float(risk(-confidence, correct)),
        "aurc_reversed": float(risk(-confidence[back], correct[back])),
    }


def scikit(inputs: Any) -> dict[str, Any]:
    """Return scores of forecasts, and the curve behind a calibration error."""
    from sklearn.calibration import calibration_curve
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    p, y = inputs["p"], inputs["y"]
    forecasts, outcomes = p[:2000], y[:2000]
    return {
        "curve_seconds": seconds(lambda: calibration_curve(y, p, n_bins=10), 5),
        "brier": float(brier_score_loss(outcomes, forecasts)),
        "log_loss": float(log_loss(outcomes, forecasts)),
        "auroc": float(roc_auc_score(outcomes, forecasts)),
        "isotonic": IsotonicRegression().fit(forecasts, outcomes).predict(forecasts).tolist(),
        "curve": [column.tolist() for column in calibration_curve(outcomes, forecasts, n_bins=10)],
    }


def deluge(inputs: Any) -> dict[str, Any]:
    """Return the seconds of extract_prob in a loop, for one answer and for five."""
    from lm_deluge.util.logprobs import extract_prob

    texts = inputs["texts"].tolist()
    answers = []
    for ids, row in zip(inputs["ids"].tolist(), inputs["answers"].tolist(), strict=True):
        top = [{"token": texts[i], "logprob": v, "bytes": []} for i, v in zip(ids, row, strict=True)]
        answers.append([{**top[0], "top_logprobs": top}])
    labels = inputs["labels"].tolist()

    def loop(labels: list[str]) -> list[float]:
        return [extract_prob(label, answer, use_top_logprobs=True) for answer in answers for label in labels]

    return {
        "one_seconds_per_response": seconds(lambda: loop(labels[:1])) / len(answers),
        "five_seconds_per_response": seconds(lambda: loop(labels)) / len(answers),
        "first": loop(labels[:1])[:200],
    }


def structured(inputs: Any) -> dict[str, Any]:
    """Return the log-probability of a field after an emoji."""
    from openai.types.chat import ChatCompletion
    from structured_logprobs import add_logprobs

    body = json.loads(str(inputs["emoji"]))
    logprobs = add_logprobs(ChatCompletion.model_validate(body)).log_probs[0]
    return {"answer": logprobs["answer"]}


def main() -> None:
    """Print the results of each package as JSON."""
    inputs = np.load(sys.argv[1])
    results: dict[str, Any] = {}
    for name, run in (
        ("uqlm", uqlm),
        ("lm_polygraph", polygraph),
        ("scikit_learn", scikit),
        ("lm_deluge", deluge),
        ("structured_logprobs", structured),
    ):
        results[name] = run(inputs)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
