"""How the probability of an answer depends on the parts of its prompt."""
