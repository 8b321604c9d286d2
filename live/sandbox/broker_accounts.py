"""Account files for the sandbox's brokers, each with the login it needs, made as a person makes them."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from data.errors import ConfigError, UnavailableError
from live.sandbox.broker_house import NAMES
from live.sandbox.server import Sandbox

LOOSE: dict[str, Any] = {
    "max_order_usd": 10_000.0,
    "max_order_pct": 10.0,
    "max_order_depth_pct": 100.0,
    "max_position_pct": 20.0,
    "max_messages_minute": 60,
    "max_messages_hour": 1_000,
    "max_messages_day": 5_000,
    "max_messages_symbol_minute": 20,
    "max_entries_symbol_10_minutes": 10,
    "max_entries_symbol_day": 100,
    "order_types": ["limit", "market"],
    "max_quote_age_s": 60.0,
    "min_price_usd": 0.0,
    "min_dollar_volume_usd": 0.0,
    "min_listed_days": 0,
}
"""Limits in which a made-up market, perhaps a fast one, differs from a real one; the others are those proposed."""

FEEDS = {"alpaca": "alpaca", "robinhood": "alpaca:sip", "robinhood_private": "polygon"}
"""A vendor lets a key have one connection to a feed: with another feed each, the accounts run beside each other."""


async def write_accounts(box: Sandbox, folder: Path, strategy: str = "momentum") -> list[Path]:
    """Write `alpaca.toml`, `robinhood.toml` and `robinhood_private.toml`, and log in; the files.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        (folder / "state").mkdir(parents=True, exist_ok=True)
        paths = []
        for name in NAMES:
            paths.append(folder / f"{name}.toml")
            paths[-1].write_text(account_text(box, name, folder / "state", strategy), "utf-8")
        await asyncio.to_thread(_log_in, box, folder / "state")
        box.clock.restart()  # a login takes its time, and the tape should not have begun without its traders
    except OSError as error:
        raise ConfigError(f"account files cannot be written to {folder} ({error.strerror})") from None
    return paths


def account_text(box: Sandbox, broker: str, state: Path, strategy: str) -> str:
    """An account file for one of the brokers; every limit is set.

    Robinhood keeps a stop or a target standing, not both, so there the rule looks at them on closes.
    """
    import json

    from live.core.limits import DEFAULTS

    clock = {60: "1m", 86_400: "1d"}.get(box.market.bar_s, f"{box.market.bar_s}s")
    symbols = ", ".join(json.dumps(symbol) for symbol in box.market.symbols)
    feed = FEEDS[broker] if box.terms.plan == "full" else "alpaca"
    lines = [
        "# An account of the sandbox: no money, and nothing outside of this machine.",
        f"name = {json.dumps(f'sandbox-{broker}')}",
        f"strategy = {json.dumps(strategy)}",
        f"broker = {json.dumps(broker)}",
        *(["unofficial = true"] if broker == "robinhood_private" else []),
        f"symbols = [{symbols}]",
        f"clock = {json.dumps(clock)}",
        f"feed = {json.dumps(feed)}",
        "warm = 30",
        f"state = {json.dumps(str(state.resolve()))}",
        *(["", "[rule]", 'stops = "close"'] if broker != "alpaca" else []),
        "",
        "[limits]",
        *(f"{name} = {json.dumps(LOOSE.get(name, value))}" for name, value in DEFAULTS.items()),
    ]
    return "\n".join(lines) + "\n"


def _log_in(box: Sandbox, state: Path) -> None:
    from live.login import authorize, grant_path, keep_token, token_path

    house = box.house
    if house is None:
        raise ConfigError("this sandbox has no brokers, so there are no accounts to write")
    shown: list[str] = []
    faults = house.venues["robinhood"].faults
    faults.paused = True
    try:
        authorize(
            grant_path(state, "sandbox-robinhood"),
            command="python -m live sandbox --write-accounts DIR",
            url=house.agent.url,
            paste=True,
            show=shown.append,
            ask=lambda _: consent(shown[-1].partition("\n")[2]),
        )
    finally:
        faults.paused = False
    keep_token(token_path(state, "sandbox-robinhood_private"), house.private.token)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        """A browser would go there; the address is all that is wanted."""


def consent(page: str) -> str:
    """What a browser does with the login page of a user who consents: the address it ends up at."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
    try:
        opener.open(page, timeout=10.0).close()
    except urllib.error.HTTPError as redirected:
        with redirected:
            return str(redirected.headers.get("Location", ""))
    raise UnavailableError(f"the sandbox's login page did not lead anywhere: {page}")
