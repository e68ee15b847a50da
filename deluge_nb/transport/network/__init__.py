"""Connections to servers: directly, or through a proxy."""
