"""Write tasks for Label Studio: the inputs that most need a person, each with the model's answer."""

from __future__ import annotations

import json
import math
import os
from typing import Any

from ...errors import invalid_argument
from ...paths import as_file, write_file


def to_label_studio(
    found: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    n: int = 200,
    from_name: str = "label",
    to_name: str = "text",
    model_version: str = "deluge_nb",
) -> list[dict[str, Any]]:
    """Return the least certain results of a classification as tasks of Label Studio, and write them to a file.

    Parameters
    ----------
    found
        The results of :func:`classify`.
    path
        The JSON file to write; None writes none. Import it into a project with ``<Text name="text" value="$text"/>``
        and ``<Choices name="label" toName="text">``.
    n
        The largest number of tasks.
    from_name, to_name
        The names of the choices and of the text in the project's configuration. ``to_name`` is also the name of the
        text in the data of a task.
    model_version
        The name of the predictions in Label Studio.

    Returns
    -------
    list of dict
        One task per input, the least certain first, as :meth:`Classifications.review` orders them. Each has a
        prediction with the label and its share as ``score``; a failed input has none. ``data["row"]`` is the number
        of the input, or its label in the index of the Series that held the inputs, and comes back in every export of
        Label Studio; where the inputs have a value of this name, it is ``row_``.

    Raises
    ------
    SettingError
        When ``found`` is not the result of :func:`classify`, ``n`` is no whole number from 0 on, or the file
        cannot be written.

    Examples
    --------
    >>> from deluge_nb import LLMClient, RawPrompt, classify, to_label_studio
    >>> client = LLMClient("local", logprobs=True, top_logprobs=20)
    >>> question, reviews = RawPrompt("Review: {0} Sentiment:"), ["I loved it.", "A waste of time."]
    >>> found = classify(reviews, ["positive", "negative"], client, template=question, show_progress=False)
    >>> task = to_label_studio(found, n=1)[0]
    >>> sorted(task), sorted(task["predictions"][0])
    (['data', 'predictions'], ['model_version', 'result', 'score'])
    """
    if not hasattr(found, "review") or not hasattr(found, "inputs"):
        raise invalid_argument("found", found, "the results of classify()")
    if path is not None:
        as_file(path)
    rows = found.review(n)
    tasks: list[dict[str, Any]] = []
    for row, value, result in zip(rows.index.tolist(), rows.inputs, rows, strict=True):
        # The values of a template by their names, so that a project can show each.
        values = value if isinstance(value, dict) else {to_name: _as_text(value)}
        data = {_as_storable(str(name)): _as_storable(text) for name, text in values.items()}
        key = "row"
        while key in data:
            key += "_"
        data[key] = _as_storable(row)
        predictions: list[dict[str, Any]] = []
        if result.label is not None:
            choices = {"choices": [result.label]}
            choice = {"from_name": from_name, "to_name": to_name, "type": "choices", "value": choices}
            predictions.append({"model_version": model_version, "score": result.probability, "result": [choice]})
        tasks.append({"data": data, "predictions": predictions})
    if path is not None:
        write_file(path, json.dumps(tasks, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8"))
    return tasks


def _as_storable(value: Any) -> Any:
    """Return a value as JSON that a database stores: without U+0000, halves of characters, NaN and infinity."""
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole.replace("\0", "\ufffd")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dict):
        return {_as_storable(str(name)): _as_storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_storable(item) for item in value]
    return _as_storable(str(value))


def _as_text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "\n".join(map(str, value))
    return str(getattr(value, "text", value))
