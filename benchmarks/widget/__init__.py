"""Benchmarks of the view in Chromium and in JupyterLab, against other views."""
