"""The question of a cell: its prompt, its settings and its clients, from the options and the defaults."""

from __future__ import annotations

import contextlib
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

from IPython.core.error import UsageError

from ..client.client import LLMClient
from ..errors import DelugeError, SettingError
from ..local import LocalModel
from ..printable import printable
from ..prompts import Conversation, RawPrompt
from ..response import APIResponse
from ..sampling import SamplingParams
from .line import MAGIC

# The options that are settings of a request, each with its name there.
_SETTINGS = {
    "top_logprobs": "top_logprobs",
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_new_tokens",
    "seed": "seed",
    "stop": "stop",
    "full_vocab": "full_vocab",
}
# Advice of errors about a prompt, and the same for its option.
_ADVICE = {
    "prefill": ("leave out the last assistant message", "leave out --prefill"),
    "raw": ("send a chat prompt", "leave out --raw"),
}
# Answers that one request may ask for, and that a cell may.
_MOST_TOGETHER, _MOST = 128, 10_000
# What --read has no use for: it asks for no answer.
_FOR_ANSWERS = (
    *("temperature", "top_p", "max_tokens", "system", "seed", "stop", "n", "full_vocab", "compare"),
    *("raw", "prefill"),
)


# Also what follows a name without a space; _Variables finds its end.
_BESIDE_ASCII = "\\u0080-\\U0010ffff"
_NO_NAME = "--fill: a $ must be followed by a variable's name; write $$ for a dollar."


class _Filled(Template):
    """A text in which ``$name`` may have every name that Python allows."""

    idpattern = f"[_a-zA-Z{_BESIDE_ASCII}][_a-zA-Z0-9{_BESIDE_ASCII}]*"
    flags = re.UNICODE


class _Variables(Mapping[str, Any]):
    """The notebook's variables as texts, by their names and what follows these."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def __getitem__(self, text: str) -> str:
        name = "".join(itertools.takewhile(lambda sign: f"_{sign}".isidentifier(), text))
        if not name.isidentifier():
            raise UsageError(_NO_NAME)
        # "$city是" is a city and a word unless there is a variable of that name.
        plain = "".join(itertools.takewhile(str.isascii, name))
        for end, known in ((len(name), unicodedata.normalize("NFKC", name)), (len(plain), plain)):
            if known in self._variables:
                return _text_of(name[:end], self._variables[known]) + text[end:]
        raise UsageError(f"--fill: there is no variable {name!r} in the notebook.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _text_of(name: str, value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        reason = printable(f"{type(error).__name__}: {error}")
        raise UsageError(f"--fill: {name!r} has no text; its str() raises {reason}.") from None


@dataclass(frozen=True, slots=True)
class Defaults:
    """Settings for options that the line leaves out, by name, and the notebook's variables."""

    configured: Mapping[str, Any]
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """Prompt for each model, and the settings that the line and the configuration give."""

    prompt: RawPrompt | Conversation
    from_line: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def params_for(self, client: LLMClient, *, is_own: bool) -> SamplingParams:
        """Return the settings for a client; those of the user's own client win over the defaults."""
        own = client.sampling_params[0].chosen() if is_own else {}
        chosen: dict[str, Any] = {**self.defaults, **own, **self.from_line, "logprobs": True}
        if self.from_line.get("full_vocab") or (own.get("full_vocab") and "top_logprobs" not in self.from_line):
            if "top_logprobs" in self.from_line:
                raise UsageError("--full-vocab gives every alternative; leave out --top-logprobs.")
            chosen.pop("top_logprobs", None)
        else:
            chosen.pop("full_vocab", None)
        return SamplingParams(**chosen)


def read_text(options: Any, body: str, variables: Mapping[str, Any]) -> str:
    """Return the text of a cell, with the names in it replaced if that was asked for.

    Raises
    ------
    UsageError
        When there is no text, or a name is no variable.
    """
    if not body.strip():
        raise UsageError(f"The cell is empty: write the {'text' if options.read else 'prompt'} below {MAGIC}.")
    if not options.fill:
        return body
    try:
        text = _Filled(body).substitute(_Variables(variables))
    except ValueError:
        raise UsageError(_NO_NAME) from None
    if not text.strip():
        raise UsageError("--fill: nothing but white space is left of the cell; its variables are empty.")
    return text


def count_of(options: Any) -> int:
    """Return the number of answers that a cell asks of each model.

    Raises
    ------
    UsageError
        When it is none or too many, or goes with options that have no use for it.
    """
    count = 1 if options.n is None else options.n
    if count < 1:
        raise UsageError(f"-n must be an integer of at least 1, not {count}.")
    if count > _MOST:
        raise UsageError(f"-n must be at most {_MOST:,}; ask for more with LLMClient.process_prompts_sync.")
    if options.chart not in (None, "none"):
        asked = "-n" if options.compare is None else "--compare"
        raise UsageError(f"{asked} shows several answers without a chart; leave out --chart.")
    return count


def explain(error: DelugeError, options: Any, configured: Mapping[str, Any]) -> str:
    """Return the sentence of an error, with the names that the user wrote in place of those of a request's settings."""
    message = str(error)
    for name, own in {**_SETTINGS, "base_url": "base_url"}.items():
        # A name of one word, such as "stop", may be another word further on.
        first = rf"\A{own}(=True)?(?= )"
        if getattr(options, name) is not None:
            anywhere = first if "_" not in own else rf"(?<![\w-]){own}(=True)?(?!\w)"
            message = re.sub(anywhere, f"--{name.replace('_', '-')}", message)
        elif configured.get(name) is not None and getattr(error, "setting", None) == own:
            message = re.sub(first, f"DelugeMagics.{name}", message)
        else:
            continue
        message = message.replace(", or None,", ",")
    for name, (advice, own_advice) in _ADVICE.items():
        if getattr(options, name):
            message = message.replace(advice, own_advice)
    return message


def question_of(options: Any, text: str, defaults: Defaults) -> Question:
    """Return the question that the options of a cell describe.

    Raises
    ------
    UsageError
        When options contradict each other.
    """
    system = options.system if options.system is not None else defaults.configured["system"]
    prefill = options.prefill or None
    if options.n is not None and options.compare is not None:
        raise UsageError("-n draws several answers of one model, and --compare asks two models; use one of them.")
    if options.raw:
        for name in ("system", "prefill"):
            if getattr(options, name):
                raise UsageError(f"--raw continues the text without a chat; --{name} is for a chat.")
        prompt: RawPrompt | Conversation = RawPrompt(text)
    else:
        prompt = (Conversation().system(system) if system else Conversation()).user(text)
        if prefill is not None:
            prompt = prompt.assistant_prefix(prefill)
    given = {own: getattr(options, name) for name, own in _SETTINGS.items()}
    configured = {own: defaults.configured.get(name) for name, own in _SETTINGS.items()}
    return Question(
        prompt,
        {name: value for name, value in given.items() if value is not None},
        {name: value for name, value in configured.items() if value is not None},
    )


def check_reading(options: Any) -> None:
    """Refuse options that --read has no use for.

    Raises
    ------
    UsageError
        When there is one.
    """
    for name in _FOR_ANSWERS:
        value = getattr(options, name)
        if value is not None and value is not False:  # 0 is a setting
            option = f"{'-' if name == 'n' else '--'}{name.replace('_', '-')}"
            raise UsageError(f"--read reads the cell and asks for no answer; {option} is for one.")


@contextlib.contextmanager
def open_client(options: Any, defaults: Defaults, model: str | None) -> Iterator[tuple[LLMClient, bool]]:
    """Yield the client for a model of the line, and whether it is the user's own, which stays open.

    Raises
    ------
    UsageError
        When an address is given for a model that has one.
    """
    configured = defaults.configured
    variable = defaults.variables.get(model) if model else None
    if isinstance(variable, LLMClient):
        if options.base_url is not None:
            raise UsageError(f"--base-url is the address of a model's server; {model} is a client and has its own.")
        yield variable, True
        return
    if options.base_url is not None and (model or configured["model"]) == "local":
        raise UsageError("--base-url needs the name of a model there: add --model NAME.")
    address = {} if options.base_url is None else {"base_url": options.base_url}
    client = LLMClient(
        variable if isinstance(variable, LocalModel) else model or configured["model"],
        # --cache uses the file of the configuration if that names one.
        cache=configured["cache"] if options.cache is None else options.cache and (configured["cache"] or True),
        **address,
    )
    try:
        yield client, False
    finally:
        client.close()


def ask_several(
    client: LLMClient, prompt: RawPrompt | Conversation, params: SamplingParams, count: int, *, use_cache: bool
) -> list[APIResponse]:
    """Return several answers to one prompt: of one request where the server gives several, else of one request each.

    Raises
    ------
    SettingError, LogprobsNotSupportedError
        When the model cannot do what is asked of it.
    KeyboardInterrupt
        When interrupted; ``client.interrupted`` has the answers that had come.
    """
    options = {"show_progress": False, "use_cache": use_cache}
    if 1 < count <= _MOST_TOGETHER:
        try:
            (response,) = client.process_prompts_sync([prompt], sampling_params=params.replace(n=count), **options)
        except SettingError as error:  # raised before any request
            if error.setting != "n":
                raise
        else:
            return list(response.choices)
    return list(client.process_prompts_sync([prompt] * count, sampling_params=params, **options))
