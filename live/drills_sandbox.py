"""Drills in which a vendor or a broker fails while the whole live process trades against the sandbox."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from live.drills_parts import Step, make_account, make_tape

SPEED = 40.0


def l2_outage(folder: Path) -> Iterator[Step]:
    """The stream stalls and is cut, the polled books fail: trading goes on with less, or waits; it never guesses."""
    plan = "ws.stall@240s,ws.cut@720s,look.503=0.2;seed=5"  # as much later as the drill lasts: both in any case
    wanted = ("market.ws.stall", "market.ws.cut", "look.503")
    yield from rehearsed(folder, "robinhood", plan, wanted, minutes=12.0)
    yield told_of(folder, "data is not in order")


def rate_limit(folder: Path) -> Iterator[Step]:
    """The broker says 429, with and without Retry-After, to orders and looks."""
    plan = "place.429-after@1,place.429@3,look.429=0.2,429-after=0.05;seed=3"
    yield from rehearsed(folder, "alpaca", plan, ("place.429-after", "place.429", "look.429"))
    yield told_of(folder, "the broker asked us to wait")


def token_expiry(folder: Path) -> Iterator[Step]:
    """The broker does not know the token any more, in the middle of looks and orders."""
    yield from rehearsed(folder, "robinhood", "look.401@4,place.401@2;seed=2", ("look.401", "place.401"))
    record = json.loads((folder / "out" / "record.json").read_text("utf-8"))["brokers"]["robinhood"]
    expired = sum(count for name, count in record["faults"].items() if name.endswith(".401"))
    renewed = record["requests"].get("token", 0) - 1  # the first is the login
    yield Step("each lost login was renewed without a person", renewed >= expired > 0, f"{renewed} for {expired}")


def rehearsed(folder: Path, broker: str, faults: str, wanted: tuple[str, ...], minutes: float = 8.0) -> Iterator[Step]:
    """A rehearsal of the whole live process under these faults, of which every wanted one must have happened."""
    from live.rehearse import Wishes, rehearse

    tape = make_tape(folder, 2 * 390)
    done = rehearse(
        make_account(folder, "drill", broker), Wishes(tape, SPEED, faults, folder / "out", minutes=minutes, begin=1)
    )
    missing = [name for name in wanted if not done.injected.get(name)]
    happened = ", ".join(f"{name} {count}" for name, count in done.injected.items()) or "nothing"
    yield Step("the faults happened", not missing, happened + "".join(f"; never {name}" for name in missing))
    yield Step("the process lived through it", done.code in (0, 130), f"exit {done.code}, started {done.starts} times")
    keys, twice = keys_of(folder / "out" / "record.json", broker)
    yield Step("no order was sent twice", not twice, f"{keys} orders at the broker" + "".join(f"; {k}" for k in twice))
    books = "; ".join(done.books.differences) or "equal"
    yield Step("our books are the broker's", not done.books.differences, books)
    yield Step("it decided what one call over the same rows decides", not done.parity.different,
               done.parity.different or f"{done.parity.rows} rows")  # fmt: skip


def told_of(folder: Path, words: str) -> Step:
    """Whether a warning with these words was raised while it traded: those of a start and of an end are in any run."""
    from live.core.commands import Alert, decode_command
    from live.core.events import Gate, decode_event
    from live.journal import SqliteJournal, steps

    (path,) = (folder / "out" / "state").glob("*.journal")
    journal, trading, found = SqliteJournal.open(path), False, []
    try:
        for step in steps(journal):
            event = decode_event(step.event)
            trading = trading or (isinstance(event, Gate) and event.name == "data" and event.open)
            alerts = [each for each in map(decode_command, step.commands) if isinstance(each, Alert)] if trading else []
            found += [each.text for each in alerts if each.level != "info" and "the runner stops" not in each.text]
    finally:
        journal.close()
    meant = [text for text in found if words in text]
    return Step("a person was told of it", bool(meant), f"{len(meant)} times: {meant[0]}" if meant else f"no {words!r}")


def keys_of(record: Path, broker: str) -> tuple[int, list[str]]:
    """(keys of our orders in the broker's own record, those that it has more than once)."""
    orders = json.loads(record.read_text("utf-8"))["brokers"][broker]["orders"]
    return len({str(order["key"]) for order in orders if is_ours(order)}), twice_of(orders)


def twice_of(orders: list[dict[str, Any]]) -> list[str]:
    """Keys under which the broker has more than one order of ours."""
    counts = Counter(str(order["key"]) for order in orders if is_ours(order))
    return [key for key, count in counts.items() if count > 1]


def is_ours(order: dict[str, Any]) -> bool:
    """Whether we sent it: it is no leg of another, and no person's."""
    return not order["parent"] and not order["by_hand"]
