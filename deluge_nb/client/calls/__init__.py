"""Calls of a client besides the usual ones: responses as they arrive, of every model, and estimates."""
