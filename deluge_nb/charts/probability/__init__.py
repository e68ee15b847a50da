"""Charts of probability theory from plain arrays: events, samples, temperature, bounds and Bayes' rule."""
