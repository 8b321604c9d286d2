"""The REST client of massive, or of its predecessor polygon-api-client, on a transport of ours.

polygon-api-client never applies its time limits, both give up on 429 after 0.7 s, and both end an iterator in
silence when a page is not JSON or holds no `results`. The client's pool is replaced by one that asks through a
`Caller`; the SDK itself is not changed.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3.util import Timeout

from data.errors import UnavailableError, UsageError
from data.sources.http import Caller, Reply, Transient

PACKAGES = ("massive", "polygon")
"""The maintained package first; both have the same classes."""
HOSTS = {"massive": "https://api.massive.com", "polygon": "https://api.polygon.io"}


class Pool:
    """Stands where the SDK's urllib3 pool stood: `request` with the same arguments."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._pool = urllib3.PoolManager(retries=False)

    def request(
        self, method: str, url: str, fields: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.HTTPResponse:
        limit = self._caller.patience.timeout_s

        def attempt() -> Reply:
            try:
                answer = self._pool.request(
                    method, url, fields=fields, headers=headers, redirect=False, timeout=Timeout(limit, read=limit)
                )
            except urllib3.exceptions.HTTPError as error:
                raise Transient(_reason(error)) from None
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

        reply = self._caller.fetch(_request_line(url, fields), attempt)
        return urllib3.HTTPResponse(body=_with_results(reply.body), status=reply.status)


def rest_client(key: str, base_url: str | None, caller: Caller, package: str | None = None) -> Any:
    """A `RESTClient` of the package asked for, else of the first one installed."""
    module = load_package(package)
    client = module.RESTClient(api_key=key, base=base_url or HOSTS[module.__name__], retries=0)
    client.client = Pool(caller)
    return client


def load_package(package: str | None = None) -> Any:
    """massive, or polygon; on import both write their log to stdout, which belongs to the command's output.

    Raises:
        UsageError: another name. UnavailableError: neither is installed.
    """
    if package is not None and package not in PACKAGES:
        raise UsageError(f"there is no package {package!r} for Polygon; there is {', '.join(PACKAGES)}")
    for name in PACKAGES if package is None else (package,):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        for logger in (logging.getLogger("RESTClient"), logging.getLogger("WebSocketClient")):
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
        return module
    raise UnavailableError(
        f"Polygon needs the package {package or PACKAGES[0]}, which is not installed; run: make setup"
    )


def _request_line(url: str, fields: dict[str, Any] | None) -> str:
    """Path and query; which host answered does not matter for a page, and `next_url` may name another."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(sorted((fields or {}).items()))]))
    return f"{parts.path}?{query}"


def _with_results(body: bytes) -> bytes:
    """An answer with a next page and no results gets empty ones: the SDK would take it for the last page."""
    if b'"results"' in body:
        return body
    told = msgspec.json.decode(body)
    return msgspec.json.encode(told | {"results": []}) if "next_url" in told else body


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a kind of timeout by its ancestors only
        return "the connection failed"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection was cut half-way"
    return "the connection failed"
