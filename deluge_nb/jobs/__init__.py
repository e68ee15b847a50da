"""One question over many rows: a folder that survives crashes, one worker function, and engines that schedule it."""
