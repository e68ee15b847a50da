"""Prompts: what people write as one, and the one form that dialects read."""

from .conversation import Conversation, Message, PromptLike, RawPrompt, Role
from .parts import Picture, read_parts, refusal, text_only
from .prompt import (
    Prompt,
    as_prompt,
    as_prompts,
    as_rows,
    check_characters,
    check_no_table,
    check_present,
    is_missing,
    to_list,
)

__all__ = [
    "Conversation",
    "Message",
    "Picture",
    "Prompt",
    "PromptLike",
    "RawPrompt",
    "Role",
    "as_prompt",
    "as_prompts",
    "as_rows",
    "check_characters",
    "check_no_table",
    "check_present",
    "is_missing",
    "read_parts",
    "refusal",
    "text_only",
    "to_list",
]
