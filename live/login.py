"""`python -m live login ACCOUNT.toml`: a person lets this program trade, once; it renews the login itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sys
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import typer

from data.errors import AuthError, ConfigError, UnavailableError
from live.brokers.robinhood import URL, agentic_account
from live.brokers.robinhood_grant import Grant, ask_tokens, save_grant, write_private
from live.brokers.robinhood_session import Session
from live.brokers.wire import HttpWire, WireError
from live.cli_login import PORT

SCOPE = "internal"
WAIT_S = 300.0
"""A first login may ask for a face or a code on another device."""


def grant_path(state: Path, name: str) -> Path:
    """Where the login of an account lies."""
    return state / f"{name}.grant"


def token_path(state: Path, name: str) -> Path:
    """Where the token of an account on the private route lies."""
    return state / f"{name}.token"


def keep_token(path: Path, token: str) -> None:
    """Write a token that a person brought; this program never sends a password.

    Raises:
        AuthError: it is none.
    """
    import msgspec

    bare = token.strip().removeprefix("Bearer ").strip()
    if not bare or any(letter.isspace() for letter in bare):
        raise AuthError("that is no token; copy what follows `Authorization: Bearer` in a logged-in browser")
    write_private(path, msgspec.json.encode({"access": bare}))


def login_command(account: Path) -> str:
    """What a person runs to log in."""
    return f"python -m live login {account}"


def authorize(
    path: Path,
    *,
    command: str,
    url: str = URL,
    paste: bool = False,
    port: int = PORT,
    show: Callable[[str], None] = typer.echo,
    ask: Callable[[str], str] = input,
    wait_s: float = WAIT_S,
) -> str:
    """Log in, pin the account and the tools, and write the grant; the account's last four digits.

    Args:
        path: the grant's file. url: of the tools. show: gives the user the address. ask: takes the pasted one.

    Raises:
        AuthError: the user did not consent. UnavailableError: no answer. ConfigError: no account to trade.
    """
    server = discover(url)
    redirect = f"http://127.0.0.1:{port}/callback"
    client_id = _register(server["registration_endpoint"], redirect)
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    page = server["authorization_endpoint"] + "?" + urllib.parse.urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect,
            "scope": SCOPE,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": url,
        }
    )  # fmt: skip
    if paste:
        show(f"open this in a browser, consent, and paste the address it ends up at:\n{page}")
        back = ask("address: ").strip()
    else:
        back = _listen(port, wait_s, lambda: show(f"open this in a browser on this machine and consent:\n{page}"))
    told = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))
    if not hmac.compare_digest(told.get("state", ""), state):
        raise AuthError("the answer is not to this login; start it again")
    if "code" not in told:
        raise AuthError(f"Robinhood did not consent ({told.get('error', 'no code')}); start the login again")
    form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": redirect}
    form |= {"client_id": client_id, "code_verifier": verifier}
    tokens = ask_tokens(server["token_endpoint"], form, command)
    if not tokens.get("refresh_token"):
        raise AuthError("Robinhood gave a login that cannot be renewed; start it again")
    endpoint = server["token_endpoint"]
    save_grant(path, tokens, client_id=client_id, endpoint=endpoint, issuer=server["issuer"], resource=url)
    return _pin(Grant(path, command))


def discover(url: str) -> dict[str, str]:
    """What the tools' server says about logging in.

    Raises:
        UnavailableError: nothing that can be used.
    """
    parts = urllib.parse.urlsplit(url)
    resource = _get(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}")
    if str(resource.get("resource", "")).rstrip("/") != url.rstrip("/"):
        raise UnavailableError(f"{url} says that it is {resource.get('resource')!r}; nobody is logged in there")
    issuer = urllib.parse.urlsplit(str((resource.get("authorization_servers") or [url])[0]))
    server = _get(f"{issuer.scheme}://{issuer.netloc}/.well-known/oauth-authorization-server{issuer.path}")
    needed = ("issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint")
    if missing := [name for name in needed if not isinstance(server.get(name), str)]:
        raise UnavailableError(f"Robinhood's login does not say its {missing[0]}; it may have changed")
    if "S256" not in server.get("code_challenge_methods_supported", ()):
        raise UnavailableError("Robinhood's login no longer takes PKCE with S256; nobody is logged in")
    return {name: server[name] for name in needed}


def _pin(grant: Grant) -> str:
    session = Session(grant)
    session.open()
    try:
        number = agentic_account(session)
        grant.pin(number, session.schema_hash())
    finally:
        session.close()
    return number[-4:]


def _register(endpoint: str, redirect: str) -> str:
    import msgspec

    asked = {
        "client_name": "Onetape",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": SCOPE,
    }
    told = _ask("POST", endpoint, msgspec.json.encode(asked))
    if not isinstance(told.get("client_id"), str):
        raise UnavailableError("Robinhood gave no client id; try again")
    return str(told["client_id"])


def _get(url: str) -> dict[str, Any]:
    return _ask("GET", url, None)


def _ask(method: str, url: str, body: bytes | None) -> dict[str, Any]:
    parts = urllib.parse.urlsplit(url)
    wire = HttpWire(f"{parts.scheme}://{parts.netloc}", 30.0)
    headers = {"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})}
    try:
        answer = wire.send(method, parts.path, headers, body)
        told = answer.json()
    except WireError as error:
        raise UnavailableError(f"{parts.hostname} did not answer ({error}); try again") from None
    finally:
        wire.close()
    if answer.status not in (200, 201) or not isinstance(told, dict):
        raise UnavailableError(f"{parts.hostname} answered HTTP {answer.status} to {parts.path}; try again")
    return told


def _listen(port: int, wait_s: float, ready: Callable[[], None]) -> str:
    """The address that the browser comes back to, from a listener that hears one and ends."""
    heard: list[str] = []

    class Once(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path.startswith("/callback?")
            if good:
                heard.append(self.path)
            self.send_response(200 if good else 404)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"Done. You can close this page." if good else b"")

        def log_message(self, *_args: object) -> None:
            """The address holds a code: it is not logged."""

    try:
        server = HTTPServer(("127.0.0.1", port), Once)
    except OSError:
        raise ConfigError(f"port {port} is in use; give another one with --port") from None
    with server:
        ready()
        sys.stdout.flush()
        end = time.monotonic() + wait_s
        while not heard:
            server.timeout = end - time.monotonic()
            if server.timeout <= 0.0:
                raise AuthError(f"nobody consented within {wait_s:.0f} s; start the login again")
            server.handle_request()
    return heard[0]
