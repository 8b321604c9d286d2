"""A broker's sandbox as a process of its own, for `live_wire.py`: it fills what comes, and tells when each order came.

    python live_venue.py alpaca|robinhood|robinhood_private

The first line of its output is a JSON object of where it listens. Every further line is one order: nanoseconds on the
machine's monotonic clock, which all processes share. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from time import perf_counter_ns

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main() -> None:
    """Serve until the input ends."""
    from live.sandbox.broker_alpaca import AlpacaBroker
    from live.sandbox.broker_engine import Venue
    from live.sandbox.broker_faults import BrokerFaults
    from live.sandbox.broker_http import on_a_thread
    from live.sandbox.robinhood_mcp import RobinhoodAgent
    from live.sandbox.robinhood_private import RobinhoodPrivate

    venue = Venue({"AAA": (100.0, 100.02)}.get, time.time_ns, faults=BrokerFaults())
    venue.listeners.append(lambda what, *_: print(perf_counter_ns(), flush=True) if what == "new" else None)
    kinds = {"alpaca": AlpacaBroker, "robinhood": RobinhoodAgent, "robinhood_private": RobinhoodPrivate}
    box = kinds[sys.argv[1]](venue)
    with on_a_thread(box.start, box.stop):
        told = {name: getattr(box, name, "") for name in ("http_url", "ws_url", "url", "token")}
        print(json.dumps({name: value for name, value in told.items() if isinstance(value, str)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
