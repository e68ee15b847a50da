"""Static forms of a completion: HTML, terminal text, pictures."""
