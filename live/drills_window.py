"""A lost host whose last order the backup does not have: the broker does, and the restored journal knows nothing of it.

    journal ──> backup, which is stopped ............. an order is journaled, sent and filled ── kill ── restore
                                                        └─ what comes back has not even its intent

What has to be so then: the comparison with the broker finds it, a person is told with both sides, and nothing of that
symbol leaves any more, neither a second entry nor a second exit.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from live.control import Control
from live.drills_copies import account_at, keys_copied
from live.drills_loss import (
    BACKUP_EVERY_S,
    NAME,
    ROWS_AFTER,
    end_all,
    fleet_up,
    in_the_middle,
    kill_all,
    make_home,
    sandbox,
    status_of,
)
from live.drills_parts import Step, rows_of, start, until
from live.drills_sandbox import twice_of
from live.rehearse_process import Process

Leg = Literal["entry", "exit"]
SIDES: dict[Leg, str] = {"entry": "buy", "exit": "sell"}
OVER = ("filled", "cancelled", "rejected", "expired")


def not_copied(folder: Path, leg: Leg) -> Iterator[Step]:
    """Everything is killed after an order has filled, and before its journal record was copied.

    Args:
        leg: which order it is: one that opens a position, or one that closes what the backup still holds.
    """
    from live.restore import restore

    box, environment = sandbox(folder)
    running: list[Process] = []
    copying = None
    try:
        environment |= {name: str(value) for name, value in box.first_document().items()}
        url, home, log = environment["SANDBOX_URL"], make_home(folder), folder / "backup" / NAME / "journal.log"
        running.append(fleet_up(home, folder / "before", environment))
        copying = start("backup", home, "--to", folder / "backup", "--every", BACKUP_EVERY_S)
        in_the_middle(home)
        until(lambda: _is_level(url, log, leg), f"a moment to lose an {leg} after")
        copying.send_signal(signal.SIGSTOP)
        held = account_at(url)["positions"]
        until(lambda: bool(_lost(url, log, leg, held)), f"an {leg} that was not copied")
        kill_all(home, running)
        copying.kill()
        shutil.rmtree(home)
        at_loss, lost = account_at(url), _lost(url, log, leg, held)
        symbols = sorted({str(order["symbol"]) for order in lost})
        said = ", ".join(f"{each['side']} {each['symbol']} {each['filled']}" for each in lost)
        yield Step(f"the broker had filled an {leg} of which nothing was copied", bool(lost), said)

        page = [line for line in restore(folder / "backup", folder / "new").next if "broker's own page" in line]
        yield Step("restore says what a person does where an account halts", bool(page), "; ".join(page))
        running.append(fleet_up(folder / "new" / "accounts", folder / "after", environment))
        control = Control(folder / "new" / "state", NAME)
        until(lambda: bool((status := status_of(control)) and status.halted), "the halt of an account that differs")
        status = control.status()
        told = bool(symbols) and all(f"{symbol}: we hold" in status.halted for symbol in symbols)
        yield Step("it halted and showed both sides", told, status.halted)
        back = rows_of(control)
        until(lambda: rows_of(control) >= back + 2 * ROWS_AFTER, "rows after the loss")
        code = running[-1].end(signal.SIGTERM)
        yield Step("it looked on for rows more and ended in good order", code == 0, f"exit {code}")
        yield from _judged(at_loss, account_at(url), symbols)
    finally:
        if copying is not None:
            copying.kill()
            copying.communicate()
        end_all(folder, running)
        box.end(signal.SIGTERM)


def _judged(at_loss: dict[str, Any], now: dict[str, Any], symbols: list[str]) -> Iterator[Step]:
    """The broker's record of the moment of the loss against its record after the restore."""
    twice = twice_of(now["orders"])
    yield Step("no order was sent twice", not twice, f"{len(now['orders'])} orders at the broker")
    known = {order["key"] for order in at_loss["orders"]}
    more = [
        f"{order['side']} {order['symbol']} {order['quantity']}"
        for order in now["orders"]
        if order["key"] not in known and order["symbol"] in symbols
    ]
    yield Step("nothing more of its symbol left", not more, "; ".join(more) or f"nothing of {', '.join(symbols)}")
    ours, theirs = ({name: each["positions"].get(name, "0") for name in symbols} for each in (at_loss, now))
    held = ", ".join(f"{name} {shares}" for name, shares in theirs.items())
    yield Step("the broker holds of it what it held at the loss", ours == theirs, held)


def _is_level(url: str, log: Path, leg: Leg) -> bool:
    """Whether everything at the broker is copied, nothing is under way, and there is what the next order needs."""
    account = account_at(url)
    if bool(account["positions"]) != (leg == "exit"):
        return False
    alive = any(order["status"] not in OVER for order in account["orders"])
    return not alive and {order["key"] for order in account["orders"]} <= keys_copied(log)


def _lost(url: str, log: Path, leg: Leg, held: dict[str, str]) -> list[dict[str, Any]]:
    """Filled orders of which the backup has no intent; none before there is one of the leg that is waited for.

    Args:
        held: positions when the last record was copied.
    """
    copied = keys_copied(log)
    filled = [each for each in account_at(url)["orders"] if each["key"] not in copied and each["status"] == "filled"]
    wanted = any(each["side"] == SIDES[leg] and (each["symbol"] in held) == (leg == "exit") for each in filled)
    return filled if wanted else []
