"""The commands of pattern notes: note, budget, replay, ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import Json, parse_assignments, print_json
from data.errors import AuthError, UsageError

if TYPE_CHECKING:
    from research.patterns.config import PatternSettings
    from research.patterns.opinion import Opinion
    from research.scan_rows import Rows

PlaceArgument = Annotated[str, typer.Argument(help="sample, store, a tape's path, or a source's name.")]
StrategyArgument = Annotated[str, typer.Argument(help="A strategy's name or file.")]
SymbolsOption = Annotated[str | None, typer.Option("--symbols", help="Names, separated by commas; default: all.")]
ClockOption = Annotated[str | None, typer.Option("--clock", help="Clock of stored rows.")]
StartOption = Annotated[str | None, typer.Option("--start", help="First session, as 2012-01-03.")]
EndOption = Annotated[str | None, typer.Option("--end", help="Last session, included.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Default: gpt-4o-mini, or [patterns] model.")]
JournalOption = Annotated[Path | None, typer.Option("--journal", help="Where calls are kept.")]
AnonymousOption = Annotated[
    bool | None, typer.Option("--anonymous/--named", help="Show the model no ticker, price level or date.")
]
ParamOption = Annotated[list[str] | None, typer.Option("--param", "-p", help="A parameter, name=value.")]


def note(
    place: PlaceArgument,
    symbol: Annotated[str | None, typer.Argument(help="Whose chart; leave out with --entries.")] = None,
    at: Annotated[str | None, typer.Option(help="Last session or instant (UTC) shown; default: the last row.")] = None,
    entries: Annotated[str | None, typer.Option(help="Ask for every entry of this strategy instead.")] = None,
    most: Annotated[int, typer.Option(help="With --entries: ask for the first so many.")] = 20,
    symbols: SymbolsOption = None,
    clock: ClockOption = None,
    start: StartOption = None,
    end: EndOption = None,
    model: ModelOption = None,
    anonymous: AnonymousOption = None,
    budget_dollars: Annotated[float | None, typer.Option("--budget", help="Dollars a month.")] = None,
    journal: JournalOption = None,
    param: ParamOption = None,
    as_json: Json = False,
) -> None:
    """Ask the model what it sees in a chart, or at a strategy's entries; cached, budgeted, journaled."""
    from research.patterns.picture import picture_at
    from research.patterns.verdict import notes_on

    if (symbol is None) == (entries is None):
        raise UsageError("say whose chart (a symbol) or which entries (--entries STRATEGY), one of the two")
    settings = _settings(model=model, anonymous=anonymous, budget=budget_dollars, journal=journal)
    rows = _known(_rows(place, symbol or symbols, clock, start, at[:10] if at else end), at)
    with _advisor(settings) as advisor:
        if entries is None:
            assert symbol is not None  # noqa: S101  # one of the two
            asked = [
                advisor.ask(
                    picture_at(
                        rows.bars,
                        len(rows.bars) - 1,
                        symbol,
                        rows.clock,
                        rows=settings.rows,
                        anonymous=settings.anonymous,
                    )
                )
            ]
        else:
            asked = notes_on(
                entries,
                rows.bars,
                advisor.ask,
                params=parse_assignments(param or []),
                book=rows.book,
                rows=settings.rows,
                anonymous=settings.anonymous,
                most=most,
            )
    _show(asked, as_json)
    if any(opinion.outcome == "key refused" for opinion in asked):
        raise AuthError("the vendor refused OPENAI_API_KEY; look at https://platform.openai.com/api-keys")


def budget(
    month: Annotated[str | None, typer.Option(help="As 2026-11; default: this month.")] = None,
    budget_dollars: Annotated[float | None, typer.Option("--budget", help="Dollars a month.")] = None,
    journal: JournalOption = None,
    as_json: Json = False,
) -> None:
    """What the month's notes have cost, what is left, and how many asks the cache answered."""
    from data.sources.base import WallClock
    from research.patterns.advisor import ALERT
    from research.patterns.journal import Journal, month_of
    from research.patterns.models import dollars

    settings = _settings(budget=budget_dollars, journal=journal)
    spending = Journal(settings.journal).spending(month or month_of(WallClock().now()))
    left = max(settings.limit - spending.spent, 0)
    told = {
        "month": spending.month,
        "budget": settings.budget,
        "spent": dollars(spending.spent),
        "left": dollars(left),
        "alert": spending.spent >= ALERT * settings.limit,
        "calls": spending.calls,
        "asks": spending.asks,
        "cache_hits": spending.hits,
        "hit_rate": spending.hit_rate,
        "over_budget": spending.refused,
    }
    if as_json:
        print_json(told)
        return
    rate = "no asks" if spending.hit_rate is None else f"{spending.hit_rate:.1%} of {spending.asks} asks"
    print(f"{spending.month}: ${told['spent']:.6f} of ${settings.budget:.2f}, ${told['left']:.6f} left")
    print(f"calls {spending.calls}, answered by the cache: {rate}, refused by the budget: {spending.refused}")
    if told["alert"]:
        print("more than 80 % is spent; at 100 % no more calls are made")


def replay(
    place: PlaceArgument,
    strategy: StrategyArgument,
    symbols: SymbolsOption = None,
    clock: ClockOption = None,
    start: StartOption = None,
    end: EndOption = None,
    model: ModelOption = None,
    anonymous: AnonymousOption = None,
    journal: JournalOption = None,
    param: ParamOption = None,
    as_json: Json = False,
) -> None:
    """What the recorded notes do to a strategy's entries; only the journal is read, nothing is called."""
    _, applied = _judged(place, strategy, symbols, clock, start, end, model, anonymous, journal, param)
    told = [effect.opinion.as_dict() | {"effect": effect.effect, "side": effect.side} for effect in applied.effects]
    if as_json:
        print_json(told)
        return
    for effect in applied.effects:
        print(f"{_when(effect.opinion)} {effect.effect:8} {effect.opinion.line()}")
    print(f"{len(told)} entries, {sum(e.opinion.how == 'replay' for e in applied.effects)} with a recorded note")


def ledger(
    place: Annotated[str | None, typer.Argument(help="As for note; leave out to list the verdicts so far.")] = None,
    strategy: Annotated[str | None, typer.Argument(help="A strategy's name or file.")] = None,
    symbols: SymbolsOption = None,
    clock: ClockOption = None,
    start: StartOption = None,
    end: EndOption = None,
    model: ModelOption = None,
    anonymous: AnonymousOption = None,
    journal: JournalOption = None,
    param: ParamOption = None,
    as_json: Json = False,
) -> None:
    """Whether the notes' vetoes earned more than they cost: the backtest without and with them, net of the bill."""
    from dataclasses import asdict

    from data.calendar import utc
    from data.sources.base import WallClock
    from research.patterns.verdict import Verdicts

    kept = Verdicts(_settings(journal=journal).journal)
    if place is None:
        found = [{"at": utc(at_ns), **asdict(verdict), "line": verdict.line()} for at_ns, verdict in kept.all()]
        if as_json:
            print_json(found)
            return
        for each in found:
            print(f"{each['at']} {each['strategy']} {each['model']}: {each['line']}")
        if not found:
            print("no verdict yet; make one with: python -m research patterns ledger sample ma_cross")
        return
    if strategy is None:
        raise UsageError("say which strategy: ledger PLACE STRATEGY")
    verdict, _ = _judged(place, strategy, symbols, clock, start, end, model, anonymous, journal, param)
    kept.add(verdict, at_ns=WallClock().now())
    if as_json:
        print_json(asdict(verdict))
        return
    print(f"{verdict.strategy}: {verdict.recorded} of {verdict.asked} entries have a recorded note")
    print(verdict.line())


def _judged(
    place: str,
    strategy: str,
    symbols: str | None,
    clock: str | None,
    start: str | None,
    end: str | None,
    model: str | None,
    anonymous: bool | None,
    journal: Path | None,
    param: list[str] | None,
) -> Any:
    from research.patterns.advisor import Record
    from research.patterns.journal import Journal
    from research.patterns.verdict import judge

    settings = _settings(model=model, anonymous=anonymous, journal=journal)
    rows = _rows(place, symbols, clock, start, end)
    kept = Journal(settings.journal)
    kept.calls()  # an altered request is found before anything rests on it
    return judge(
        strategy,
        rows.bars,
        Record(settings.terms(), kept, api=settings.api),
        params=parse_assignments(param or []),
        book=rows.book,
        rows=settings.rows,
        anonymous=settings.anonymous,
    )


def _advisor(settings: PatternSettings) -> Any:
    """The advisor of the settings as a context that closes its connections."""
    from contextlib import contextmanager

    from data.settings import load_settings
    from data.sources.base import WallClock
    from research.patterns.advisor import Advisor
    from research.patterns.cache import RedisCache, open_cache
    from research.patterns.client import Client
    from research.patterns.journal import Journal

    @contextmanager
    def opened() -> Any:
        outside, clock = load_settings(), WallClock()
        client = Client(outside.openai_api_key, clock, base_url=outside.openai_base_url, timeout_s=settings.timeout_s)
        cache = open_cache(settings.journal.with_suffix(".cache.sqlite"), outside.redis_url)
        try:
            journal = Journal(settings.journal)
            terms = settings.terms()
            yield Advisor(terms, client, cache, journal, limit=settings.limit, clock=clock, api=settings.api)
        finally:
            client.close()
            if isinstance(cache, RedisCache):
                cache.close()

    return opened()


def _settings(**given: Any) -> PatternSettings:
    from research.patterns.config import load_pattern_settings

    return load_pattern_settings(**given)


def _rows(place: str, symbols: str | None, clock: str | None, start: str | None, end: str | None) -> Rows:
    from research.scan_rows import rows_of

    names = [name.strip() for name in symbols.split(",") if name.strip()] if symbols else None
    return rows_of(place, names, clock, start, end)


def _known(rows: Rows, at: str | None) -> Rows:
    """The rows that had closed at an instant such as 2024-01-02T15:30 (UTC, or with an offset); all for a day alone."""
    import datetime as dt

    from data.calendar import SECOND_NS

    if at is None or len(at) <= len("2024-01-02"):
        return rows
    try:
        moment = dt.datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(f"{at!r} is not a time; write for example 2024-01-02T15:30 (UTC)") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    count = int(rows.bars.ts.searchsorted(int(moment.timestamp()) * SECOND_NS, side="right"))
    if not count:
        raise UsageError(f"no row had closed at {at}; the first closes at {_utc(int(rows.bars.ts[0]))}")
    book = rows.book.rows(0, count) if rows.book is not None else None
    return rows._replace(bars=rows.bars.rows(0, count), book=book)


def _show(opinions: list[Opinion], as_json: bool) -> None:
    if as_json:
        print_json([opinion.as_dict() for opinion in opinions])
        return
    for opinion in opinions:
        print(f"{_when(opinion)} {opinion.line()}")
        for reason in opinion.answer.reasons if opinion.answer else ():
            print(f"    {reason}")
    hits = sum(opinion.how == "cache" for opinion in opinions)
    print(f"{len(opinions)} notes, {hits} from the cache, ${sum(o.cost for o in opinions) / 10**12:.6f}")


def _when(opinion: Opinion) -> str:
    return _utc(opinion.ts)


def _utc(ts: int) -> str:
    from data.calendar import utc

    return utc(ts)
