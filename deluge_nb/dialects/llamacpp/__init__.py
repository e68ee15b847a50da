"""llama.cpp's native API: one row for every token that was drawn."""

from .dialect import exchange, parse_error, with_entries

__all__ = ["exchange", "parse_error", "with_entries"]
