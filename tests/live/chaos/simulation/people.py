"""What people do: trades and orders by hand in the broker's app, and words to the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .market import SYMBOLS

if TYPE_CHECKING:
    from .world import World

Word = Literal["halt", "resume", "flatten"]


def by_hand(world: World) -> None:
    """F24: a trade, or an order that stays."""
    world.evidence.external = True
    symbol = world.chance.choice(SYMBOLS)
    if world.chance.random() < 0.5:
        world.venue.hand_trade(symbol, float(world.chance.choice([-10, 10, 25])))
    else:
        world.venue.hand_order(symbol, 10.0)


def person(world: World) -> None:
    """F37: somebody says something."""
    words: list[Word] = ["halt", "halt", "flatten", "resume"]
    say(world, world.chance.choice(words))


def resume(world: World) -> None:
    """Somebody lets it trade again, as long as there are faults."""
    if not world.weather.calm:
        say(world, "resume")


def say(world: World, word: Word) -> None:
    """A word stands until the next one, also where no process hears it."""
    world.evidence.words.append((world.timeline.now, word))
    world.halt_stands = "" if word == "resume" else word
    if world.process is not None:
        world.process.say(word)
