"""Cached answers: the SQLite file, and answers as bytes."""
