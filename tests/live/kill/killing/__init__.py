"""Killing a process that trades, over and over, and judging what it left."""
