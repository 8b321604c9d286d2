"""Who is asked for an opinion: the advisor (cache, then budget, then one call) or the record (never a call).

    advisor = Advisor(settings.terms(), client, cache, journal, limit=settings.limit, clock=WallClock())
    opinion = advisor.ask(picture_at(bars, t, "AAPL", "1m"))

Both give the same opinion for the same picture and model once a reply is there, for both read the same bytes.
"""

from __future__ import annotations

import warnings
from typing import Protocol

from data.sources.base import Clock
from research.patterns.cache import Cache
from research.patterns.journal import Journal, month_of
from research.patterns.models import MODELS, Model, dollars, model_of
from research.patterns.opinion import Opinion, opinion_of
from research.patterns.picture import Picture
from research.patterns.reply import KEPT, UNPAID, Reply
from research.patterns.request import Request, request_of

ALERT = 0.8


class Sender(Protocol):
    """What makes a call; `research.patterns.client.Client`."""

    def send(self, request: Request) -> Reply:
        """One attempt; failures are outcomes."""


class Advisor:
    """Asks the cache first and the vendor second, within the month's budget.

    Args:
        model: terms of the one asked. limit: picodollars a month. clock: dates calls and months.
    """

    def __init__(
        self,
        model: Model,
        sender: Sender,
        cache: Cache,
        journal: Journal,
        *,
        limit: int,
        clock: Clock,
        api: str = "chat",
    ) -> None:
        self._model = model
        self._sender = sender
        self._cache = cache
        self._journal = journal
        self._limit = limit
        self._clock = clock
        self._api = api

    def ask(self, picture: Picture) -> Opinion:
        """The opinion on a picture; whatever goes wrong is "no opinion" with its reason.

        A warning is given by the call that takes the month's spending over 80 % of the budget.
        """
        request = request_of(picture, self._model, self._api)
        at_ns = self._clock.now()
        kept = self._cache.get(request.key)
        if kept is not None:
            self._journal.asked(request.key, "cache", at_ns=at_ns)
            return opinion_of(picture, kept, self._model, request.key, "cache", 0)
        taken = self._journal.reserve(request, at_ns=at_ns, symbol=picture.symbol, ts=picture.ts, limit=self._limit)
        if taken is None:
            self._journal.asked(request.key, "over budget", at_ns=at_ns)
            return opinion_of(picture, Reply("over budget"), self._model, request.key, "none", 0)
        self._journal.asked(request.key, "call", at_ns=at_ns)
        call, before = taken
        reply = self._sender.send(request)
        cost = cost_of(reply, self._model, request.bound)
        spent = self._journal.settle(call, reply, cost)
        if reply.outcome in KEPT:
            self._cache.put(request.key, reply)
        if before < ALERT * self._limit <= spent:
            warnings.warn(
                f"pattern notes have spent ${dollars(spent):.2f} of ${dollars(self._limit):.2f} in {month_of(at_ns)}; "
                f"at 100 % no more calls are made",
                UserWarning,
                stacklevel=2,
            )
        return opinion_of(picture, reply, self._model, request.key, "call", cost)


class Record:
    """The journal as an advisor for backtests: only replies that were recorded, never a call."""

    def __init__(self, model: Model, journal: Journal, *, api: str = "chat") -> None:
        self._model = model
        self._journal = journal
        self._api = api

    def ask(self, picture: Picture) -> Opinion:
        """The recorded opinion on a picture; without a reply "no opinion"."""
        request = request_of(picture, self._model, self._api)
        found = self._journal.recorded(request.key)
        if found is None:
            return opinion_of(picture, Reply("unrecorded"), self._model, request.key, "none", 0)
        return opinion_of(picture, found.reply, self._model, request.key, "replay", found.cost)


def cost_of(reply: Reply, asked: Model, bound: int) -> int:
    """Picodollars of a call: by the usage that the reply tells, at the prices of the model that answered.

    Nothing where the vendor turned the request away; the bound where it may have worked but did not say how much.
    """
    if reply.usage is not None:
        same = asked.as_of == "given" or not reply.model
        answered = asked if same or not _listed(reply.model) else model_of(reply.model)
        return answered.cost(*reply.usage)
    return 0 if reply.outcome in UNPAID else bound


def _listed(name: str) -> bool:
    from research.patterns.models import DATED

    return name in MODELS or DATED.sub("", name) in MODELS
