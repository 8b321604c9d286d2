"""Faults of what surrounds the process: its disk, its clock, its host, its feed, and the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import ns
from .market import SYMBOLS
from .process import Killed

if TYPE_CHECKING:
    from .world import World


def disk_error(world: World) -> None:
    """F03: for a while every write fails."""
    world.disk.refuse = "eio"
    world.timeline.after(world.chance.choice([0.5, 5.0]), lambda: disk_well(world))


def disk_full(world: World) -> None:
    """F04: for a while nothing more fits."""
    world.disk.refuse = "full"
    world.timeline.after(world.chance.choice([5.0, 30.0]), lambda: disk_well(world))


def disk_well(world: World) -> None:
    """It takes writes again."""
    world.disk.refuse = ""


def slow_sync(world: World) -> None:
    """F40: the disk is slow now and then: the whole process waits for it, and hears nothing."""
    if world.weather.strikes("F40", 0.2):
        world.met.every("F40")
        _freeze(world, world.chance.choice([0.3, 2.0, 6.0]))


def stall(world: World) -> None:
    """F20: the process stands still; rows, news and answers pile up."""
    _freeze(world, world.chance.choice([5.0, 20.0, 60.0]))


def _freeze(world: World, seconds: float) -> None:
    since = world.timeline.now
    world.timeline.advance(since + ns(seconds))
    world.evidence.stalls.append((since, world.timeline.now))


def clock_jump(world: World) -> None:
    """F19: a process that starts meanwhile has the wrong time."""
    world.skew = world.chance.choice([0, 400, -400, 3_600_000, -3_600_000, 1_000, -30_000]) * 1_000_000
    world.timeline.after(world.chance.choice([5.0, 40.0]), lambda: clock_well(world))


def clock_well(world: World) -> None:
    """It is right again."""
    world.skew = 0


def power_loss(world: World) -> None:
    """F02: what was not synced is gone, or torn; now and then a bit of what was synced turns as well."""
    world.disk.power_loss(world.chance, torn=True)
    if world.chance.random() < 0.25:
        if world.chance.random() < 0.5:
            world.disk.fold(str(world.path))
        world.disk.flip(world.chance)
        world.evidence.damaged = True


def back_up(world: World) -> None:
    """The files are copied away, once."""
    if world.backup is None and world.process is not None:
        world.backup = world.disk.backup()


def lose_host(world: World) -> None:
    """F34: another machine takes over with what the backup holds; nothing of what came since is known there.

    Raises:
        Killed: the process is gone with its host.
    """
    if world.backup and world.process is not None and not world.evidence.damaged and not world.weather.calm:
        world.met.every("F34")
        world.disk.restore(world.backup)
        world.evidence.damaged = True
        raise Killed("the host is lost")


def feed_refused(world: World) -> None:
    """F18: the feed does not let the process in."""
    if world.process is not None:
        world.process.feed_refused("the feed refused the connection (406)")


def halt_symbol(world: World) -> None:
    """F31: a symbol does not trade for a while; the process is told when it begins and when it is over."""
    symbol, now = world.chance.choice(SYMBOLS), world.timeline.now
    until = now + ns(world.chance.choice([15.0, 45.0]))
    world.market.halts.append((symbol, now, until))
    world.tell_facts(symbol, halted=True)
    world.agenda.at(until, lambda: world.tell_facts(symbol, resumed=until))


def restrict(world: World) -> None:
    """F33: for a while the account may only close."""
    world.venue.restricted = True
    world.timeline.after(world.chance.choice([20.0, 60.0]), lambda: unrestrict(world))


def unrestrict(world: World) -> None:
    """It may open again."""
    world.venue.restricted = False


def split(world: World) -> None:
    """F29: two shares for one, overnight; the process is told that there is an action, not what it does."""
    symbol, world.was_split = world.chance.choice(SYMBOLS), True
    world.tell_facts(symbol, action=True)
    if world.venue.positions.get(symbol):
        world.venue.positions[symbol] *= 2.0
        world.venue.by_hand.append((world.timeline.now, f"{symbol} split"))
        world.evidence.external = True
