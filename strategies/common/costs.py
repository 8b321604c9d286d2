"""What a fill costs: half-spread, slippage, impact and the fees of the day. One model for backtests and paper fills.

All amounts are costs when positive. The functions below the dataclass are steps: scalars in, scalars out, the same in
compiled loops and in the live process.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import sqrt
from typing import Any

from strategies.common.options import changed, settle

SEC_SECTION_31: tuple[tuple[int, float], ...] = (
    (20180522, 13.00),
    (20190416, 20.70),
    (20200218, 22.10),
    (20210225, 5.10),
    (20220514, 22.90),
    (20230227, 8.00),
    (20240522, 27.80),
    (20250514, 0.00),
    (20260404, 20.60),
)
"""(first session, dollars per million dollars sold). Source: SEC Section 31 fee rate advisories, fiscal years 2018 to
2026. Sessions before the first entry are charged at its rate."""

FINRA_TAF: tuple[tuple[int, float, float], ...] = (
    (20120701, 0.000119, 5.95),
    (20220101, 0.000130, 6.49),
    (20230101, 0.000145, 7.27),
    (20240101, 0.000166, 8.30),
    (20260101, 0.000195, 9.79),
    (20270101, 0.000232, 11.61),
)
"""(first session, dollars per share sold, cap per trade). Source: FINRA By-Laws Schedule A, section 1(b), Trading
Activity Fee, as amended; from 2026 on by SR-FINRA-2024-019."""


@dataclass(frozen=True)
class Costs:
    """The cost model of a run.

    half_spread_bps: half of the quoted spread where the book does not tell it, in basis points of the price.
    use_book: take half of `book.spread` of the last row before the fill where it is known.
    slippage_bps: paid on top by market orders and triggered stops.
    impact_bps: times sqrt(order quantity / volume of the last row before the fill); the square-root law (Almgren, Thum,
        Hauptmann, Li 2005, "Direct estimation of equity market impact", Risk 18), volatility folded into the factor.
    commission_per_share, commission_min: dollars; zero at the brokers supported.
    regulatory: charge SEC Section 31 and FINRA TAF on sells, by the session's date, not rounded to cents.
    times: multiplies all of the above but the regulatory fees, for asking how costly trading may become.
    """

    half_spread_bps: float = 1.0
    use_book: bool = True
    slippage_bps: float = 0.5
    impact_bps: float = 10.0
    commission_per_share: float = 0.0
    commission_min: float = 0.0
    regulatory: bool = True
    times: float = 1.0

    def __post_init__(self) -> None:
        settle(self, "cost", dict.fromkeys((f.name for f in fields(self)), (0.0, 1e6)))

    @classmethod
    def free(cls) -> Costs:
        """No costs at all: for comparing engines, never for judging a strategy."""
        return cls(0.0, False, 0.0, 0.0, 0.0, 0.0, False)

    def scaled(self, factor: float) -> Costs:
        """All costs but the regulatory fees times `factor`, the book's spread among them."""
        return replace(self, times=self.times * factor)

    def changed(self, changes: Mapping[str, Any]) -> Costs:
        """This model with some fields replaced; texts are read as the field's type.

        Raises:
            UsageError: an unknown field, or a value of the wrong type.
        """
        return changed(self, "cost", changes)

    def knobs(self, session: int) -> tuple[float, ...]:
        """The numbers `fill_price` and `fill_fee` take on a session (yyyymmdd)."""
        sec, taf, cap = fee_rates(session) if self.regulatory else (0.0, 0.0, 0.0)
        return (
            self.half_spread_bps * self.times * 1e-4,
            0.5 * self.times if self.use_book else 0.0,
            self.slippage_bps * self.times * 1e-4,
            self.impact_bps * self.times * 1e-4,
            self.commission_per_share * self.times,
            self.commission_min * self.times,
            sec,
            taf,
            cap,
        )

    def table(self) -> tuple[list[int], list[tuple[float, ...]]]:
        """`knobs` over all time: the sessions from which they change, and the knobs before the first and from each on.

        The row of a session is `numpy.searchsorted(sessions, session, side="right")`.
        """
        changes = sorted({row[0] for row in SEC_SECTION_31} | {row[0] for row in FINRA_TAF})
        return changes, [self.knobs(session) for session in (0, *changes)]


def fee_rates(session: int) -> tuple[float, float, float]:
    """(SEC fee as a fraction of the sale, TAF dollars per share, TAF cap in dollars) on a session (yyyymmdd)."""
    sec = SEC_SECTION_31[max(0, bisect_right(SEC_SECTION_31, (session, 1e9)) - 1)]
    taf = FINRA_TAF[max(0, bisect_right(FINRA_TAF, (session, 1e9, 1e9)) - 1)]
    return sec[1] * 1e-6, taf[1], taf[2]


def market_price(
    reference: float, side: float, quantity: float, spread: float, volume: float, c: Sequence[float]
) -> float:
    """The price of a market order.

    reference + side * (half spread + reference * (slippage + impact * sqrt(quantity / volume)))

    The deviation is at most half of the reference, so that no fill of a large order in a thin row has a price of zero.

    Args:
        reference: the open the order meets, or the level of a triggered stop.
        side: 1 buys, -1 sells.
        quantity: shares, positive.
        spread: quoted spread at the last row before the fill in quote currency, NaN where unknown.
        volume: volume of that row; no impact is charged where it is not positive.
        c: `Costs.knobs`.
    """
    half = reference * c[0]
    if c[1] > 0.0 and spread >= 0.0:
        half = c[1] * spread
    rate = c[2]
    if volume > 0.0:
        rate += c[3] * sqrt(quantity / volume)
    off = half + reference * rate
    if off > 0.5 * reference:
        off = 0.5 * reference
    return reference + side * off


def fill_fee(side: float, quantity: float, price: float, c: Sequence[float]) -> float:
    """Commission of a fill, and on sells the SEC and FINRA fees of the session, in dollars."""
    fee = c[4] * quantity
    if fee < c[5]:
        fee = c[5]
    if side < 0.0:
        taf = c[7] * quantity
        if taf > c[8]:
            taf = c[8]
        fee += c[6] * quantity * price + taf
    return fee
