"""The rows of the registry that come with the package."""

from __future__ import annotations

from datetime import date

from ._specs import Endpoint, LogprobSupport, ModelSpec

OPENAI = Endpoint(
    "openai",
    "OpenAI",
    "https://api.openai.com/v1",
    key_variables=("OPENAI_API_KEY",),
    url_variable="OPENAI_BASE_URL",
    max_tokens_field="max_completion_tokens",
    prefill=False,
)
ANTHROPIC = Endpoint(
    "anthropic",
    "Anthropic",
    "https://api.anthropic.com/v1",
    key_variables=("ANTHROPIC_API_KEY",),
    url_variable="ANTHROPIC_BASE_URL",
)
GOOGLE = Endpoint(
    "google",
    "Google",
    "https://generativelanguage.googleapis.com/v1beta/openai",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    url_variable="GEMINI_BASE_URL",
)
MISTRAL = Endpoint(
    "mistral",
    "Mistral",
    "https://api.mistral.ai/v1",
    key_variables=("MISTRAL_API_KEY",),
    url_variable="MISTRAL_BASE_URL",
)
GROQ = Endpoint(
    "groq",
    "Groq",
    "https://api.groq.com/openai/v1",
    key_variables=("GROQ_API_KEY",),
    url_variable="GROQ_BASE_URL",
    prefill=True,
)
COMPATIBLE = Endpoint(
    "compatible",
    "OpenAI-compatible server",
    "",
    key_variables=("OPENAI_API_KEY",),
    key_required=False,
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
    continuations=True,
    concurrency=4,
    launch="deluge_nb.local:default_server",
)

_CHECKED = date(2026, 11, 23)

LOCAL_SUPPORT = LogprobSupport(
    "full",
    note="A toy model on your own machine: no key, no network, and the whole vocabulary where asked.",
    source="measured",
    checked=_CHECKED,
)
UNKNOWN_SUPPORT = LogprobSupport("unknown", note="Not in the registry: log-probabilities are asked for and looked at.")

BUILT_IN = (
    ModelSpec(
        "local",
        LOCAL,
        LOCAL_SUPPORT,
        shown_as="`local` (SmolLM2-135M-Instruct)",
        aliases=("smollm2-135m",),
        # Greedy decoding of a model this small repeats itself; truncation (top-k, top-p) would hide what it weighed.
        defaults={"temperature": 0.7, "max_new_tokens": 60},
        # The template's own default introduces "SmolLM, by Hugging Face", which makes the first token a toss-up.
        system="You are a helpful assistant.",
    ),
    ModelSpec("gpt-3.5*", OPENAI, LogprobSupport("full", source="provider", checked=_CHECKED), shown_as="GPT-3.5"),
    ModelSpec(
        "gpt-4*", OPENAI, LogprobSupport("full", source="provider", checked=_CHECKED), shown_as="GPT-4, GPT-4o, GPT-4.1"
    ),
    ModelSpec(
        "gpt-5*",
        OPENAI,
        LogprobSupport(
            "conditional",
            note="OpenAI answers 403 for gpt-5, gpt-5-mini and gpt-5-nano; the request is made and its answer shown.",
            source="measured by others",
            checked=_CHECKED,
        ),
        shown_as="GPT-5",
    ),
    ModelSpec(
        "gpt-5.*",
        OPENAI,
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
        ANTHROPIC,
        LogprobSupport("none", note="Anthropic's API has no log-probabilities.", source="provider", checked=_CHECKED),
        shown_as="Claude",
    ),
    ModelSpec(
        "gemini-*",
        GOOGLE,
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
            MISTRAL,
            LogprobSupport(
                "full",
                note="Promised for these models; La Plateforme has been seen to refuse (code 3051).",
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
            GROQ,
            LogprobSupport(
                "full",
                note="Promised for these models; Groq's own documentation says it answers 400.",
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
)
