"""What a model costs and what it may already know: two dated facts that no response tells.

Money is counted in whole picodollars (1e-12 dollars), so that sums of tokens are exact: a price of 0.15 dollars per
million tokens is 150,000 picodollars a token.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from data.calendar import DAY_SECONDS, SECOND_NS
from data.errors import ConfigError

PICO = 10**12
PRICES_FROM = "https://platform.openai.com/docs/pricing"
CUTOFFS_FROM = "https://platform.openai.com/docs/models"
AS_OF = "2026-04-05"
DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class Model(NamedTuple):
    """A model's terms.

    input, cached, output: picodollars a token. cutoff: last day its training may have seen; None: not known, so that
    every bar counts as seen. temperature: whether it takes one. as_of: the day the terms were read.
    """

    name: str
    input: int
    cached: int
    output: int
    cutoff: dt.date | None
    temperature: bool
    as_of: str

    @property
    def cutoff_ns(self) -> int | None:
        """The end of the cutoff's day, UTC nanoseconds; None where it is not known."""
        if self.cutoff is None:
            return None
        days = (self.cutoff - dt.date(1970, 1, 1)).days + 1
        return days * DAY_SECONDS * SECOND_NS

    def saw(self, ts: int) -> bool:
        """Whether the model may have learnt what came after `ts`, UTC nanoseconds; an unknown cutoff says yes."""
        return self.cutoff_ns is None or ts < self.cutoff_ns

    def cost(self, given: int, cached: int, output: int) -> int:
        """Picodollars of a call: `given` input tokens, `cached` of them from the vendor's cache, `output` tokens.

        (given - cached) * input + cached * cached price + output * output price. Reasoning tokens are output.
        """
        cached = min(cached, given)
        return (given - cached) * self.input + cached * self.cached + output * self.output


def _listed(name: str, prices: tuple[str, str, str], cutoff: str, *, temperature: bool = True) -> Model:
    return Model(name, *_picodollars(prices), dt.date.fromisoformat(cutoff), temperature, AS_OF)


def _picodollars(prices: Sequence[str | float | Decimal]) -> tuple[int, int, int]:
    given, cached, output = (int(Decimal(str(price)) * PICO / 1_000_000) for price in prices)
    return given, cached, output


# Dollars per million tokens: input, cached input, output. Last day of training data. Sources above.
MODELS = {
    model.name: model
    for model in (
        _listed("gpt-4o-mini", ("0.15", "0.075", "0.60"), "2023-10-01"),
        _listed("gpt-4o", ("2.50", "1.25", "10.00"), "2023-10-01"),
        _listed("gpt-4.1", ("2.00", "0.50", "8.00"), "2024-06-01"),
        _listed("gpt-4.1-mini", ("0.40", "0.10", "1.60"), "2024-06-01"),
        _listed("gpt-4.1-nano", ("0.10", "0.025", "0.40"), "2024-06-01"),
        _listed("gpt-5-mini", ("0.25", "0.025", "2.00"), "2024-05-31", temperature=False),
    )
}


def model_of(name: str, price: Sequence[float | str] | None = None, cutoff: dt.date | None = None) -> Model:
    """The terms of a model; a dated name (`gpt-4o-mini-2024-07-18`) has those of its family.

    Args:
        price: dollars per million tokens of input, cached input and output, instead of the table's.
        cutoff: last day of its training data, instead of the table's.

    Raises:
        ConfigError: the table has no price and none is given, or the price is not three positive numbers.
    """
    listed = MODELS.get(name) or MODELS.get(DATED.sub("", name))
    if price is None:
        if listed is None:
            raise ConfigError(
                f"no price is known for model {name!r} (the table of {AS_OF} has {', '.join(MODELS)}); give dollars "
                f"per million tokens of input, cached input and output: price = [0.15, 0.075, 0.60] under [patterns]"
            )
        return listed._replace(name=name, cutoff=cutoff or listed.cutoff)
    try:
        tokens = _picodollars(price)
    except (ValueError, ArithmeticError):
        tokens = (0, 0, 0)
    if min(tokens) <= 0:
        raise ConfigError(
            f"price must be three positive numbers, dollars per million tokens of input, cached input and output; "
            f"got {list(price)!r}"
        )
    known = cutoff or (listed.cutoff if listed else None)
    return Model(name, *tokens, known, listed.temperature if listed else False, "given")


def dollars(picodollars: int) -> float:
    """For showing; sums are made before."""
    return picodollars / PICO
