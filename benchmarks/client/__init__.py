"""Benchmarks of the client against other clients."""
