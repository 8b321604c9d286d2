"""What the regulators take of a sale: the exchange commission's fee on its dollars, FINRA's on its shares."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from live.sandbox.broker_orders import ZERO, Side

A_DOLLAR = Decimal("0.0000278")
A_SHARE = Decimal("0.000166")
MOST_A_TRADE = Decimal("8.30")
CENT = Decimal("0.01")


def fee_of(side: Side, quantity: Decimal, price: Decimal) -> Decimal:
    """Dollars; nothing for a purchase. Each fee is rounded up to the cent, as brokers bill it."""
    if side == "buy":
        return ZERO
    commission = (quantity * price * A_DOLLAR).quantize(CENT, ROUND_CEILING)
    return commission + min((quantity * A_SHARE).quantize(CENT, ROUND_CEILING), MOST_A_TRADE)
