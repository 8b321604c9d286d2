"""What would have happened: engine, metrics, HTML report."""
