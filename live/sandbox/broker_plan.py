"""One plan of faults for everything that the sandbox plays, divided between the market and its brokers.

    mild                                          a bad day
    harsh;seed=3                                  a day of which there should be none
    harsh,place.hang@2,ws.cut@90s;seed=3          and more

A part that begins with a broker's word (`place.`, `order.`, ...) is of `broker_faults`, any other of `faults`.
"""

from __future__ import annotations

from typing import NamedTuple

from live.sandbox.broker_faults import PRESETS, of_brokers

MARKET = {
    "none": "",
    "mild": "429-after=0.01,500=0.01,ws.duplicate=0.01,ws.reorder=0.01,ws.cut=1/h",
    "harsh": (
        "429=0.01,429-after=0.03,500=0.02,503=0.02,cut=0.01,drip=0.02,malformed=0.01,ws.duplicate=0.02,"
        "ws.reorder=0.02,ws.late=0.005,ws.drop=0.002,ws.cut=4/h,ws.close=1/h,ws.stall=1/h,ws.stale=1/h,ws.slow=0.5/h,"
        "ws.limit=0.5/h,ws.lost=0.5/h,ws.garbage=1/h"
    ),
}


class Plans(NamedTuple):
    """The texts that `Faults.parse` and `BrokerFaults` read."""

    market: str
    brokers: str


def divided(plan: str) -> Plans:
    """The two plans of one text."""
    text, _, seed = plan.partition(";")
    market: list[str] = []
    brokers: list[str] = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        if part in PRESETS:
            market.append(MARKET[part])
            brokers.append(PRESETS[part])
        else:
            (brokers if of_brokers(part) else market).append(part)
    ends = f";{seed.strip()}" if seed.strip() else ""
    return Plans(",".join(filter(None, market)) + ends, ",".join(filter(None, brokers)) + ends)
