"""When which fault strikes: at moments drawn before the schedule begins, and behind points that orders pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from . import people, surroundings
from .clock import ns
from .takeover import second_runner

if TYPE_CHECKING:
    from .world import World

HITS = (
    "intent.written", "sending.applied", "ack.applied", "fill.applied", "unknown.applied", "quarantine.applied",
    "expiry.applied", "refusal.applied", "cancel-ack.applied", "place leaves", "place arrives", "place answered",
    "cancel arrives", "look arrives",
)  # fmt: skip
"""Points behind which a fault of the world may hit at once, so that orders in every state are met by it; what lasts is
noted there."""

Act = Callable[["World"], None]
ACTS: dict[str, Act] = {
    "F03": surroundings.disk_error,
    "F04": surroundings.disk_full,
    "F19": surroundings.clock_jump,
    "F20": surroundings.stall,
    "F24": people.by_hand,
    "F25": second_runner,
    "F31": surroundings.halt_symbol,
    "F33": surroundings.restrict,
}
"""Faults that strike at some moments and lie in wait as well."""


def plan(world: World) -> None:
    """Put all that will happen on the agenda: rows, faults, people."""
    _plan_rows(world)
    chance, weather, times = world.chance, world.weather, world.market.times
    for name, act in ACTS.items():
        if weather.has(name):
            for _ in range(chance.randint(1, 3)):
                world.agenda.at(_moment(world), partial(strike, world, name, act))
            _lie_in_wait(world, name, act)
    if weather.has("F29"):
        if chance.random() < 0.5:
            world.agenda.at(times[len(times) // 2], partial(strike, world, "F29", surroundings.split))
        else:
            _lie_in_wait(world, "F29", surroundings.split, most=1)
    if weather.has("F34") and not world.own_files:
        early, late = sorted((_moment(world), _moment(world)))
        world.agenda.at(early, partial(surroundings.back_up, world))
        lose_host = partial(surroundings.lose_host, world)
        if chance.random() < 0.3:
            world.agenda.at(late, lose_host)
        for _ in range(3):
            where = (chance.choice(HITS), chance.choice([1, 2, 3, 5]))
            world.ambushes.setdefault(where, []).append(lose_host)
    _plan_lasting(world)
    _plan_people(world)


def strike(world: World, name: str, act: Act) -> None:
    """The fault meets all orders, and happens; not once the schedule is calm."""
    if not world.weather.calm:
        world.met.every(name)
        act(world)


def _plan_rows(world: World) -> None:
    for since, _ in world.feed.refusals:
        world.agenda.at(since, partial(strike, world, "F18", surroundings.feed_refused))
    for told in world.feed.told:
        world.agenda.at(told.arrives, partial(world.row, told))


def _plan_lasting(world: World) -> None:
    """What lasts is noted now and then."""
    weather, times = world.weather, world.market.times
    if weather.has("F16"):
        heard = {told.row.ts for told in world.feed.told}
        for ts in times:
            if ts not in heard:
                world.agenda.at(ts, partial(world.met.every, "F16"))
    for name in ("F30", "F38"):
        if weather.has(name):
            for ts in times[::4]:
                world.agenda.at(ts, partial(world.met.every, name))


def _plan_people(world: World) -> None:
    """Words are said; where no person is drawn, now and then one resumes what the process halted by itself."""
    chance = world.chance
    if world.weather.has("F37"):
        for _ in range(chance.randint(1, 3)):
            world.agenda.at(_moment(world), partial(strike, world, "F37", people.person))
        _lie_in_wait(world, "F37", people.person)
    elif chance.random() < 0.3:
        world.agenda.at(_moment(world), partial(people.resume, world))


def _moment(world: World) -> int:
    """Some nanosecond around a row."""
    return world.chance.choice(world.market.times) + ns(world.chance.uniform(-9.0, 9.0))


def _lie_in_wait(world: World, name: str, act: Act, most: int = 2) -> None:
    """The fault also hits right behind a point that an order passes."""
    for _ in range(world.chance.randint(0, most)):
        where = (world.chance.choice(HITS), world.chance.choice([1, 1, 2, 3, 5]))
        world.ambushes.setdefault(where, []).append(partial(strike, world, name, act))
