"""Questions across many runs: sweeps, walk-forward, overfit statistics, trial ledger, reconciliation, LLM notes."""
