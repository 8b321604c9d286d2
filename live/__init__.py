"""What is happening: one account, one process; feeds, orders, risk, journal, brokers, fleet."""
