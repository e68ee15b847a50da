"""Questions over many inputs: classify, score, extract."""
