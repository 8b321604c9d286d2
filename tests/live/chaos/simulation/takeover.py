"""A second runner for the same account, and the first one, which comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.errors import OnetapeError

from .clock import SECOND
from .process import Killed, Process

if TYPE_CHECKING:
    from .world import World


def second_runner(world: World) -> None:
    """F25: another runner is started: here, where the lock is held, or after the lock's file was taken away."""
    runner, evidence = world.supervisor, world.evidence
    first = runner.process
    if not world.own_files or world.lock_path is None or first is None:
        return
    if stolen := world.chance.random() < 0.5:
        world.lock_path.unlink(missing_ok=True)
        runner.robbed.add(first.life)
    second = runner.born(runner.life + 1)
    try:
        second.start()
    except OnetapeError as error:
        evidence.errors.append(f"second runner: {error}")
        second.stop()
        return
    except Killed:
        second.let_go()
        return
    if not stolen and first.life not in runner.robbed:
        evidence.takeovers.append((world.timeline.now, -1))
    # The first was frozen, comes back once, and must not get anywhere.
    runner.life += 1
    evidence.takeovers.append((world.timeline.now, runner.life))
    _come_back(world, first, second)


def _come_back(world: World, first: Process, second: Process) -> None:
    timeline = world.timeline
    world.network.life = second.life
    world.supervisor.process = second
    inside, world.inside = world.inside, True
    try:
        for _ in range(world.chance.choice([1, 6])):
            second.tick()
            timeline.advance(timeline.now + SECOND)
        world.network.life = first.life
        first.tick()
        row = next((told.row for told in world.feed.told if told.arrives > timeline.now), None)
        if row is not None:
            first.row(row)
            first.tick()
    except OnetapeError as error:
        world.evidence.errors.append(f"first runner: {error}")
        first.stop()
    finally:
        world.inside = inside
    world.network.life = second.life
    world.agenda.at(timeline.now, world.supervisor.ticks(second.life))
