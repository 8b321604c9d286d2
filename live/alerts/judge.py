"""What fires, what clears, and who has seen it: one pass of the rules over the figures. Time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from data.calendar import SECOND_NS
from live.alerts.book import Active, Book, Seen, Severity
from live.alerts.rules import MARKET, Rule, labels_of
from live.metrics.names import Sample

KEPT_NS = 7 * 86_400 * SECOND_NS
"""How long it is remembered when something was last told of."""


class Notice(msgspec.Struct, frozen=True):
    """Something to tell. what: it fires, it stands unacknowledged, or it is over."""

    what: Literal["fires", "stands", "clears"]
    name: str
    account: str
    severity: Severity
    text: str
    do: str = ""


def judge(book: Book, rules: Mapping[str, Rule], samples: Iterable[Sample], now_ns: int) -> list[Notice]:
    """Bring the book up to date; what is to be told.

    An alert fires once its condition has held for as long as its rule says, is told of once per window however often it
    comes and goes, and is told of when it is over if it was told of when it fired. A series that is no longer there is
    over.
    """
    samples = list(samples)
    known = {sample.labels[0] for sample in samples if sample.name == "onetape_up"}
    is_open = any(sample.name == MARKET and sample.value == 1.0 for sample in samples)
    holding: dict[str, tuple[str, Rule, Sample]] = {}
    for name, rule in rules.items():
        if rule.while_open and not is_open:
            continue
        for sample in samples:
            if rule.matches(sample):
                key = key_of(name, sample)
                if _grew(book, key, rule, sample, now_ns) if rule.grows_s is not None else rule.holds(sample.value):
                    holding[key] = name, rule, sample
    told = [_hold(book, key, name, rule, sample, now_ns) for key, (name, rule, sample) in holding.items()]
    told += [_clear(book, key) for key in [key for key in book.active if key not in holding]]
    book.accounts = sorted(known)
    book.last = {key: at for key, at in book.last.items() if now_ns - at < KEPT_NS}
    book.said = now_ns
    return [notice for notice in told if notice is not None]


def key_of(name: str, sample: Sample) -> str:
    """What names an alert: its rule and its series."""
    return "|".join([name, *(f"{label}={value}" for label, value in labels_of(sample).items())])


def acknowledge(book: Book, seen: Seen) -> list[Active]:
    """Mark alerts as seen by a person; those it was about."""
    found = [
        alert
        for alert in book.active.values()
        if alert.fired and alert.name == seen.name and seen.account in ("", alert.account)
    ]
    for alert in found:
        alert.seen_by = seen.who
    return found


def _hold(book: Book, key: str, name: str, rule: Rule, sample: Sample, now_ns: int) -> Notice | None:
    labels = labels_of(sample)
    alert = book.active.get(key)
    if alert is None:
        account = labels.get("account", "")
        alert = book.active[key] = Active(key, name, account, rule.severity, "", now_ns)
    alert.text, alert.severity = rule.text(sample), rule.severity
    if not alert.fired and now_ns - alert.since >= rule.for_s * SECOND_NS:
        alert.fired = now_ns
    last = book.last.get(key)
    within = last is not None and now_ns - last < rule.repeat * SECOND_NS
    if not alert.fired or within or (alert.told and alert.seen_by):
        return None
    what: Literal["fires", "stands"] = "stands" if alert.told else "fires"
    alert.told = book.last[key] = now_ns
    return Notice(what, name, alert.account, alert.severity, alert.text, rule.do)


def _clear(book: Book, key: str) -> Notice | None:
    alert = book.active.pop(key)
    return Notice("clears", alert.name, alert.account, alert.severity, alert.text) if alert.told else None


def _grew(book: Book, key: str, rule: Rule, sample: Sample, now_ns: int) -> bool:
    """True while a counter has grown within the rule's time.

    One that was not there before has grown from nothing if its account was: a counter begins with its first event.
    """
    value, grown = book.counters.get(key, (None, 0))
    if value is None:
        grown = now_ns if sample.labels[0] in book.accounts and sample.value > 0.0 else 0
    elif sample.value > value:
        grown = now_ns
    book.counters[key] = (sample.value, grown)
    return bool(grown) and now_ns - grown < (rule.grows_s or 0.0) * SECOND_NS
