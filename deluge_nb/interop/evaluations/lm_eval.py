"""Read the sample logs of the Language Model Evaluation Harness (lm-eval)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import SettingError
from ...logprobs.values import log_sum
from ...paths import as_source, unreadable
from .archive import read_text
from .samples import LoggedSample, LoggedSamples, as_text


def read_lm_eval_samples(path: str | os.PathLike[str]) -> LoggedSamples:
    """Return the samples that lm-eval wrote with ``--log_samples``.

    Parameters
    ----------
    path
        A file ``samples_….jsonl``, which may be packed with gzip.

    Returns
    -------
    LoggedSamples
        One per document and filter, which ``filter`` names. Where options were compared, ``options`` has their
        log-likelihoods, ``answer`` is the likeliest and ``probability`` its share; ``correct`` is ``acc``, or
        ``exact_match`` for generated answers, which have no probabilities.

    Raises
    ------
    SettingError
        When the file cannot be read or is no such log.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from deluge_nb import read_lm_eval_samples
    >>> row = {"doc_id": 0, "target": "0", "resps": [], "filtered_resps": [["-1.0", "False"], ["-3.0", "False"]]}
    >>> row["arguments"] = {"gen_args_0": {"arg_0": "Capital?", "arg_1": " Oslo"}}
    >>> row["arguments"]["gen_args_1"] = {"arg_0": "Capital?", "arg_1": " Rome"}
    >>> path = pathlib.Path(tempfile.mkdtemp(), "samples_capitals.jsonl")
    >>> _ = path.write_text(json.dumps({**row, "acc": 1.0}))
    >>> sample = read_lm_eval_samples(path)[0]
    >>> sample.answer, round(sample.probability, 2), sample.correct
    (' Oslo', 0.88, 1.0)
    """
    file = as_source(path)
    try:
        lines = read_text(file).split("\n")
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None
    samples = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            samples.append(_read_row(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise SettingError(
                f"Line {number} of {file.name} is no sample of lm-eval: pass a file samples_….jsonl that it wrote with "
                "--log_samples.",
                setting="path",
                value=str(path),
            ) from None
    return LoggedSamples(samples, f"lm-eval's {file.name.partition('.jsonl')[0].removeprefix('samples_')}")


def _read_row(row: Mapping[str, Any]) -> LoggedSample:
    requests = list(_requests(row["arguments"]))
    replies = row["filtered_resps"]
    common: dict[str, Any] = {
        "id": row["doc_id"],
        "epoch": 1,
        "input": requests[0][0],
        "target": str(row["target"]),
        "scores": {name: row[name] for name in row.get("metrics") or ("acc", "exact_match") if name in row},
        # lm-eval's word for a task without filters is "none".
        "filter": None if row.get("filter") == "none" else row.get("filter"),
    }
    # The second argument is an option, or the settings of an answer that was generated.
    pairs = [(context, option) for context, option in requests if isinstance(option, str)]
    # A likelihood and whether the text is the likeliest one, both written as texts.
    if not pairs or not all(isinstance(reply, list) and len(reply) == 2 for reply in replies):
        answer = as_text(replies[0][:1] if isinstance(replies[0], list) else replies[0])
        has_answer = isinstance(requests[0][1], Mapping)
        return LoggedSample(
            answer=answer if has_answer else None,
            probability=None,
            correct=_as_outcome(row.get("exact_match")),
            **common,
        )
    rows = list(zip(pairs, (float(reply[0]) for reply in replies), strict=True))
    # Some tasks ask for the likelihood of the options alone, too, after no context.
    rows = [(pair, value) for pair, value in rows if pair[0]] or rows
    options = dict(zip(_option_names([pair for pair, _ in rows]), (value for _, value in rows), strict=True))
    is_known = not any(map(math.isnan, options.values()))
    best = max(options, key=options.__getitem__) if is_known else None
    correct = _as_outcome(row.get("acc"))
    if best is None:
        return LoggedSample(answer=None, probability=None, correct=correct, options=options, **common)
    # One option has a likelihood, and no share among others.
    total = log_sum(list(options.values())) if len(options) > 1 else 0.0
    probability = math.exp(min(options[best] - total, 0.0)) if math.isfinite(options[best]) else None
    return LoggedSample(answer=best, probability=probability, correct=correct, options=options, **common)


def _requests(arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield the text and the second argument of each request; older versions wrote lists."""
    for place in range(len(arguments)):
        if isinstance(arguments, Mapping):
            request = arguments[f"gen_args_{place}"]
            yield as_text(request["arg_0"]), request.get("arg_1")
        else:
            text, *others = arguments[place]
            yield as_text(text), others[0] if others else None


def _option_names(pairs: list[tuple[str, str]]) -> list[str]:
    """Return different names of the options: their texts, with their contexts or numbers where texts are equal."""
    for names in ([text for _, text in pairs], [context + text for context, text in pairs]):
        if len(set(names)) == len(names):
            return names
    return [f"{place}:{text}" for place, (_, text) in enumerate(pairs)]


def _as_outcome(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value in (0, 1) else None
