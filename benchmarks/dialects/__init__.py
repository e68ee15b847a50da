"""Reading replies, beside a typed decoder."""
