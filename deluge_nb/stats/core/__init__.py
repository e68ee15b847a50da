"""What every function of `stats` rests on: argument checks, truncated lists, stacked tables, result records."""
