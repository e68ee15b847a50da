"""Compare the answers of several prompts or models to many inputs, as a table whose rows open as comparisons."""
