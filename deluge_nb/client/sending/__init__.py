"""From prompts to responses: the steps of one request, and the batch that runs them for many prompts."""
