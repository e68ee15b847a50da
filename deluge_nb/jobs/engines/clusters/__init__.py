"""Engines of clusters, whose processes share what is sent to them, checked and limited."""
