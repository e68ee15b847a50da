"""Protocols of providers, without I/O: one module builds the requests and parses the replies of each."""
