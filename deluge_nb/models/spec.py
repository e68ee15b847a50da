"""The types of the registry: a model's capabilities, its server, and its row."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["full", "limited", "conditional", "none", "unknown"]
Scoring = Literal["grammar", "echo", "prompt_logprobs", "sglang", "tgi"]


@dataclass(frozen=True, slots=True)
class LogprobSupport:
    """Support of a model for log-probabilities, with its conditions and source.

    Parameters
    ----------
    kind
        ``"full"``; ``"limited"`` (to some models or to the chosen tokens); ``"conditional"`` (on the request, for
        example on reasoning effort); ``"none"``; or ``"unknown"``: they are requested, and the
        reply decides.
    max_top
        Maximum number of alternatives per token.
    requires
        Settings that a request for log-probabilities must have. They are filled in; another value is refused.
    body
        Fields that the body of such a request must have. They are filled in, too.
    forbids
        Features that exclude log-probabilities: ``"tools"``, ``"output_schema"``.
    note
        One sentence for the support table and for errors.
    source, checked
        Source of this information, and the date of the last check.

    Examples
    --------
    >>> from deluge_nb.models import LogprobSupport
    >>> LogprobSupport("conditional", requires={"reasoning_effort": "none"}).max_top
    20
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
    """Address of a running local server.

    Parameters
    ----------
    base_url
        The address.
    key
        API key that the server requires.
    vocab_size
        Number of tokens in the model's vocabulary, or None if it is unknown.

    Examples
    --------
    >>> from deluge_nb.models import Address
    >>> Address("http://127.0.0.1:8080", "secret", 49152).vocab_size
    49152
    """

    base_url: str
    key: str
    vocab_size: int | None

    def __repr__(self) -> str:
        return f"Address({self.base_url!r}, '…', {self.vocab_size})"


class Served(Protocol):
    """Protocol of a server that is started on first use.

    Examples
    --------
    >>> from deluge_nb.models import Address, Endpoint
    >>> class MyServer:
    ...     fingerprint = "my-model-v1"
    ...     def address(self) -> Address:
    ...         return Address("http://127.0.0.1:8080", "secret", None)
    >>> Endpoint("mine", "My server", "", dialect="llamacpp", launch=MyServer).launch().address().base_url
    'http://127.0.0.1:8080'
    """

    @property
    def fingerprint(self) -> str:
        """Text that identifies the model's file, available without starting the server."""
        ...

    def address(self) -> Address:
        """Return the server's address; start the server if it does not run, which may take seconds.

        Returns
        -------
        Address
            The address, its key and the size of the vocabulary.
        """
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Server of models: its address, protocol, keys and capabilities.

    Parameters
    ----------
    name, label
        Word before the slash in ``name/model``, and the name in messages.
    base_url
        Address without the paths of the protocol.
    dialect
        Protocol: the name of a module in :mod:`deluge_nb.dialects`.
    key_variables, key_required
        Environment variables that may hold the API key, and whether there must be one.
    url_variable
        Environment variable with an address that replaces ``base_url``.
    max_tokens_field
        Field of the request for ``max_new_tokens``.
    prefill
        True if the server continues the beginning of an answer, False if not; None if unknown, and then it is tried.
    prefill_flag
        Field that marks a message as the beginning of an answer, or a request as a continuation of its last message.
    stream_usage
        True if a stream reports its token usage only when asked (``stream_options``).
    headers
        Headers of every request; not shown by ``repr``, as one may carry a key.
    bearer_prefix
        Beginning of keys that are access tokens, which are sent in the ``Authorization`` header.
    no_suffix
        Ending that is removed from addresses; it belongs to another protocol of the same server, and users often
        include it.
    key_header
        Header of the key; in ``Authorization`` the key follows the word "Bearer".
    counted_logprobs
        True if ``logprobs`` is the number of alternatives, in place of a boolean and ``top_logprobs``.
    raw, full_vocab
        True if the server continues raw text, and can return the probability of every token.
    scoring
        How the server returns the log-probabilities of a given text: ``"grammar"`` of token ids, ``"echo"``,
        ``"prompt_logprobs"``, ``"sglang"`` or ``"tgi"``; None if it cannot.
    concurrency
        Recommended number of concurrent requests.
    launch
        Function, or its name as ``module:function``, that returns a :class:`Served`. It is imported on first use, so
        that the registry can name modules of higher layers.

    Examples
    --------
    >>> from deluge_nb.models import Endpoint
    >>> Endpoint("lab", "Our lab", "http://127.0.0.1:8000/v1", raw=True).dialect
    'openai'
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
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    bearer_prefix: str = ""
    no_suffix: str = ""
    key_header: str = "Authorization"
    counted_logprobs: bool = False
    raw: bool = False
    full_vocab: bool = False
    scoring: Scoring | None = None
    concurrency: int = 64
    launch: str | Callable[[], Served] | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Row of the registry: a pattern of model names, with their server and capabilities.

    Parameters
    ----------
    pattern
        Name of a model in lower case; ``*`` matches anything.
    endpoint
        The server.
    support
        Support for log-probabilities.
    shown_as
        Name in the support table; the pattern by default.
    aliases
        Other names of the model.
    defaults
        Request settings for those that the user does not set.
    system
        Instruction for prompts without one.
    prefixed
        True if the row matches only names with the endpoint's name and a slash in front.
    refuses
        Names of settings that the model's server refuses, such as ``temperature``.

    Examples
    --------
    >>> from deluge_nb.models import COMPATIBLE, LogprobSupport, ModelSpec
    >>> ModelSpec("my-model*", COMPATIBLE, LogprobSupport("full")).covers("My-Model-7B")
    True
    """

    pattern: str
    endpoint: Endpoint
    support: LogprobSupport
    shown_as: str = ""
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    prefixed: bool = False
    refuses: tuple[str, ...] = ()

    def covers(self, model: str) -> bool:
        """Return True if a model's name matches this row.

        Parameters
        ----------
        model
            The name, in upper or lower case, without the endpoint's name.

        Returns
        -------
        bool
            True if the pattern or an alias matches.
        """
        name = model.lower()
        return name in self.aliases or fnmatch.fnmatchcase(name, self.pattern)

    @property
    def specificity(self) -> int:
        """Number of characters of the pattern, without wildcards."""
        return len(self.pattern.replace("*", ""))


class ServedModel(Protocol):
    """Protocol of objects that a client accepts as a model, such as :class:`deluge_nb.LocalModel`.

    Examples
    --------
    >>> from deluge_nb.models import COMPATIBLE, LogprobSupport, ModelSpec, resolve
    >>> class MyModel:
    ...     name = "mine"
    ...     spec = ModelSpec("mine", COMPATIBLE, LogprobSupport("full"))
    >>> resolve(MyModel()).model
    'mine'
    """

    @property
    def name(self) -> str:
        """Name of the model in responses."""
        ...

    @property
    def spec(self) -> ModelSpec:
        """Row of the registry."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Model of a request: its name and its row of the registry.

    Parameters
    ----------
    model
        Name of the model in requests to its server.
    spec
        Row of the registry.

    Examples
    --------
    >>> from deluge_nb.models import resolve
    >>> resolve("groq/llama-3.3-70b-versatile").model
    'llama-3.3-70b-versatile'
    """

    model: str
    spec: ModelSpec

    @property
    def endpoint(self) -> Endpoint:
        """Server of the model."""
        return self.spec.endpoint
