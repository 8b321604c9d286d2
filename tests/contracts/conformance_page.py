"""docs/conformance.md from the cards: `python tests/contracts/conformance_page.py` writes it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "conformance.md"
BROKERS = ("alpaca", "robinhood", "robinhood_private")
HEAD = """# Conformance

What every broker must be able to do for us, card by card. Each card is played by `tests/contracts/test_conformance.py`
against the sandbox, whose own record of orders, fills and positions is the judge. A test keeps this page in step with
the cards; `python tests/contracts/conformance_page.py` writes it.

**Last passed against a broker's own paper or live service: never, by any card at any broker.** No key and no account
was at hand. The sandbox was written from what is public about each service; where the service differs from it, these
cards prove nothing. Play them on a paper account, or with one share far from the market, before money follows them.

Ambiguous answers (group 8) are also produced with real sockets, by a proxy that drops, cuts, delays and doubles:
`tests/live/proxy`.
"""


def page(cards: list[Any], groups: dict[int, str]) -> str:
    """The whole page."""
    sheets = {name: importlib.import_module(f"live.brokers.{name}").CAPABILITIES for name in BROKERS}
    lines = [HEAD]
    for number, title in groups.items():
        lines += [f"## {number} {title}", "", f"| card | before | do | events | passed when | {' | '.join(BROKERS)} |"]
        lines += ["|---" * (5 + len(BROKERS)) + "|"]
        for card in (each for each in cards if each.group == number):
            stands = [f"skipped: {why}" if (why := card.skip(sheet)) else "sandbox" for sheet in sheets.values()]
            cells = (f"{card.number} {card.title}", card.prerequisite, card.action, card.events, card.passes, *stands)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    total = sum(not card.skip(sheet) for card in cards for sheet in sheets.values())
    lines.append(
        f"{len(cards)} cards, {len(cards) * len(BROKERS)} with each broker: {total} played against the sandbox, "
    )
    lines[-1] += f"{len(cards) * len(BROKERS) - total} skipped with their reason, 0 on paper or live."
    return "\n".join(lines) + "\n"


def _read(name: str) -> Any:
    """A module beside this file, under the name that pytest gives it; a package `tests` of others may be installed."""
    spec = importlib.util.spec_from_file_location(f"tests.contracts.{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))
    sys.modules |= {name: ModuleType(name) for name in ("tests", "tests.contracts")}
    cards = _read("cards")
    for part in ("cards_orders", "cards_changes", "cards_trouble"):
        _read(part)
    PAGE.write_text(page(cards.CARDS, cards.GROUPS), "utf-8")
