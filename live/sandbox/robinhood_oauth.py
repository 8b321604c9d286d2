"""Robinhood's authorization on loopback: discovery, one public client for all, PKCE, and tokens that rotate.

As with the vendor, the authorization page and the token endpoint are on another origin than the tools.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
import urllib.parse
from collections.abc import Callable

from live.sandbox.http import Request, Response, Routes, answer

CLIENT_ID = "sandbox-shared-client"
RESOURCE = "/mcp/trading"


class Authorization:
    """Codes and tokens of one user who consents at once, unless `consents` is False.

    lifetime_s: of an access token. `grants` counts refresh tokens handed out, `refreshes` those traded in.
    """

    def __init__(self, agent: Callable[[], str], api: Callable[[], str], lifetime_s: float = 259_200.0) -> None:
        self.lifetime_s = lifetime_s
        self.consents = True
        self.refreshes = 0
        self.redirects: list[str] = []
        self._agent, self._api = agent, api
        self._codes: dict[str, tuple[str, str]] = {}
        self._access: dict[str, float] = {}
        self._refresh: set[str] = set()

    def add_to(self, routes: Routes) -> None:
        """Register every path, those of both origins."""
        routes.add("GET", f"/.well-known/oauth-protected-resource{RESOURCE}", self._resource)
        routes.add("GET", f"/.well-known/oauth-authorization-server{RESOURCE}", self._server)
        routes.add("POST", "/oauth/trading/register", self._register)
        routes.add("GET", "/oauth", self._authorize)
        routes.add("POST", "/oauth2/token/", self._token)

    def knows(self, request: Request) -> bool:
        """Whether the request carries a token that is still good."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._access.get(token, 0.0) > time.monotonic()

    def expire(self) -> None:
        """Every access token is over; refresh tokens are not."""
        self._access.clear()

    def revoke(self) -> None:
        """The user disconnected the program."""
        self._access.clear()
        self._refresh.clear()

    def challenge(self) -> Response:
        """What a request without a good token is told."""
        where = f"{self._agent()}/.well-known/oauth-protected-resource{RESOURCE}"
        return answer({"detail": "unauthorized"}, 401, WWW_Authenticate=f'Bearer resource_metadata="{where}"')

    def _resource(self, _request: Request) -> Response:
        here = self._agent() + RESOURCE
        return answer({"resource": here, "authorization_servers": [here], "scopes_supported": ["internal"]})

    def _server(self, _request: Request) -> Response:
        return answer(
            {
                "issuer": self._agent() + RESOURCE,
                "authorization_endpoint": f"{self._api()}/oauth",
                "token_endpoint": f"{self._api()}/oauth2/token/",
                "registration_endpoint": f"{self._agent()}/oauth/trading/register",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "scopes_supported": ["internal"],
            }
        )

    def _register(self, request: Request) -> Response:
        """200, not 201, and a name and an id that are everybody's."""
        asked = request.json() or {}
        told = {"client_id": CLIENT_ID, "client_name": "Robinhood Trading", "token_endpoint_auth_method": "none"}
        return answer({**told, "redirect_uris": asked.get("redirect_uris", [])})

    def _authorize(self, request: Request) -> Response:
        asked = request.query
        if asked.get("client_id") != CLIENT_ID or asked.get("scope") != "internal":
            return answer({"error": "invalid_request"}, 400)
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            return answer({"error": "invalid_request", "error_description": "PKCE is required"}, 400)
        back = {"state": asked["state"]} if "state" in asked else {}
        if self.consents:
            code = secrets.token_urlsafe(16)
            self._codes[code] = (asked["code_challenge"], asked["redirect_uri"])
            back["code"] = code
        else:
            back["error"] = "access_denied"
        where = f"{asked['redirect_uri']}?{urllib.parse.urlencode(back)}"
        self.redirects.append(where)
        return Response(302, b"", {"Location": where})

    def _token(self, request: Request) -> Response:
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if form.get("client_id") != CLIENT_ID:
            return answer({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "authorization_code":
            challenge, redirect = self._codes.pop(form.get("code", ""), ("", ""))
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if not challenge or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
                return answer({"error": "invalid_grant"}, 400)
            if form.get("redirect_uri") != redirect:
                return answer({"error": "invalid_grant"}, 400)
        elif form.get("grant_type") == "refresh_token" and form.get("refresh_token") in self._refresh:
            self._refresh.discard(form["refresh_token"])  # the old one dies at once
            self.refreshes += 1
        else:
            return answer({"error": "invalid_grant"}, 400)
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._access[access] = time.monotonic() + self.lifetime_s
        self._refresh.add(refresh)
        told = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "scope": "internal"}
        return answer({**told, "expires_in": int(self.lifetime_s)})
