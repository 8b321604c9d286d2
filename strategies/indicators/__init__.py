"""Indicators, each one step, run whole or row by row to the same bits."""
