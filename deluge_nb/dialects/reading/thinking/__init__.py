"""Separate a model's reasoning from its answer, in whole replies and in streams, whatever the dialect."""
