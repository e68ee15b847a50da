"""Prompts: what people write as one, and the one form that dialects read."""

from .conversation import Conversation, Message, PromptLike, RawPrompt, Role
from .prompt import (
    Prompt,
    as_prompt,
    as_prompts,
    as_rows,
    check_no_table,
    check_present,
    is_missing,
    to_list,
)

__all__ = [
    "Conversation",
    "Message",
    "Prompt",
    "PromptLike",
    "RawPrompt",
    "Role",
    "as_prompt",
    "as_prompts",
    "as_rows",
    "check_no_table",
    "check_present",
    "is_missing",
    "to_list",
]
