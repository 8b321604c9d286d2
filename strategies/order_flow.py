"""Order flow: follow the book. Needs L2; without it nothing is bought.

Long when resting size leans to the bid, aggressors buy and the microprice stands above the mid; out when the lean
is gone or the book is stale. Source of the signals: Cont, Kukanov, Stoikov (2014), "The Price Impact of Order Book
Events"; Stoikov (2018), "The micro-price".
"""

from typing import Annotated

from strategies.common.load import Range
from strategies.common.rule import Rule
from strategies.indicators import atr, ema, zscore
from strategies.types import Bars, Book, Signals

CLOCK = "1m"
RULE = Rule(size=0.3, risk=0.003, time_stop=30, cooldown=2)


def signals(
    bars: Bars,
    book: Book,
    *,
    span: Annotated[int, Range(1, 100)] = 5,
    lean: Annotated[float, Range(0.0, 1.0)] = 0.15,
    push: Annotated[float, Range(0.0, 6.0)] = 1.5,
    stale: Annotated[float, Range(0.0, 300.0)] = 10.0,
    stop_atr: Annotated[float, Range(0.1, 20.0)] = 2.0,
) -> Signals:
    balance = ema(book.imbalance, span)
    pressure = zscore(book.ofi, 60)
    fresh = book.age <= stale
    buying = (balance > lean) & (pressure > push) & (book.microprice > book.mid) & (book.sell_flow < 0.5)
    return Signals(
        entries=buying & fresh,
        exits=(balance < 0.0) | (book.age > stale),
        stop=stop_atr * atr(bars.high, bars.low, bars.close, 14),
    )
