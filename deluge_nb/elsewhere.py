"""Names that people bring from lm-deluge and the OpenAI SDK, and what to write here in their place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_ASK = "write client.process_prompts_sync([prompt]), or await client.process_prompts_async([prompt])"
_SETTINGS = (
    "temperature",
    "top_p",
    "logprobs",
    "top_logprobs",
    "max_new_tokens",
    "seed",
    "stop",
    "n",
    "reasoning_effort",
)
_ABSENT = "there is none here: it gives no log-probabilities, or makes another kind of program"

CLIENT: Mapping[str, str] = {
    **dict.fromkeys(("chat", "completions", "responses", "beta"), _ASK),
    **dict.fromkeys(("process_prompts", "ask", "complete", "generate", "invoke", "predict", "query", "run"), _ASK),
    **dict.fromkeys(("acomplete", "agenerate", "ainvoke"), _ASK),
    **dict.fromkeys(
        ("start", "start_nowait", "wait_for", "wait_for_all"),
        "write client.as_completed(prompts), which yields pairs of an index and a response as they come",
    ),
    "stream_chat": "write client.stream(prompt)",
    **dict.fromkeys(
        ("with_model", "with_models", "with_logprobs", "with_options", "copy"),
        "make another client, such as LLMClient('gpt-4o', logprobs=True)",
    ),
    **dict.fromkeys(("model", "model_name", "model_names"), "write client.models, the list of names"),
    **{name: f"write client.sampling_params[0].{name}" for name in _SETTINGS},
    **dict.fromkeys(
        ("batch", "batches", "abatch", "submit_batch_job", "wait_for_batch_job"),
        "write score_frame(…, on='openai-batch'), which keeps a batch job in a folder",
    ),
    **dict.fromkeys(
        (
            "embeddings",
            "embed",
            "images",
            "audio",
            "files",
            "moderations",
            "rerank",
            "run_agent_loop",
            "start_agent_loop",
        ),
        _ABSENT,
    ),
}
RESPONSE: Mapping[str, str] = {
    **dict.fromkeys(("content", "text", "message", "output_text", "output"), "write response.completion"),
    **{name: f"write response.raw_response[{name!r}]" for name in ("id", "created", "object", "system_fingerprint")},
    **dict.fromkeys(
        ("model_dump", "model_dump_json", "json", "to_json", "dict"), "write response.to_dict(), which is plain JSON"
    ),
    **dict.fromkeys(("cache_hit", "local_cache_hit"), "write response.from_cache"),
    **dict.fromkeys(("reasoning", "reasoning_content"), "write response.thinking"),
    **dict.fromkeys(("prompt_tokens", "tokens_in"), "write response.input_tokens"),
    **dict.fromkeys(("completion_tokens", "tokens_out"), "write response.output_tokens"),
    "model_internal": "write response.model",
    "refusal": "write response.note, which has the words of a refusal",
}
CONVERSATION: Mapping[str, str] = {
    **dict.fromkeys(
        ("add", "append", "extend", "add_message"),
        "write conversation.user(…), .ai(…) or .with_response(…), which return a longer conversation",
    ),
    **dict.fromkeys(
        ("to_openai", "to_dict", "to_list", "to_messages", "to_log"),
        "write [{'role': message.role, 'content': message.content} for message in conversation]",
    ),
    **dict.fromkeys(("with_user", "add_user"), "write conversation.user(…)"),
    **dict.fromkeys(("with_assistant", "with_ai", "add_assistant", "add_ai"), "write conversation.assistant(…)"),
    **dict.fromkeys(("with_system", "add_system"), "write conversation.system(…)"),
    **dict.fromkeys(("with_image", "add_image"), "write conversation.user(text, image=path)"),
    "count_tokens": "write client.count_tokens([conversation])",
    **dict.fromkeys(
        ("with_tool_result", "with_tool_results", "add_tool_result"),
        "pass a list of messages in its place, with {'role': 'tool', …} as the server reads it",
    ),
}
TABLE: Mapping[str, str] = {
    "content": "the table is itself the list of entries: write logprobs[0]['token']",
    **dict.fromkeys(("token_logprobs", "logprob"), "write [entry['logprob'] for entry in logprobs]"),
    "top_logprobs": "write logprobs[0]['top_logprobs']",
}
PACKAGE: Mapping[str, str] = {
    **dict.fromkeys(
        ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI", "Client", "AsyncClient"),
        "write LLMClient('gpt-4o')",
    ),
    **dict.fromkeys(("SqliteCache", "LevelDBCache", "DistributedDictCache"), "write LLMClient(…, cache=True)"),
    **dict.fromkeys(
        (
            "APIError",
            "APIStatusError",
            "APIConnectionError",
            "APITimeoutError",
            "RateLimitError",
            "AuthenticationError",
        ),
        "a failed prompt does not raise: check response.is_error, and response.error, a RequestError",
    ),
    **dict.fromkeys(("Image", "File", "Text"), "write Conversation().user(text, image=path)"),
    **dict.fromkeys(("MCPServer", "Skill", "embed", "rerank", "run_agent_loop"), _ABSENT),
}
CALL: Mapping[str, str] = {
    **{name: f"write sampling_params=SamplingParams({name}=…)" for name in _SETTINGS},
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens"),
        "write sampling_params=SamplingParams(max_new_tokens=…)",
    ),
    **dict.fromkeys(("response_format", "json_mode", "json_schema"), "write output_schema="),
    **dict.fromkeys(("verbose", "progress", "print_progress"), "write show_progress="),
    **dict.fromkeys(("messages", "inputs", "prompt"), "the prompts come first: client.process_prompts_sync([…])"),
    "cache": "write use_cache=, and give the cache to the client: LLMClient(…, cache=True)",
    "dry_run": "write client.dry_run(prompts)",
    "model": "the model is the client's: LLMClient('gpt-4o')",
    "stream": "write client.stream(prompt)",
    "timeout": "write LLMClient(…, timeout=…)",
    "extra_headers": "write LLMClient(…, extra_headers=…)",
    "extra_body": "write sampling_params=SamplingParams(extra_body=…)",
}


def checked_call(call: F) -> F:
    """Return a call of the client whose error for an unknown argument says what to write in its place."""
    known = frozenset(inspect.signature(call).parameters)

    @wraps(call)
    def checked(*args: Any, **arguments: Any) -> Any:
        for name in arguments:
            if name not in known and name in CALL:
                raise TypeError(f"{call.__name__}() has no argument {name!r}; {CALL[name]}.")
        return call(*args, **arguments)

    return checked  # type: ignore[return-value]


class NamesElsewhere:
    """Base of classes whose error for a missing attribute says how other libraries' names are written here."""

    __slots__ = ()
    _elsewhere: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # with it, a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            kind = type(self)
            remedy = kind._elsewhere.get(name)
            text = f"{kind.__name__!r} object has no attribute {name!r}"
            if remedy is None:
                raise AttributeError(text, name=name, obj=self)
            raise AttributeError(f"{text}; {remedy}.")
