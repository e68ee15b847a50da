"""Specification of a job: the question, which decides the answers, and the client, which decides how to get them."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from ..answers.classify import check_able, check_method
from ..answers.first_token import answer_settings
from ..answers.inputs import AnswerSet, Template, read_answer_sets, template_texts
from ..client.calls.travel import pickled
from ..errors import invalid_argument
from ..prompts.prompt import check_characters
from ..response.plain import prompt_to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..answers.calibrate import Calibration
    from ..answers.classify import Method
    from ..client.client import LLMClient
    from ..sampling import SamplingParams
    from ..text.matching import Labels

Keep = Literal["probabilities", "logprobs", "all"]
Precision = Literal["float64", "float32"]

# Clients of other processes that are kept; each has its connections.
_MOST_CLIENTS = 4


@dataclass(frozen=True, eq=False)
class Spec:
    """A question over rows, as plain data, and the client that asks it.

    A pickled spec has the client's settings and no keys; in the process where it arrives, all parts share one client.

    Parameters
    ----------
    template
        The prompt, with names of columns as placeholders.
    client
        The client to ask.
    settings
        Settings of each model.
    labels
        The answers, each with its spellings; empty where only completions are wanted.
    keep
        What is stored of each answer.
    precision
        Type of stored log-probabilities.
    method
        Method of ``classify``; None where the answers are read from the client's own requests.
    calibration
        Calibration of ``classify``.
    """

    template: Template
    client: LLMClient
    settings: tuple[SamplingParams, ...]
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    keep: Keep = "logprobs"
    precision: Precision = "float64"
    method: Method | None = None
    calibration: Calibration | None = None

    @property
    def names(self) -> list[str]:
        """The answers, in order."""
        return list(self.labels)

    @property
    def answers(self) -> Labels | None:
        """The matcher of the answers; None where there are none."""
        return read_answer_sets(self.labels, 1)[0][0] if self.labels else None

    @property
    def question(self) -> dict[str, Any]:
        """Everything that decides an answer, as plain JSON: neither keys nor addresses nor the number of requests."""
        return {
            "requests": self.client.describe_requests(self.settings),
            "template": prompt_to_plain(self.template),
            "labels": dict(self.labels),
            "keep": self.keep,
            "precision": self.precision,
            "method": self.method,
            "calibration": self.calibration,
        }

    @property
    def is_deterministic(self) -> bool:
        """True if equal prompts are the same question: one model, at temperature 0."""
        return len(self.client.models) == 1 and self.settings[0].temperature == 0

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "client": pickled(self.client, self.client)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, client=_shared_client(state["client"]))


_clients: OrderedDict[bytes, LLMClient] = OrderedDict()
_lock = threading.Lock()


def _shared_client(pickled: bytes) -> LLMClient:
    """Return the client of this process for settings: parts that run here share connections and limits."""
    key = hashlib.sha256(pickled).digest()
    with _lock:
        client = _clients.pop(key, None)
        client = _clients[key] = pickle.loads(pickled) if client is None else client
        while len(_clients) > _MOST_CLIENTS:
            _clients.popitem(last=False)[1].close()
    return client


def digest(value: Any) -> str:
    """Return a hash of plain JSON, as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def make_spec(
    template: Template,
    client: LLMClient,
    *,
    labels: AnswerSet | None = None,
    keep: Keep = "logprobs",
    precision: Precision = "float64",
    method: Method | None = None,
    calibration: Calibration | None = None,
) -> Spec:
    """Return the checked question of a job.

    Raises
    ------
    SettingError
        When an argument has an invalid value, or a server is known not to support the method.
    LogprobsNotSupportedError
        When labels are given and a model gives no log-probabilities.
    """
    for name, value, choices in (("keep", keep, get_args(Keep)), ("precision", precision, get_args(Precision))):
        if value not in choices:
            raise invalid_argument(name, value, f"one of {', '.join(map(repr, choices))}")
    for text in template_texts(template):
        check_characters(text, "template")
    if method is not None:
        check_method(method, calibration)
    answers: dict[str, list[str]] = {}
    if labels is not None or method is not None:
        sets, _ = read_answer_sets(cast(Any, labels), None)
        answers = {name: list(forms) for name, forms in sets[0].spellings.items()}
    settings = list(client.sampling_params)
    if answers:
        settings = client.greedy_settings() if method else answer_settings(client, may_write_more=True)
    check_able(client, template, method)
    client.describe_requests(settings)  # raises what would concern every row, before anything is written
    return Spec(template, client, tuple(settings), answers, keep, precision, method, calibration)
