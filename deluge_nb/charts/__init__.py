"""Altair charts of tokens, comparisons and calibration, seen without a network."""
