"""Cash that moves without an order of ours: what a broker tells of it, what a fee may be, and what is a difference.

A broker bills the regulators' fees at the end of a day; dividends and interest come, a person pays in and takes out.
Such a move is booked where the broker's own list of them adds up to the difference, to the cent. Where a broker has no
such list, what is missing after sales is booked up to what those fees can be. Anything else is a difference, and halts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil, isfinite
from typing import TYPE_CHECKING

from live.core.events import CashMoved
from live.core.orders import OPEN

if TYPE_CHECKING:
    from live.core.desk import Desk

SALE_SHARE = 0.0000278  # the exchange commission's, of a sale's dollars
SALE_A_SHARE, SALE_MOST = 0.000166, 8.30  # FINRA's, dollars a share, and at most so many a sale
CENT = 0.01
MOST_TOGETHER = 4
"""So many moves of the broker's list, or all of it, may explain a difference together; more would explain anything."""


def fee_bound(quantity: float, price: float) -> float:
    """The most that the regulators' fees of one sale can be, dollars: each rounded up to the cent."""
    commission = ceil(quantity * price * SALE_SHARE / CENT) * CENT
    activity = min(ceil(quantity * SALE_A_SHARE / CENT) * CENT, SALE_MOST)
    return round(commission + activity, 2)


def explained(
    desk: Desk, positions: Mapping[str, float], cash: float, told: Sequence[CashMoved] | None, ts: int
) -> list[CashMoved]:
    """The moves that make our cash the broker's; none where it is already, or where these do not add up.

    Args:
        positions, cash: the broker's. told: its list of moves, in any order, old ones too; None where it has none.
        ts: of the comparison, UTC ns.
    """
    missing = round((cash - desk.account[0]) / CENT) if isfinite(cash) else 0
    if missing == 0 or not _is_settled(desk, positions):
        return []
    if told is None:
        room = round(desk.fee_room / CENT)
        if not 0 < -missing <= room:
            return []
        why = f"within the {desk.fee_room:.2f} that the regulators' fees of the sales since can be"
        return [CashMoved(ts, missing * CENT, "fee", "fee model", f"fee model {ts}", why)]
    fresh = [move for move in told if move.evidence not in desk.moves and round(move.amount / CENT)]
    cents = {move.evidence: round(move.amount / CENT) for move in fresh}
    for size in dict.fromkeys([len(fresh), *range(1, min(MOST_TOGETHER, len(fresh)) + 1)]):
        for chosen in combinations(fresh, size):
            if chosen and sum(cents[move.evidence] for move in chosen) == missing:
                return list(chosen)
    return []


def _is_settled(desk: Desk, positions: Mapping[str, float]) -> bool:
    """Whether cash can be compared: the same shares on both sides, so no fill is on its way."""
    half_lot = 0.5 * desk.tally.state.lot
    ours = dict(zip(desk.symbols, desk.positions, strict=True))
    same = all(abs(ours.get(name, 0.0) - positions.get(name, 0.0)) < half_lot for name in {**ours, **positions})
    return same and not any(order.state in OPEN and order.filled > 0.0 for order in desk.tally.state.open)
