"""Which faults met orders in which states: the matrix, and the cells that cannot be."""

from __future__ import annotations

from collections import Counter
from functools import cache

from live.core.orders import State

from .faults import FAULTS, REQUEST

ENOUGH = 30
NEVER: dict[str, str] = {
    State.PLANNED: "lasts for one call of the core, inside which nothing happens",
    State.CHECKED: "the same",
}
"""States that no fault can meet, and why."""
ASKED = (State.SENDING, State.ACKED, State.WORKING, State.PARTIAL, State.UNKNOWN, State.QUARANTINED)
"""States in which an order is sent, cancelled or looked for."""
ONLY: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(REQUEST, (ASKED, "it strikes a request, and none is made about an order in this state")),
    "F21": (
        (*ASKED, State.CANCELLED, State.EXPIRED),
        "it is an execution, and the venue makes none of an order that has not left, is full, or was never let in",
    ),
    "F22": (
        (*ASKED, State.CANCELLED),
        "the venue throws out only what has left and of which it has done nothing",
    ),
    "F23": (
        (State.ACKED, State.WORKING, State.PARTIAL, State.UNKNOWN, State.QUARANTINED),
        "it strikes a cancel, which is sent only of an order that the venue has named and that may still fill",
    ),
}
"""Faults that one order meets alone: the states that it can be in, and why no other. All others are of the process or
the world, and meet orders in every state. `wrong` holds this against what schedules did meet. A protection that was
replaced is one order with us and two at the venue; what meets the other counts where that one is."""


@cache
def reachable() -> dict[tuple[str, str], str]:
    """Every cell, with why it cannot be met or ""."""
    cells: dict[tuple[str, str], str] = {}
    for fault in FAULTS:
        for state in State:
            why = NEVER.get(state, "")
            if not why and fault in ONLY and state not in ONLY[fault][0]:
                why = ONLY[fault][1]
            cells[(fault, state.value)] = why
    return cells


def covered(met: Counter[tuple[str, str]]) -> tuple[float, list[str]]:
    """(percent of the reachable cells that were met often enough, a sentence for each other one)."""
    cells = [cell for cell, why in reachable().items() if not why]
    thin = [cell for cell in cells if met[cell] < ENOUGH]
    return 100.0 * (len(cells) - len(thin)) / len(cells), [
        f"{fault} {state}: {met[(fault, state)]}" for fault, state in thin
    ]


def wrong(met: Counter[tuple[str, str]]) -> list[str]:
    """A sentence for each cell that was met although it is said that it cannot be."""
    return [
        f"{fault} {state}: met {met[(fault, state)]} times, and said to be out of reach: {why}"
        for (fault, state), why in reachable().items()
        if why and met[(fault, state)]
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
