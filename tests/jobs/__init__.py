"""Tests of jobs over many rows."""
