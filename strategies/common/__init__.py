"""The machinery every strategy shares: steps and their drivers, the position rule, costs, loading, the certificate."""
