"""Continue an answer from an alternative token: the branches of a view.

A branch keeps the rows before a position. The alternative is its next row, and the model writes the rest. The model
gets the exact beginning: token ids where the server accepts them (the embedded model does), else the text that the
tokens' bytes spell. The server tokenises that text again, perhaps differently; ids are exact. If neither form is exact,
the branch is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from ..errors import DelugeError, SettingError
from ..interop.readers import as_logprobs
from ..logprobs.splice import alternative_at, concatenate, token_bytes, with_alternative
from ..logprobs.table import Logprobs
from ..models import REGISTRY
from ..prompts import Prompt, PromptLike, as_prompt
from ..response import APIResponse
from ..sampling import SamplingParams
from ..text.end_tokens import is_end_token
from .client import LLMClient
from .interruption import keep

if TYPE_CHECKING:
    from ..models.spec import ServedModel
    from .route import Route

Status = Literal["asking", "ready", "failed"]

_ALTERNATIVES = 20


@dataclass(eq=False, repr=False)
class Branch:
    """An answer that continues from an alternative token; made by :meth:`deluge_nb.LogprobView.branch`.

    Parameters
    ----------
    id
        Value of ``view.node`` while this branch is shown; the original answer is 0.
    parent
        The branch it started from; None for the original answer.
    position
        Position of the alternative: the rows before it are those of the parent.
    place
        Index of the alternative in the parent's list at that position, from 0.
    token, instead
        The alternative as the provider spells it, and the parent's token at that position.
    logprob
        Log-probability of the alternative in nats; None where it was not reported.
    status
        ``"asking"`` while the model writes, then ``"ready"`` or ``"failed"``.
    message
        Reason of a failure, in one sentence.
    response
        The whole answer with a row for each token, or the failed response; None while the model writes.

    Examples
    --------
    >>> from deluge_nb import Branch
    >>> Branch(1, None, position=5, place=1, token=" Lyon", instead=" Paris", logprob=-3.2)
    Branch(1: ' Lyon' in place of ' Paris' at 5, asking)
    """

    id: int
    parent: Branch | None
    position: int
    place: int
    token: str
    instead: str
    logprob: float | None
    status: Status = "asking"
    message: str = ""
    response: APIResponse | None = None

    @property
    def table(self) -> Logprobs | None:
        """Log-probabilities of the whole answer; None unless the branch is ready."""
        return self.response.logprobs if self.status == "ready" and self.response is not None else None

    @property
    def total_logprob(self) -> float | None:
        """Log-probability of the whole answer in nats; None unless the branch is ready."""
        return None if self.table is None else self.table.total_logprob

    def __repr__(self) -> str:
        reason = f", {self.message}" if self.message else ""
        return (
            f"Branch({self.id}: {self.token!r} in place of {self.instead!r} at {self.position}, {self.status}{reason})"
        )


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """The part of a branch that is known before the model is asked.

    ``prompt`` is None if the answer ends here; ``finish_reason`` is then the reason. ``text`` is None if the rows end
    inside a character.
    """

    rows: Logprobs
    text: str | None
    prompt: Prompt | None
    params: SamplingParams
    finish_reason: str | None = None


class Continuer:
    """Continues answers to one prompt.

    Parameters
    ----------
    client
        A client, a model's name, or a :class:`deluge_nb.LocalModel`.
    prompt
        The prompt of the answers.
    sampling_params
        The settings of the answers, if they were not the client's.
    use_cache
        False bypasses the client's cache.

    Raises
    ------
    SettingError, UnknownModelError, LogprobsNotSupportedError
        If an argument is invalid.
    """

    def __init__(
        self,
        client: LLMClient | str | ServedModel,
        prompt: PromptLike,
        *,
        sampling_params: SamplingParams | None = None,
        use_cache: bool = True,
    ) -> None:
        self._client = client if isinstance(client, LLMClient) else LLMClient(client, logprobs=True)
        self._prompt = as_prompt(prompt)
        if sampling_params is not None and not isinstance(sampling_params, SamplingParams):
            raise SettingError(
                f"sampling_params must be SamplingParams, not {sampling_params!r}.",
                setting="sampling_params",
                value=sampling_params,
            )
        self._params = sampling_params
        self._use_cache = use_cache

    def for_prompt(self, prompt: PromptLike) -> Continuer:
        """Return a continuer with the same client and settings for another prompt."""
        return Continuer(self._client, prompt, sampling_params=self._params, use_cache=self._use_cache)

    def why_not(self, answer: object) -> str:
        """Return the reason why an answer (a response or a table) cannot be branched; empty if it can."""
        try:
            self._extend_prompt(self._turn(answer), "x")
        except DelugeError as error:
            return str(error)
        return ""

    def prepare(self, answer: object, position: int, place: int) -> PartialAnswer:
        """Return the beginning of a branch: the rows before a position and one of the alternatives there.

        Raises
        ------
        SettingError
            If the model cannot continue from there; the message has the reason.
        """
        table = as_logprobs(answer)
        turn = self._turn(answer)
        route = self._client._routes[turn]
        exact = route.endpoint.dialect == "llamacpp" and self._same_ids(answer, table, route)
        token, raw, token_id = alternative_at(table, position, place)
        octets = token_bytes(token, raw)
        ends = not octets or (not exact and is_end_token(octets.decode("utf-8", "replace")))
        rows = with_alternative(table, position, place, ends=ends)
        params = self._params_for(turn, table)
        before = b"".join(table[:position].token_bytes)
        text = _decode(before if ends else before + octets)
        if ends:
            return PartialAnswer(rows, text, None, params, "stop")
        if text is not None and any(stop in text for stop in params.stop):
            return PartialAnswer(rows, text, None, params, "stop")
        limit = route.with_defaults(params).max_new_tokens
        if limit is not None:
            if position + 1 >= limit:
                return PartialAnswer(rows, text, None, params, "length")
            params = params.replace(max_new_tokens=limit - position - 1)
        ids = [*table[:position].token_ids, token_id]
        if exact and None not in ids:
            prompt = self._extend_prompt(turn, None, cast("list[int]", ids))
        else:
            prompt = self._extend_prompt(turn, _check_text(text, rows, self._prompt.raw is None))
        return PartialAnswer(rows, text, prompt, params)

    def continue_from(self, answer: object, position: int, place: int) -> APIResponse:
        """Return the whole answer with an alternative in it; waits for the model to write the rest.

        Parameters
        ----------
        answer
            The response, or its table.
        position
            Position of the alternative.
        place
            Index of the alternative in the list at that position, from 0.

        Raises
        ------
        SettingError
            If the model cannot continue from there; the message has the reason.
        """
        beginning = self.prepare(answer, position, place)
        turn = self._turn(answer)
        if beginning.prompt is None:
            return APIResponse(
                self._client._routes[turn].model,
                completion=beginning.text if beginning.text is not None else beginning.rows.text,
                logprobs=beginning.rows,
                finish_reason=beginning.finish_reason,
                _raw={},
                _dialect="completions",  # its body is returned unchanged, and there is none
            )
        rest = None
        try:
            rest = self._client._continue(beginning.prompt, beginning.params, turn, use_cache=self._use_cache)
            return complete_answer(beginning, rest)
        except BaseException as error:
            if rest is not None:
                keep(self._client, [rest], error)
            raise

    # Model and settings -----------------------------------------------------------------------------------------------

    def _turn(self, answer: object) -> int:
        """Return the index of the client's model that wrote an answer."""
        names = self._client.models
        if isinstance(answer, APIResponse):
            if answer.model in names:
                return names.index(answer.model)
            raise SettingError(
                f"{answer.model!r} wrote this, and the client asks {', '.join(map(repr, names))}: only the model "
                "that wrote an answer can continue it.",
                setting="client",
            )
        if len(set(names)) > 1:
            raise SettingError(
                f"The client asks {', '.join(map(repr, names))}, and a table does not say which of them wrote it; show "
                "the response, or give a client of one model.",
                setting="client",
            )
        return 0

    def _same_ids(self, answer: object, table: Logprobs, route: Route) -> bool:
        """Return whether the token ids of a table are those of the model."""
        if isinstance(answer, APIResponse):
            return True
        served = route.served()
        return served is not None and table.vocab_size is not None and served.address().vocab_size == table.vocab_size

    def _params_for(self, turn: int, table: Logprobs | None = None) -> SamplingParams:
        own = self._client.sampling_params
        params = self._params if self._params is not None else own[turn] if len(own) > 1 else own[0]
        if params.logprobs and (params.full_vocab or params.top_logprobs is not None):
            return params
        # A branch can be branched again, so it has as many alternatives as the answer.
        route = self._client._routes[turn]
        count = _ALTERNATIVES if table is None else min(table.most_alternatives, _ALTERNATIVES)
        return params.replace(logprobs=True, top_logprobs=min(count, route.target.spec.support.max_top))

    def _extend_prompt(self, turn: int, text: str | None, ids: Sequence[int] = ()) -> Prompt:
        """Return the prompt with the beginning of the answer; refuse it if the server cannot continue an answer."""
        route, prompt = self._client._routes[turn], self._prompt
        endpoint = route.endpoint
        if prompt.raw is None and endpoint.dialect == "completions":
            # A completion server takes a chat of one message as text.
            REGISTRY.validate(route.target, self._params_for(turn), prompt)
            prompt = Prompt(raw=_only_text(prompt, route.model), given=prompt.as_asked)
        if ids:
            begun = replace(prompt, begun=tuple(ids))
        elif prompt.raw is not None:
            begun = Prompt(raw=prompt.raw + (text or ""), given=prompt.as_asked)
        elif endpoint.prefill is False:
            raise SettingError(
                f"{route.model!r} cannot branch: {endpoint.label} starts a new answer instead of continuing one; "
                "the embedded model 'local' continues it.",
                setting="client",
                value=route.model,
            )
        else:
            begun = Prompt(prompt.messages, (prompt.prefill or "") + (text or ""), given=prompt.as_asked)
        REGISTRY.validate(route.target, self._params_for(turn), begun)
        return begun


# Text and rows --------------------------------------------------------------------------------------------------------


def complete_answer(beginning: PartialAnswer, rest: APIResponse) -> APIResponse:
    """Return the whole answer: a beginning and the rest from the model; a failed response is returned unchanged."""
    if rest.is_error:
        return rest
    table = rest.logprobs
    if table is None:
        if rest.completion:
            return _fail_rest(rest, f"The rest came without log-probabilities: {rest.note or 'the server sent none'}.")
        table = Logprobs.from_entries([])
    whole = concatenate(beginning.rows, table)
    added, rows = rest.completion or "", table.text
    # Some servers strip white space from the text, or cut it at a stop string, but not from the rows.
    if beginning.text is None or (not added.startswith(rows) and added.strip() == rows.strip("\ufffd").strip()):
        text = whole.text
    else:
        text = beginning.text + added
    return replace(rest, completion=text, logprobs=whole)


def _decode(octets: bytes) -> str | None:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _check_text(text: str | None, rows: Logprobs, chat: bool) -> str:
    """Return the text that stands for tokens in a request.

    Raises
    ------
    SettingError
        If the text would not be exactly that of the tokens.
    """
    if text is None:
        raise SettingError(
            "The beginning ends inside a character, and this model's server accepts text only; the embedded model "
            "'local' continues from there.",
            setting="alternative",
        )
    entries = (rows.vocabulary.entry(index) for index in rows.chosen.tolist())
    if any("\ufffd" in token and not isinstance(raw, bytes) for token, raw, _ in entries):
        raise SettingError(
            "A token of the beginning is a part of a character, and the server did not report its bytes, so the exact "
            "beginning is unknown.",
            setting="alternative",
        )
    if chat and text != text.rstrip():
        raise SettingError(
            "The beginning ends in white space, which chat servers strip, so the model would continue from another "
            "text; a RawPrompt or the embedded model 'local' keeps it.",
            setting="alternative",
        )
    return text


def _only_text(prompt: Prompt, model: str) -> str:
    content = prompt.messages[0].get("content") if len(prompt.messages) == 1 and prompt.prefill is None else None
    if not isinstance(content, str):
        raise SettingError(f"{model!r} continues text and cannot hold a conversation.", setting="prompt")
    return content


def _fail_rest(rest: APIResponse, message: str) -> APIResponse:
    return APIResponse(
        rest.model,
        is_error=True,
        error_message=message,
        status_code=rest.status_code,
        _raw=rest._raw,
        _dialect=rest._dialect,
    )


def response_or_table(value: Any) -> Any:
    """Return a response of this package unchanged, because it names its model; else the table of the value."""
    return value if isinstance(value, APIResponse) else as_logprobs(value)
