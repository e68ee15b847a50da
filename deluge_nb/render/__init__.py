"""Render a completion as static HTML, terminal text or a picture."""
