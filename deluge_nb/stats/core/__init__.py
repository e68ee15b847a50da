"""Shared by all of `stats`: argument checks, truncated distributions, stacked tables and result records."""
