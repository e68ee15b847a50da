"""Going on with an answer from another token than the one that was drawn.

A branch keeps the rows before a position, has the alternative as its next row, and goes on as the model does from
there. What the model is given is the exact beginning: token ids where the server takes them (the embedded model does),
else the text that the tokens' bytes make. A text is cut into tokens by the server, which may cut it otherwise than it
was written; ids leave nothing open. Where neither can be exact, there is no branch but a reason.
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
from .client import LLMClient
from .route import with_model_defaults

if TYPE_CHECKING:
    from ..models.spec import ServedModel
    from .route import Route

Status = Literal["asking", "ready", "failed"]

_ALTERNATIVES = 20
# How servers that tell no ids write the token that ends an answer.
_ENDS = frozenset(
    (
        *("</s>", "<eos>", "[EOS]", "<|eos|>", "<|end|>", "<|return|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>"),
        *("<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>"),
    )
)


@dataclass(eq=False, repr=False)
class Branch:
    """An answer that went on from another token: see :meth:`deluge_nb.LogprobView.branch`.

    Parameters
    ----------
    id
        What ``view.node`` is when this branch is shown; the original is 0.
    parent
        The branch it left, or None where that is the original.
    position
        Where it left: the rows before are those of the parent.
    place
        The alternative's place in the parent's list at that position, 0 for the first.
    token, instead
        The alternative as the provider spells it, and the token that the parent has there.
    logprob
        How probable the alternative was at that position, in nats; None where that was not told.
    status
        ``"asking"`` while the model writes, then ``"ready"`` or ``"failed"``.
    message
        Why it failed, in one sentence.
    response
        The whole answer, with a row for each of its tokens; what the request said where it failed, None until then.
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
        """The log-probabilities of the whole answer; None unless it is ready."""
        return self.response.logprobs if self.status == "ready" and self.response is not None else None

    @property
    def total_logprob(self) -> float | None:
        """The log-probability of the whole answer in nats, tokens without one left out; None unless it is ready."""
        return None if self.table is None else self.table.total_logprob

    def __repr__(self) -> str:
        told = f", {self.message}" if self.message else ""
        return f"Branch({self.id}: {self.token!r} in place of {self.instead!r} at {self.position}, {self.status}{told})"


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """A branch before the model goes on with it.

    ``prompt`` is None where there is nothing to ask, and ``finish_reason`` says why. ``text`` is None where the rows
    end inside a character.
    """

    rows: Logprobs
    text: str | None
    prompt: Prompt | None
    params: SamplingParams
    finish_reason: str | None = None
    note: str | None = None


class Continuer:
    """Goes on with the answers to one prompt.

    Parameters
    ----------
    client
        Who is asked: a client, a model's name, or a :class:`deluge_nb.LocalModel`.
    prompt
        What was asked.
    sampling_params
        The settings of the answer, where they were not the client's own.
    use_cache
        False asks anew and keeps nothing, whatever the client's ``cache``.

    Raises
    ------
    SettingError, UnknownModelError, LogprobsNotSupportedError
        When one of these is none.
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
        """Return the same for another prompt."""
        return Continuer(self._client, prompt, sampling_params=self._params, use_cache=self._use_cache)

    def why_not(self, answer: object) -> str:
        """Why no branch can leave an answer (a response or a table), as a sentence; empty where one can."""
        try:
            self._extend_prompt(self._turn(answer), "x")
        except DelugeError as error:
            return str(error)
        return ""

    def prepare(self, answer: object, position: int, place: int) -> PartialAnswer:
        """What the model is to go on with: the rows before a position and one of the alternatives there.

        Raises
        ------
        SettingError
            When it cannot go on from there; says why.
        """
        table = as_logprobs(answer)
        turn = self._turn(answer)
        route = self._client.routes[turn]
        exact = route.endpoint.dialect == "llamacpp" and self._same_ids(answer, table, route)
        token, raw, token_id = alternative_at(table, position, place)
        octets = token_bytes(token, raw)
        ends = not octets or (not exact and octets.decode("utf-8", "replace").strip() in _ENDS)
        rows = with_alternative(table, position, place, ends=ends)
        params = self._params_for(turn, table)
        before = b"".join(table[:position].token_bytes)
        text = _decoded(before if ends else before + octets)
        if ends:
            return PartialAnswer(rows, text, None, params, "stop")
        if text is not None and any(stop in text for stop in params.stop):
            return PartialAnswer(rows, text, None, params, "stop")
        limit = with_model_defaults(params, route.target).max_new_tokens
        if limit is not None:
            if position + 1 >= limit:
                return PartialAnswer(rows, text, None, params, "length")
            params = params.replace(max_new_tokens=limit - position - 1)
        ids = [*table[:position].token_ids, token_id]
        if exact and None not in ids:
            prompt = self._extend_prompt(turn, None, cast("list[int]", ids))
        else:
            prompt = self._extend_prompt(turn, _checked(text, rows, self._prompt.raw is None))
        note = None
        if prompt.prefill is not None and not prompt.begun and route.endpoint.prefill is None:
            note = f"nobody has said whether {route.endpoint.label} goes on with an answer that was begun"
        return PartialAnswer(rows, text, prompt, params, note=note)

    def continue_from(self, answer: object, position: int, place: int) -> APIResponse:
        """The whole answer with an alternative in it, from a model that is asked for the rest and waited for.

        Parameters
        ----------
        answer
            The response, or its table.
        position
            Where the alternative is to stand.
        place
            Its place among those listed there, 0 for the first.

        Raises
        ------
        SettingError
            When the model cannot go on from there; says why.
        """
        beginning = self.prepare(answer, position, place)
        turn = self._turn(answer)
        if beginning.prompt is None:
            return APIResponse(
                self._client.routes[turn].model,
                completion=beginning.text if beginning.text is not None else beginning.rows.text,
                logprobs=beginning.rows,
                finish_reason=beginning.finish_reason,
                _raw={},
                _dialect="completions",  # whose bodies are given as they came: nothing has
            )
        rest = self._client.go_on(beginning.prompt, beginning.params, turn, use_cache=self._use_cache)
        return complete_answer(beginning, rest)

    # Who and how ------------------------------------------------------------------------------------------------------

    def _turn(self, answer: object) -> int:
        """Which of the client's models is asked: the one that began."""
        names = self._client.models
        if isinstance(answer, APIResponse):
            if answer.model in names:
                return names.index(answer.model)
            raise SettingError(
                f"{answer.model!r} wrote this, and the client asks {', '.join(map(repr, names))}: a branch is for the "
                "model that began.",
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
        """Whether the ids of a table are those of the model that is asked."""
        if isinstance(answer, APIResponse):
            return True
        served = route.served()
        return served is not None and table.vocab_size is not None and served.address().vocab_size == table.vocab_size

    def _params_for(self, turn: int, table: Logprobs | None = None) -> SamplingParams:
        own = self._client.sampling_params
        params = self._params if self._params is not None else own[turn] if len(own) > 1 else own[0]
        if params.logprobs and (params.full_vocab or params.top_logprobs is not None):
            return params
        # As many as the answer has, for the branch is to be branched from, too.
        route = self._client.routes[turn]
        wanted = _ALTERNATIVES if table is None else min(table.most_alternatives, _ALTERNATIVES)
        return params.replace(logprobs=True, top_logprobs=min(wanted, route.target.spec.support.max_top))

    def _extend_prompt(self, turn: int, text: str | None, ids: Sequence[int] = ()) -> Prompt:
        """The prompt with the beginning of the answer, which the model's server must be able to go on with."""
        route, prompt = self._client.routes[turn], self._prompt
        endpoint = route.endpoint
        if prompt.raw is None and endpoint.dialect == "completions":
            # To it, a chat of one message is the text to go on with.
            REGISTRY.validate(route.target, self._params_for(turn), prompt)
            prompt = Prompt(raw=_only_text(prompt, route.model))
        if ids:
            begun = Prompt(prompt.messages, prompt.prefill, prompt.raw, tuple(ids))
        elif prompt.raw is not None:
            begun = Prompt(raw=prompt.raw + (text or ""))
        elif endpoint.prefill is False:
            raise SettingError(
                f"{route.model!r} cannot branch: {endpoint.label} starts a new answer and does not go on with one that "
                "was begun; the embedded model 'local' does.",
                setting="client",
                value=route.model,
            )
        else:
            begun = Prompt(prompt.messages, (prompt.prefill or "") + (text or ""))
        REGISTRY.validate(route.target, self._params_for(turn), begun)
        return begun


# Text and rows --------------------------------------------------------------------------------------------------------


def complete_answer(beginning: PartialAnswer, rest: APIResponse) -> APIResponse:
    """The whole answer: a beginning and what the model added to it; or the failure as it came."""
    if rest.is_error:
        return rest
    table = rest.logprobs
    if table is None:
        if rest.completion:
            return _failed(rest, f"The rest came without log-probabilities: {rest.note or 'the server sent none'}.")
        table = Logprobs.from_entries([])
    whole = concatenate(beginning.rows, table)
    added, rows = rest.completion or "", table.text
    # Some servers strip white space from a text, or cut it at a stop string; its rows are as they were drawn.
    if beginning.text is None or (not added.startswith(rows) and added.strip() == rows.strip("\ufffd").strip()):
        text = whole.text
    else:
        text = beginning.text + added
    note = "; ".join(filter(None, (beginning.note, rest.note))) or None
    return replace(rest, completion=text, logprobs=whole, note=note)


def _decoded(octets: bytes) -> str | None:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _checked(text: str | None, rows: Logprobs, chat: bool) -> str:
    """The text that a server can be given for some tokens.

    Raises
    ------
    SettingError
        When it would not be what the tokens were.
    """
    if text is None:
        raise SettingError(
            "The beginning ends inside a character, and this model's server takes text only, which has no half "
            "characters; the embedded model 'local' goes on from there.",
            setting="alternative",
        )
    entries = (rows.vocabulary.entry(index) for index in rows.chosen.tolist())
    if any("\ufffd" in token and not isinstance(raw, bytes) for token, raw, _ in entries):
        raise SettingError(
            "A token of the beginning is no text by itself, and its bytes were not told: nobody knows what to go on "
            "from.",
            setting="alternative",
        )
    if chat and text != text.rstrip():
        raise SettingError(
            "The beginning ends in white space, which chats drop at the end of what an answer begins with, so that the "
            "model would go on from something else; a RawPrompt or the embedded model 'local' keeps it.",
            setting="alternative",
        )
    return text


def _only_text(prompt: Prompt, model: str) -> str:
    content = prompt.messages[0].get("content") if len(prompt.messages) == 1 and prompt.prefill is None else None
    if not isinstance(content, str):
        raise SettingError(f"{model!r} continues text and cannot hold a conversation.", setting="prompt")
    return content


def _failed(rest: APIResponse, message: str) -> APIResponse:
    return APIResponse(
        rest.model,
        is_error=True,
        error_message=message,
        status_code=rest.status_code,
        _raw=rest._raw,
        _dialect=rest._dialect,
    )


def response_or_table(value: Any) -> Any:
    """What a branch leaves: a response of this package, which knows its model, or the table of anything else."""
    return value if isinstance(value, APIResponse) else as_logprobs(value)
