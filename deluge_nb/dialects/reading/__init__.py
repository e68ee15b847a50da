"""Lenient reading of replies: the second pass, after the strict typed decode of a body has failed."""
