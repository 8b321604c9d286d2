"""Where market data comes from: one file per source, found by its name."""
