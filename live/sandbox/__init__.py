"""A market on loopback: vendors' REST and streams over a tape, at any speed, with faults on demand, without a key."""
