"""Read the logs of evaluation tools, and write tasks for annotators."""
