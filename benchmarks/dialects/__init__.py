"""Benchmark of reading replies, against a typed decoder."""
