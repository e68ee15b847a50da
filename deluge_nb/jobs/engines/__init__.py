"""Engines: what runs the parts of a job, each at least once, in this process or elsewhere."""
