"""alpaca-py's REST client on a transport of ours.

The SDK sends without any time limit, retries only 429 and 504 with a fixed pause, and shows a redirect as a puzzle.
Its `requests` session is given an adapter that asks through a `Caller`; the SDK itself is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import requests
from requests.adapters import HTTPAdapter

from data.sources.http import Caller, Reply, Transient

ENTRIES = ("bars", "trades", "quotes")


class Adapter(HTTPAdapter):
    """Hands every request of a session to `caller`."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self._caller = caller

    def send(  # type: ignore[override]  # the options are requests' own
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        options |= {"stream": False, "timeout": self._caller.patience.timeout_s}

        def attempt() -> Reply:
            try:
                response = super(Adapter, self).send(request, **options)
                return Reply(
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    response.content,
                )
            except requests.RequestException as error:
                raise Transient(_reason(error)) from None

        reply = self._caller.fetch(request.path_url, attempt)
        return _response(request, reply.status, reply.headers, reply.body)


def historical_client(key: str, secret: str, base_url: str | None, caller: Caller) -> Any:
    """A `StockHistoricalDataClient` that returns what was sent, unparsed: its models cost six times the time."""
    from alpaca.data.historical import StockHistoricalDataClient

    client = StockHistoricalDataClient(key, secret, raw_data=True, url_override=base_url)
    for scheme in ("https://", "http://"):
        client._session.mount(scheme, Adapter(caller))
    return client


def _response(
    request: requests.PreparedRequest, status: int, headers: Mapping[str, str], body: bytes
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    response.headers.pop("content-encoding", None)  # the body is unpacked already
    response.encoding = "utf-8"
    response.url = request.url or ""
    response.request = request
    response._content = _without_null(body)
    return response


def _without_null(body: bytes) -> bytes:
    """`{"bars": null}` as `{"bars": {}}`, which is what the SDK can read."""
    if b"null" not in body[:64] and b"null" not in body[-64:]:
        return body
    told = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if not any(bytes(told.get(name, b"")) == b"null" for name in ENTRIES):
        return body
    return msgspec.json.encode({name: {} if name in ENTRIES else value for name, value in told.items()})


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut half-way"
    return "the connection failed"
