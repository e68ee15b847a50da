"""Columnar forms: the same measures for every token of many tables at once."""
