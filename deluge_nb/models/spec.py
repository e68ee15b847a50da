"""The types of the registry: what a model can do, where it is served, how it speaks."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["full", "limited", "conditional", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class LogprobSupport:
    """What a model gives, under which condition, and who says so.

    Parameters
    ----------
    kind
        ``conditional`` depends on the request, as reasoning effort does; ``unknown`` is tried.
    max_top
        The longest list of alternatives.
    requires
        What a request for log-probabilities must also say; it is said unless the user set something else, which is
        refused.
    body
        The same for fields of the request's body that are no setting.
    forbids
        What log-probabilities do not go together with: ``"tools"``, ``"output_schema"``.
    note
        One sentence for the support table and for errors.
    source, checked
        Where the row comes from and when it was last compared.
    """

    kind: Kind
    max_top: int = 20
    requires: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    forbids: tuple[str, ...] = ()
    source: str = ""
    checked: date | None = None


class Address(NamedTuple):
    """Where a started server listens, the key it wants, and how many tokens its model knows."""

    base_url: str
    key: str
    vocab_size: int | None


class Served(Protocol):
    """A server that is started on first use."""

    @property
    def fingerprint(self) -> str:
        """What tells the model's file from others, without starting anything."""
        ...

    def address(self) -> Address:
        """Where it listens; starts the server, or starts it again if it died. May take seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where models are served.

    ``launch`` is a ``module:function`` (or a function) that gives a :class:`Served`; it is looked up on first use, so
    that the registry can name what lives above it. ``prefill`` is None where nobody has said whether the server
    continues a partial answer: it is tried. ``key_header`` is where the key goes; in the usual one it follows "Bearer".
    ``counted_logprobs`` says that ``logprobs`` is a number in place of a yes and ``top_logprobs``. ``prefill_flag`` is
    the field that marks a message as the beginning of an answer, or the request as one that continues its last message.
    ``stream_usage`` says that the server counts tokens in a stream only when asked to, and may be asked. ``headers`` go
    with every request. Keys that begin with ``bearer_prefix`` are access tokens and go into the usual header.
    ``no_suffix`` is what an address must not end in, though people write it: the address of another dialect.
    """

    name: str
    label: str
    base_url: str
    dialect: str = "openai"
    key_variables: tuple[str, ...] = ()
    url_variable: str = ""
    key_required: bool = True
    max_tokens_field: str = "max_tokens"
    prefill: bool | None = None
    prefill_flag: str = ""
    stream_usage: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer_prefix: str = ""
    no_suffix: str = ""
    key_header: str = "Authorization"
    counted_logprobs: bool = False
    raw: bool = False
    full_vocab: bool = False
    continuations: bool = False
    concurrency: int = 64
    launch: str | Callable[[], Served] | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A row of the registry: which names it covers and what holds for them.

    ``defaults`` are request settings used where the user leaves them open, ``system`` the instruction used where a
    prompt brings none. A ``prefixed`` row holds only for names that are written with the endpoint's before a slash.
    """

    pattern: str
    endpoint: Endpoint
    support: LogprobSupport
    shown_as: str = ""
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    prefixed: bool = False

    def covers(self, model: str) -> bool:
        """Whether a model's name falls under this row."""
        name = model.lower()
        return name in self.aliases or fnmatch.fnmatchcase(name, self.pattern)

    @property
    def specificity(self) -> int:
        """How much of a name the row spells out."""
        return len(self.pattern.replace("*", ""))


class ServedModel(Protocol):
    """An object that is a model: :class:`deluge_nb.LocalModel` is one."""

    @property
    def name(self) -> str:
        """What responses call it."""
        ...

    @property
    def spec(self) -> ModelSpec:
        """Its row."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A model as it will be asked: its name and what holds for it."""

    model: str
    spec: ModelSpec

    @property
    def endpoint(self) -> Endpoint:
        """Where it is served."""
        return self.spec.endpoint
