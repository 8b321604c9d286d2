"""A seeded simulator in virtual time around the process that trades: see docs/chaos.md.

    World ─┬─ Market    rows as a feed tells them, with its faults
           ├─ Venue     the exchange, and the one record that is believed
           ├─ Toy       its dialect for `live.brokers.wire_desk.Desk`, with the faults of a network
           ├─ Disk      what SQLite writes on, with power losses
           └─ Process   one life of the runner: the real session, core, desk and journal

One seed is one schedule. `checks` judges what the venue and the journal's file say, never what the core remembers.
"""
