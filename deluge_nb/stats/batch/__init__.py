"""Columnar forms: the same measures for all tokens of many tables at once."""
