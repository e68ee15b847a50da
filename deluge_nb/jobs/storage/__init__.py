"""The folder of a job: files that appear whole, what it is about, and columns of log-probabilities."""
