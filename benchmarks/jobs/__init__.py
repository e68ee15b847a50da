"""Benchmarks of jobs over many rows."""
