"""`python -m live arm`: an account is armed by a person, and every start is checked against what was armed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from live.account import Account


def arm(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    confirm: Annotated[str, typer.Option(metavar="SUFFIX", help="The account's suffix, instead of being asked.")] = "",
) -> None:
    """Arm an account for money: certificate, limits, code and account file as they are now."""
    from live.account import load_account
    from live.risk_arming import arm as arm_account

    release = arm_account(load_account(account), confirm, asked)
    typer.echo(
        f"armed: {release.account}, code {release.code[:12]}, account file {release.config[:12]}, "
        f"certificate {release.certificate[:12]}"
    )


def checked(account: Account, *, live: bool, confirm: str) -> Account:
    """The account, where it may trade as it was asked to.

    Raises:
        ConfigError: money without --live, --live on paper, or not as it was armed.
        CertificateError, AuthError: see `live.risk_arming`.
    """
    from data.errors import ConfigError
    from live.risk_arming import require

    if live and account.broker == "paper":
        raise ConfigError(f"account {account.name!r} is of paper, --live is for money; leave it out")
    if account.trading and not live:
        raise ConfigError(f"account {account.name!r} trades money; say so with --live")
    if live:
        require(account, confirm, asked)
    return account


def asked(question: str) -> str:
    """What a person types; '' where nobody sits at a terminal."""
    return input(question) if sys.stdin.isatty() else ""
