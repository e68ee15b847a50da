"""Tables of log-probabilities from what other libraries return."""
