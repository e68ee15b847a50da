"""Benchmark of the embedded model against its bare server."""
