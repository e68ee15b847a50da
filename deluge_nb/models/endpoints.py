"""The built-in servers."""

from __future__ import annotations

from typing import Any

from .spec import Endpoint


def _hosted(
    name: str,
    label: str,
    base_url: str,
    *,
    key_variables: tuple[str, ...] = (),
    url_variable: str = "",
    **more: Any,
) -> Endpoint:
    """Return the endpoint of a provider, with environment variables named after it by default."""
    prefix = name.upper()
    return Endpoint(
        name,
        label,
        base_url,
        key_variables=key_variables or (f"{prefix}_API_KEY",),
        url_variable=url_variable or f"{prefix}_BASE_URL",
        **more,
    )


def _own(name: str, label: str, base_url: str, **more: Any) -> Endpoint:
    """Return the endpoint of a server that users run themselves; an environment variable can set its address."""
    return _hosted(name, label, base_url, key_required=False, **more)


OPENAI = _hosted(
    "openai", "OpenAI", "https://api.openai.com/v1", max_tokens_field="max_completion_tokens", prefill=False
)
# Older models that continue raw text, at the same address and with the same key.
COMPLETIONS = Endpoint(
    "openai-completions",
    "OpenAI",
    "https://api.openai.com/v1",
    dialect="completions",
    key_variables=("OPENAI_API_KEY",),
    url_variable="OPENAI_BASE_URL",
    prefill=False,
    raw=True,
    scoring="echo",
)
# OpenAI's Responses API, used for models with this prefix only.
RESPONSES = Endpoint(
    "openai-responses",
    "OpenAI",
    "https://api.openai.com/v1",
    dialect="responses",
    key_variables=("OPENAI_API_KEY",),
    url_variable="OPENAI_BASE_URL",
    prefill=False,
)
AZURE = _hosted(
    "azure",
    "Azure OpenAI",
    "",
    key_variables=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    url_variable="AZURE_OPENAI_BASE_URL",
    key_header="api-key",
    max_tokens_field="max_completion_tokens",
    prefill=False,
)
ANTHROPIC = _hosted(
    "anthropic",
    "Anthropic",
    "https://api.anthropic.com/v1",
    dialect="anthropic",
    key_header="x-api-key",
    headers={"anthropic-version": "2023-06-01"},
)
GOOGLE = _hosted(
    "google",
    "Google",
    "https://generativelanguage.googleapis.com/v1beta",
    dialect="gemini",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    url_variable="GEMINI_BASE_URL",
    key_header="x-goog-api-key",
)
VERTEX = _hosted(
    "vertex",
    "Vertex AI",
    "https://aiplatform.googleapis.com/v1/publishers/google",
    dialect="gemini",
    key_variables=("VERTEX_API_KEY", "VERTEX_ACCESS_TOKEN"),
    key_header="x-goog-api-key",
    bearer_prefix="ya29.",
)
MISTRAL = _hosted(
    "mistral", "Mistral", "https://api.mistral.ai/v1", prefill=True, prefill_flag="prefix", stream_usage=False
)
GROQ = _hosted("groq", "Groq", "https://api.groq.com/openai/v1", prefill=True)
XAI = _hosted("xai", "xAI", "https://api.x.ai/v1")
# The server continues the beginning of an answer under /beta only.
DEEPSEEK = _hosted(
    "deepseek", "DeepSeek", "https://api.deepseek.com/beta", prefill=True, prefill_flag="prefix", raw=True
)
TOGETHER = _hosted(
    "together", "Together", "https://api.together.xyz/v1", counted_logprobs=True, raw=True, scoring="echo"
)
FIREWORKS = _hosted(
    "fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", prefill=True, raw=True, scoring="echo"
)
OPENROUTER = _hosted("openrouter", "OpenRouter", "https://openrouter.ai/api/v1")
COHERE = _hosted(
    "cohere",
    "Cohere",
    "https://api.cohere.com/v2",
    dialect="cohere",
    key_variables=("COHERE_API_KEY", "CO_API_KEY"),
    prefill=False,
)
CEREBRAS = _hosted("cerebras", "Cerebras", "https://api.cerebras.ai/v1", prefill=True)
PERPLEXITY = _hosted("perplexity", "Perplexity", "https://api.perplexity.ai", prefill=False)
HUGGINGFACE = _hosted(
    "huggingface",
    "Hugging Face",
    "https://router.huggingface.co/v1",
    key_variables=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
)
VLLM = _own(
    "vllm",
    "vLLM",
    "http://127.0.0.1:8000/v1",
    prefill=True,
    prefill_flag="continue_final_message",
    raw=True,
    scoring="prompt_logprobs",
)
SGLANG = _own(
    "sglang",
    "SGLang",
    "http://127.0.0.1:30000/v1",
    prefill=True,
    prefill_flag="continue_final_message",
    raw=True,
    scoring="sglang",
)
TGI = _own("tgi", "TGI", "http://127.0.0.1:8080/v1", prefill=True, raw=True, scoring="tgi")
OLLAMA = _own("ollama", "Ollama", "http://127.0.0.1:11434", dialect="ollama", prefill=True, raw=True, no_suffix="/v1")
LMSTUDIO = _own("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", prefill=True, raw=True)
MLX = _own("mlx", "mlx-lm", "http://127.0.0.1:8080/v1", raw=True)
LLAMACPP = _own(
    "llamacpp",
    "llama.cpp",
    "http://127.0.0.1:8080",
    dialect="llamacpp",
    prefill=True,
    raw=True,
    full_vocab=True,
    scoring="grammar",
    concurrency=4,
    no_suffix="/v1",
)
COMPATIBLE = Endpoint(
    "compatible",
    "OpenAI-compatible server",
    "",
    key_variables=("OPENAI_API_KEY",),
    key_required=False,
    raw=True,
    scoring="echo",
)
LOCAL = Endpoint(
    "local",
    "Embedded",
    "",
    dialect="llamacpp",
    key_required=False,
    prefill=True,
    raw=True,
    full_vocab=True,
    scoring="grammar",
    concurrency=4,
    launch="deluge_nb.local:default_server",
)

BUILT_IN = (
    *(OPENAI, COMPLETIONS, RESPONSES, AZURE, ANTHROPIC, GOOGLE, VERTEX, MISTRAL, GROQ, XAI, DEEPSEEK, TOGETHER),
    *(FIREWORKS, OPENROUTER, COHERE, CEREBRAS, PERPLEXITY, HUGGINGFACE, VLLM, SGLANG, TGI, OLLAMA, LMSTUDIO, MLX),
    *(LLAMACPP, LOCAL),
)
