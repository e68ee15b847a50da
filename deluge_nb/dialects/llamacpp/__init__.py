"""llama.cpp's native API, with one row for each token that was drawn."""

from .dialect import exchange, parse_error, with_entries

__all__ = ["exchange", "parse_error", "with_entries"]
