"""docs/sandbox.md names every fault and every variable that there is."""

import re

from live.sandbox import broker_faults, faults
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_plan import divided
from live.sandbox.faults import Faults
from live.sandbox.market_tape import market_of_seed
from live.sandbox.server import Sandbox


def test_every_fault_is_on_the_page_and_every_fault_of_the_page_exists(checkout):
    page = (checkout / "docs" / "sandbox.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z]+\.)?[a-z0-9-]+)(?:[@=][^`]*)?`", page))
    requests = {f"place.{name}" for name in (*broker_faults.BEFORE, *broker_faults.AFTER)}
    requests = requests - {"place.401", "place.403"} | {"look.401", "look.403"}
    orders = {f"order.{name}" for name in broker_faults.FATES}
    timed = {f"{word}.{name}" for word, names in broker_faults.MOMENTS.items() for name in names}
    updates = {f"stream.{name}" for name in broker_faults.UPDATES}
    market = {*faults.REQUEST, *faults.MESSAGE, *faults.MOMENT}
    known = requests | orders | timed | updates | market
    assert known - named == set()
    dotted = {name for name in named if "." in name and name.split(".")[0] in (*broker_faults.WORDS, "ws")}
    assert dotted - known == set()


def test_every_variable_is_on_the_page(checkout):
    page = (checkout / "docs" / "sandbox.md").read_text("utf-8")
    box = Sandbox(market_of_seed(sessions=1), live=True, brokers=True)
    assert {name for name in box.environment() if name != "no_proxy" and f"`{name}`" not in page} == set()


def test_presets_are_plans_that_can_be_read():
    for name in ("none", "mild", "harsh"):
        plans = divided(f"{name};seed=5")
        Faults.parse(plans.market)
        BrokerFaults(plans.brokers)
