"""Questions across many runs.

Sweeps, walk-forward, overfit statistics, trial ledger, reconciliation, LLM notes.
"""
