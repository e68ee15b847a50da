"""Draw Altair charts of tokens, comparisons and calibration; they work offline."""
