"""Log-probabilities of a given text, as each kind of server returns them."""
