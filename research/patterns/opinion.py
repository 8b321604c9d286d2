"""An opinion: one reading of one picture, with everything that says how far to trust it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from research.patterns.answer import Answer, read_answer
from research.patterns.models import Model, dollars
from research.patterns.picture import BASE, Picture
from research.patterns.reply import REASONS, Reply


@dataclass(frozen=True)
class Opinion:
    """What is thought of one symbol at one row.

    symbol, ts: whose and when (close of the row, UTC nanoseconds). answer: None is "no opinion", `outcome` and
    `reason` say why. support, resistance: dollars. model: the one that answered. cutoff: last day of its training, as
    text, "" where it is not known. contaminated: the model may have learnt what came after the row. request: hash.
    how: `call`, `cache`, `replay` or `none`. cost: picodollars paid for it now (in a replay: when it was made).
    """

    symbol: str
    ts: int
    outcome: str
    reason: str
    answer: Answer | None
    support: float | None
    resistance: float | None
    model: str
    cutoff: str
    contaminated: bool
    request: str
    how: str
    cost: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the cost in dollars."""
        told = asdict(self)
        told["answer"] = None if self.answer is None else self.answer.model_dump(mode="json")
        told["cost"] = dollars(self.cost)
        return told

    def line(self) -> str:
        """One line for a terminal."""
        mark = " (contaminated: the model may know what followed)" if self.contaminated else ""
        if self.answer is None:
            return f"{self.symbol}: no opinion, {self.reason}"
        levels = ", ".join(
            f"{name} {level:.2f}"
            for name, level in (("support", self.support), ("resistance", self.resistance))
            if level is not None
        )
        told = f"{self.answer.pattern}, {self.answer.bias}, confidence {self.answer.confidence:.2f}"
        return f"{self.symbol}: {told}{f', {levels}' if levels else ''}{mark}"


def opinion_of(picture: Picture, reply: Reply, model: Model, request: str, how: str, cost: int) -> Opinion:
    """The opinion that a reply holds; the answer is read anew, so that a stored one is trusted no more than a fresh."""
    answer = read_answer(reply.content) if reply.outcome == "answered" else None
    outcome = "malformed" if reply.outcome == "answered" and answer is None else reply.outcome

    def price(level: float | None) -> float | None:
        return None if level is None else level / BASE * picture.last

    return Opinion(
        symbol=picture.symbol,
        ts=picture.ts,
        outcome=outcome,
        reason=REASONS[outcome],
        answer=answer,
        support=price(answer.levels.support) if answer else None,
        resistance=price(answer.levels.resistance) if answer else None,
        model=reply.model or model.name,
        cutoff=str(model.cutoff or ""),
        contaminated=model.saw(picture.ts),
        request=request,
        how=how,
        cost=cost,
    )
