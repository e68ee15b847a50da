"""Many prompts in, responses in order out."""
