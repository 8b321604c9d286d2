"""Figures of a host and its accounts, the same ones for Prometheus and for the alert rules."""
