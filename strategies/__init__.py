"""All that backtests and live must compute identically: indicators, signals, position rule, sizing, costs."""
