"""HTTP: sending, retrying, pacing, streaming."""
