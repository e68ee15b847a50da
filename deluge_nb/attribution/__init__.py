"""Influence of the parts of a prompt on the probability of an answer."""
