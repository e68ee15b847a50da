"""How token text is read, matched and laid on lines; standard library and wcwidth only."""
