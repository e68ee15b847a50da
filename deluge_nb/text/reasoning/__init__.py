"""Separate a model's reasoning from its answer, where a server sends both in one text with marks between them."""
