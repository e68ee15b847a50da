"""Reading of replies: a strict typed decode, and a lenient second pass where a field does not fit."""
