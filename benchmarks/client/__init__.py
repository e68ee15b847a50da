"""The client beside other clients."""
