"""A local server whose probability of each label is a function of the text, and estimators that ask it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from deluge_nb import LogprobClassifier
from tests.openai_server import ChatServer, Reply, Seen, chat, error

TEMPLATE = "Good or bad? {0}"
# From surely bad to surely good: the number in a text is its probability of being good, in percent.
TEXTS = [f"It was {percent} out of 100." for percent in (5, 95, 20, 80, 40, 65, 10, 90, 30, 70, 45, 60)]
CLASSES = ["bad", "good"] * 6
# The server's probability on any label; the rest goes to another word.
MASS = 0.8


def probability(text: str) -> float:
    """Return the server's share of the second label."""
    return min(max(int(re.findall(r"\d+", text)[0]) / 100, 0.01), 0.99)


def answer_by_number(first: str = "bad", second: str = "good") -> Any:
    """Return the answers of a server: labels by the first number in the last message; a refusal for "refuse"."""

    def answer(seen: Seen, number: int) -> Reply:
        if "refuse" in seen.question:
            return error("This text is refused.", status=400)
        if "silent" in seen.question:
            return Reply(chat(seen, [("Well", {"Well": 0.9, "Hm": 0.1})]))
        p = probability(seen.question)
        shares = {first: (1 - p) * MASS, second: p * MASS, "Maybe": 1 - MASS}
        return Reply(chat(seen, [(max((first, second), key=shares.__getitem__), shares)]))

    return answer


def classifier(server: ChatServer, **options: Any) -> LogprobClassifier:
    """Return an estimator that asks the server, without calibration unless the options ask for it."""
    model = {"model": "m", "base_url": server.url, "max_attempts": 1}
    settings: dict[str, Any] = {"model": model, "template": TEMPLATE, "calibration": None}
    return LogprobClassifier(**(settings | options))


def questions(server: ChatServer) -> list[str]:
    """Return the last message of each request so far."""
    return [seen.question for seen in server.seen]


def shares(texts: Sequence[str]) -> list[list[float]]:
    """Return the rows that an estimator without calibration gives."""
    return [[1 - probability(text), probability(text)] for text in texts]
