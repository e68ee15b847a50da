"""Home of a documented import path."""
