"""Read, match and lay out token text; standard library and wcwidth only."""
