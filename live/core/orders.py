"""Orders: their ids, their states, and the one table of what may follow what."""

from __future__ import annotations

import uuid
from enum import StrEnum

import msgspec

from live.core.commands import Side

NAMESPACE = uuid.UUID("6c2f4f0e-5d0b-5f3a-9a5e-0b8a3c1d7e42")


class State(StrEnum):
    """Where an order is in its life; see `LEGAL`."""

    PLANNED = "planned"  # the rule wants it
    CHECKED = "checked"  # nothing stands against it
    JOURNALED = "journaled"  # durable; nothing has left
    SENDING = "sending"  # an attempt is durable and may be on the wire
    ACKED = "acked"  # the broker has it
    WORKING = "working"  # the venue has it
    PARTIAL = "partial"  # some of it is filled
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"  # never accepted
    REJECTED = "rejected"  # accepted first, then thrown out
    UNKNOWN = "unknown"  # an answer was lost: it counts in full until evidence comes
    QUARANTINED = "quarantined"  # evidence did not come: a person is needed


_ENDS = (State.FILLED, State.CANCELLED, State.EXPIRED, State.REJECTED)

LEGAL: dict[State, tuple[State, ...]] = {
    State.PLANNED: (State.CHECKED, State.REFUSED),
    State.CHECKED: (State.JOURNALED,),
    State.JOURNALED: (State.SENDING, State.CANCELLED, State.EXPIRED),
    State.SENDING: (
        State.SENDING, State.ACKED, State.WORKING, State.PARTIAL, State.REFUSED, State.UNKNOWN, *_ENDS,
    ),
    State.ACKED: (State.WORKING, State.PARTIAL, State.UNKNOWN, *_ENDS),
    State.WORKING: (State.PARTIAL, State.UNKNOWN, *_ENDS),
    State.PARTIAL: (State.PARTIAL, State.UNKNOWN, *_ENDS),
    State.UNKNOWN: (
        State.SENDING, State.ACKED, State.WORKING, State.PARTIAL, State.REFUSED, State.QUARANTINED, *_ENDS,
    ),
    State.QUARANTINED: (State.ACKED, State.WORKING, State.PARTIAL, State.REFUSED, *_ENDS),
    State.CANCELLED: (State.FILLED,),  # a fill that overtook the cancel
    State.EXPIRED: (State.FILLED,),  # the same
    State.FILLED: (),
    State.REFUSED: (),
    State.REJECTED: (),
}  # fmt: skip
"""What may follow a state. Only evidence moves an order out of UNKNOWN, and no timer ends one."""

OPEN = (
    State.PLANNED, State.CHECKED, State.JOURNALED, State.SENDING, State.ACKED, State.WORKING, State.PARTIAL,
    State.UNKNOWN, State.QUARANTINED,
)  # fmt: skip
"""States in which more fills are to be expected; all of them count in full against the limits."""

FILLABLE = (
    State.SENDING, State.ACKED, State.WORKING, State.PARTIAL, State.UNKNOWN, State.QUARANTINED,
    State.CANCELLED, State.EXPIRED,
)  # fmt: skip
"""States in which a fill is believed; in any other it contradicts what the broker said."""


class Order(msgspec.Struct):
    """One order of the table. column: the symbol's number. quantity: shares asked for, filled: shares done.

    alarmed: a person was told that its answer is lost. cancelling: it was asked back.
    """

    order_id: str
    column: int
    kind: str
    side: Side
    quantity: float
    reason: str
    decided: int
    state: State = State.PLANNED
    filled: float = 0.0
    since: int = 0
    executions: list[str] = []
    alarmed: bool = False
    cancelling: bool = False

    def may(self, state: State) -> bool:
        """True where the table lets `state` follow."""
        return state in LEGAL[self.state]

    @property
    def is_over(self) -> bool:
        """True where no more fills are to be expected."""
        return self.state not in OPEN

    @property
    def sign(self) -> float:
        """1 for a buy, -1 for a sell."""
        return 1.0 if self.side == "buy" else -1.0


def order_id(account: str, source_hash: str, symbol: str, ts: int, leg: str) -> str:
    """The client key of an intent: a UUIDv5, so that a retry, a restart and a replay carry the same one."""
    return str(uuid.uuid5(NAMESPACE, f"{account}|{source_hash}|{symbol}|{ts}|{leg}"))
