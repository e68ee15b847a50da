"""The built-in models."""

from __future__ import annotations

from datetime import date
from typing import Any

from . import endpoints as at
from .spec import Endpoint, Kind, LogprobSupport, ModelSpec

_CHECKED = date(2026, 11, 23)

LOCAL_SUPPORT = LogprobSupport(
    "full",
    note="A toy model on your own machine: no key, no network, and the whole vocabulary on request.",
    source="measured",
    checked=_CHECKED,
)
UNKNOWN_SUPPORT = LogprobSupport(
    "unknown", note="Not in the registry: log-probabilities are requested, and the reply is checked."
)


def _row(
    pattern: str, endpoint: Endpoint, kind: Kind, note: str, shown_as: str, *, source: str = "provider", **more: Any
) -> ModelSpec:
    refuses = more.pop("refuses", ())
    support = LogprobSupport(kind, note=note, source=source, checked=_CHECKED, **more)
    prefixed = pattern == "*" or endpoint in (at.VERTEX, at.RESPONSES)
    return ModelSpec(pattern, endpoint, support, shown_as=shown_as, prefixed=prefixed, refuses=refuses)


_NEVER = "OpenAI answers 403: these models always reason and return no log-probabilities."
_REASONING = {"requires": {"reasoning_effort": "none"}}
# Models that always reason draw their tokens as OpenAI chooses.
_FIXED = ("temperature", "top_p")

BUILT_IN = (
    ModelSpec(
        "local",
        at.LOCAL,
        LOCAL_SUPPORT,
        shown_as="`local` (SmolLM2-135M-Instruct)",
        aliases=("smollm2-135m",),
        # A model this small repeats itself under greedy decoding; truncation (top-k, top-p) would hide alternatives.
        defaults={"temperature": 0.7, "max_new_tokens": 60},
        # The template's default instruction introduces "SmolLM, by Hugging Face"; the first token is then a toss-up.
        system="You are a helpful assistant.",
    ),
    ModelSpec("gpt-3.5*", at.OPENAI, LogprobSupport("full", source="provider", checked=_CHECKED), shown_as="GPT-3.5"),
    ModelSpec(
        "gpt-4*",
        at.OPENAI,
        LogprobSupport("full", source="provider", checked=_CHECKED),
        shown_as="GPT-4, GPT-4o, GPT-4.1",
    ),
    ModelSpec(
        "gpt-5*",
        at.OPENAI,
        LogprobSupport(
            "conditional",
            note="OpenAI answers 403 for gpt-5, gpt-5-mini and gpt-5-nano; the request is sent and the answer shown.",
            source="measured by others",
            checked=_CHECKED,
        ),
        shown_as="GPT-5",
        refuses=_FIXED,
    ),
    ModelSpec(
        "gpt-5.*",
        at.OPENAI,
        LogprobSupport(
            "conditional",
            requires={"reasoning_effort": "none"},
            note="Only with reasoning_effort='none', and then often fewer alternatives than asked for.",
            source="provider",
            checked=_CHECKED,
        ),
        shown_as="GPT-5.1 and later",
    ),
    ModelSpec(
        "claude*",
        at.ANTHROPIC,
        LogprobSupport("none", note="Anthropic's API has no log-probabilities.", source="provider", checked=_CHECKED),
        shown_as="Claude",
    ),
    ModelSpec(
        "gemini-*",
        at.GOOGLE,
        LogprobSupport(
            "limited",
            note="Google lists them for 1.5 and 2.0; most models in service refuse the request.",
            source="provider",
            checked=_CHECKED,
        ),
        shown_as="Gemini 1.5+, Gemini 2.0",
    ),
    *(
        ModelSpec(
            pattern,
            at.MISTRAL,
            LogprobSupport(
                "full",
                note="Documented for these models; La Plateforme has refused such requests (code 3051).",
                source="documentation",
                checked=_CHECKED,
            ),
            shown_as=shown_as,
        )
        for pattern, shown_as in (("mistral-large*", "Mistral Large"), ("mistral-medium*", "Mistral Medium"))
    ),
    *(
        ModelSpec(
            pattern,
            at.GROQ,
            LogprobSupport(
                "full",
                note="Listed as supported elsewhere; Groq's own documentation says it answers 400.",
                source="documentation",
                checked=_CHECKED,
            ),
            shown_as=shown_as,
        )
        for pattern, shown_as in (
            ("llama-3*", "Llama 3"),
            ("llama3*", "Llama 3 (short names)"),
            ("mixtral*", "Mixtral"),
        )
    ),
    *(
        _row(pattern, at.OPENAI, "none", _NEVER, shown_as, source="measured by others", refuses=_FIXED)
        for pattern, shown_as in (("o1*", "o1"), ("o3*", "o3"), ("o4*", "o4"))
    ),
    *(
        _row(
            pattern,
            at.OPENAI,
            "none",
            "Reasoning cannot be switched off.",
            shown_as,
            source="measured by others",
            refuses=_FIXED,
        )
        for pattern, shown_as in (("gpt-6-astra*", "GPT-6 Astra"), ("gpt-6.1-sol*", "GPT-6.1 Sol"))
    ),
    *(
        _row(
            pattern,
            at.OPENAI,
            "conditional",
            "Only with reasoning_effort='none', and then one or two alternatives.",
            shown_as,
            source="measured by others",
            **_REASONING,
        )
        for pattern, shown_as in (("gpt-6-luna*", "GPT-6 Luna"), ("gpt-6-sol*", "GPT-6 Sol"))
    ),
    *(
        _row(pattern, at.COMPLETIONS, "full", "Continues raw text; has no chat API.", shown_as, max_top=5)
        for pattern, shown_as in (
            ("gpt-3.5-turbo-instruct*", "GPT-3.5 Instruct"),
            ("davinci-002", "`davinci-002`"),
            ("babbage-002", "`babbage-002`"),
        )
    ),
    _row("*", at.RESPONSES, "full", "The chat models, through OpenAI's Responses API.", "`openai-responses/…`"),
    *(
        _row(
            pattern,
            at.RESPONSES,
            "conditional",
            "Only with reasoning_effort='none', and then often fewer alternatives than asked for.",
            shown_as,
            **_REASONING,
        )
        for pattern, shown_as in (
            ("gpt-5.*", "`openai-responses/gpt-5.1` and later"),
            ("gpt-6-luna*", "`openai-responses/gpt-6-luna`"),
            ("gpt-6-sol*", "`openai-responses/gpt-6-sol`"),
        )
    ),
    *(
        _row(pattern, at.RESPONSES, "none", _NEVER, f"`openai-responses/{pattern.rstrip('*')}…`", refuses=_FIXED)
        for pattern in ("o1*", "o3*", "o4*")
    ),
    _row("*", at.AZURE, "conditional", "Depends on the deployed model; set AZURE_OPENAI_BASE_URL.", "`azure/…`"),
    _row("gemini-2.*", at.VERTEX, "limited", "2.0 and 2.5 only; 3 refuses.", "`vertex/gemini-2.…`"),
    _row("*", at.VERTEX, "none", "Vertex AI refuses the request for this model.", "`vertex/…`, other models"),
    *(
        _row(pattern, at.XAI, "full", "Up to Grok 4.1.", f"`{pattern.rstrip('*')}…`", max_top=8)
        for pattern in ("grok-3*", "grok-4*")
    ),
    _row("grok-4.2*", at.XAI, "none", "xAI ignores the request from grok-4.20 on.", "`grok-4.20` and later"),
    _row(
        "deepseek-*",
        at.DEEPSEEK,
        "conditional",
        "Only without thinking, which is switched off in the request.",
        "`deepseek-…`",
        body={"thinking": {"type": "disabled"}},
    ),
    _row("*", at.TOGETHER, "full", "Depends on the model; some give one alternative or none.", "`together/…`"),
    _row("*", at.FIREWORKS, "full", "As many alternatives as the deployment allows.", "`fireworks/…`", max_top=5),
    _row(
        "*",
        at.OPENROUTER,
        "conditional",
        "Depends on the provider; only providers that return log-probabilities are used.",
        "`openrouter/…`",
        body={"provider": {"require_parameters": True}},
    ),
    _row("command*", at.COHERE, "limited", "The chosen tokens only, no alternatives.", "`command-…`", max_top=0),
    _row("*", at.CEREBRAS, "full", "", "`cerebras/…`"),
    _row("sonar*", at.PERPLEXITY, "none", "Perplexity's API has no log-probabilities.", "Sonar"),
    _row("*", at.HUGGINGFACE, "conditional", "Depends on the provider of the model.", "`huggingface/…`", max_top=5),
    _row("*", at.VLLM, "full", "More alternatives with --max-logprobs.", "`vllm/…`"),
    _row("*", at.SGLANG, "full", "After temperature, unless the server is configured otherwise.", "`sglang/…`"),
    _row("*", at.TGI, "full", "After temperature, top-p and penalties.", "`tgi/…`", max_top=5),
    _row("*", at.OLLAMA, "full", "From version 0.12.11 on; its cloud models give none.", "`ollama/…`"),
    _row("*", at.LMSTUDIO, "full", "Needs max_new_tokens of at least 2.", "`lmstudio/…`", max_top=10),
    _row("*", at.MLX, "none", "Its server may report any of the alternatives as the drawn token.", "`mlx/…`"),
    _row("*", at.LLAMACPP, "full", "Your own llama-server, through its native API.", "`llamacpp/…`"),
)

# Model names for lists, suggestions and completion, by pattern; for other rows the pattern itself is used.
EXAMPLES = {
    "gpt-3.5*": ["gpt-3.5-turbo"],
    "gpt-3.5-turbo-instruct*": ["gpt-3.5-turbo-instruct"],
    "gpt-4*": ["gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "gpt-4"],
    "gpt-5*": ["gpt-5", "gpt-5-mini"],
    "gpt-5.*": ["gpt-5.1"],
    "gpt-6-luna*": ["gpt-6-luna"],
    "gpt-6-sol*": ["gpt-6-sol"],
    "gpt-6-astra*": ["gpt-6-astra"],
    "gpt-6.1-sol*": ["gpt-6.1-sol"],
    "o1*": ["o1"],
    "o3*": ["o3", "o3-mini"],
    "o4*": ["o4-mini"],
    "claude*": ["claude-sonnet-4-5"],
    "gemini-*": ["gemini-2.0-flash", "gemini-1.5-pro"],
    "gemini-2.*": ["vertex/gemini-2.5-flash"],
    "mistral-large*": ["mistral-large-latest"],
    "mistral-medium*": ["mistral-medium-latest"],
    "llama-3*": ["llama-3.1-8b-instant", "llama-3.3-70b-versatile"],
    "llama3*": ["llama3-8b-8192"],
    "mixtral*": ["mixtral-8x7b-32768"],
    "grok-3*": ["grok-3"],
    "grok-4*": ["grok-4"],
    "grok-4.2*": ["grok-4.20"],
    "deepseek-*": ["deepseek-flash", "deepseek-v4-pro"],
    "command*": ["command-a-03-2025"],
    "sonar*": ["sonar"],
}
