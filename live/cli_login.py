"""The command `login`: what is typed, and what is shown. The login itself is `live.login`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.errors import ConfigError

PORT = 8765


def login(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    paste: Annotated[
        bool, typer.Option("--paste", help="No browser on this machine: paste the address you end up at.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=1024, max=65_535, help="Of the address that the browser comes back to.")
    ] = PORT,
) -> None:
    """Let this program trade the account: opens Robinhood's page, and keeps the login beside the account's journal."""
    from data.settings import load_settings
    from live.account import load_account
    from live.brokers.robinhood import URL
    from live.login import authorize, grant_path, keep_token, login_command, token_path

    told = load_account(account)
    if told.broker == "robinhood_private":
        from live.brokers.robinhood_private import WARNING

        typer.echo(WARNING, err=True)
        keep_token(
            token_path(told.state, told.name), typer.prompt("bearer token of a browser session", hide_input=True)
        )
        typer.echo("kept; the first run tells whether Robinhood takes it")
        return
    if told.broker != "robinhood":
        raise ConfigError(f"account {told.name!r} trades through {told.broker!r}, which needs no login of this kind")
    url = load_settings().robinhood_mcp_url or URL
    ending = authorize(
        grant_path(told.state, told.name), command=login_command(account), url=url, paste=paste, port=port
    )
    typer.echo(f"logged in; orders go to the agentic account ending in {ending}")
