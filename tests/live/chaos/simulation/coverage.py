"""Which faults met orders in which states: the matrix, and the cells that cannot be."""

from __future__ import annotations

from collections import Counter

from live.core.orders import State

from .faults import FAULTS

ENOUGH = 30
NEVER: dict[str, str] = {
    State.PLANNED: "lasts for one call of the core, inside which nothing happens",
    State.CHECKED: "the same",
}
"""States that no fault can meet, and why."""
OF_THE_ORDER: dict[str, tuple[str, ...]] = {
    "F22": (State.SENDING,),
    "F21": (State.SENDING, State.ACKED, State.WORKING, State.PARTIAL, State.UNKNOWN, State.CANCELLED),
    "F23": (State.ACKED, State.WORKING, State.PARTIAL),
}
"""Faults of one request of one order: the states in which that request is made."""
ASKED = (State.SENDING, State.ACKED, State.WORKING, State.PARTIAL, State.UNKNOWN, State.QUARANTINED)
"""States in which an order is sent, cancelled or looked for; a fault of a request meets no other."""


def reachable() -> dict[tuple[str, str], str]:
    """Every cell, with why it cannot be met or ""."""
    cells: dict[tuple[str, str], str] = {}
    for fault in FAULTS:
        for state in State:
            why = NEVER.get(state, "")
            if not why and fault in OF_THE_ORDER and state not in OF_THE_ORDER[fault]:
                why = "a fault of a request that is not made in this state"
            if not why and fault in ("F05", "F06", "F08", "F09", "F10", "F11", "F12", "F13") and state not in ASKED:
                why = "nothing is asked about an order in this state"
            cells[(fault, state.value)] = why
    return cells


def covered(met: Counter[tuple[str, str]]) -> tuple[float, list[str]]:
    """(percent of the reachable cells that were met often enough, a sentence for each other one)."""
    cells = [cell for cell, why in reachable().items() if not why]
    thin = [cell for cell in cells if met[cell] < ENOUGH]
    return 100.0 * (len(cells) - len(thin)) / len(cells), [
        f"{fault} {state}: {met[(fault, state)]}" for fault, state in thin
    ]


def table(met: Counter[tuple[str, str]]) -> str:
    """The matrix as text: faults down, states across; a dot where a cell cannot be."""
    states = [state.value for state in State if state not in NEVER]
    cells = reachable()
    lines = ["     " + " ".join(f"{state[:8]:>8}" for state in states)]
    for fault in FAULTS:
        row = ["." if cells[(fault, state)] else str(met[(fault, state)]) for state in states]
        lines.append(f"{fault:4} " + " ".join(f"{cell:>8}" for cell in row))
    return "\n".join(lines)
