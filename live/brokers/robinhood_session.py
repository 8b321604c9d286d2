"""One session with Robinhood's agentic server, through the `mcp` SDK, for callers that block.

The SDK runs on a loop of its own, in a thread, one call at a time. It is given a transport that reads every answer
whole and turns a broken connection into a status: left to itself, the SDK hides statuses, and a connection that breaks
takes the whole session with it. The tools are listed before the first call, page by page: for a tool that it has not
listed the SDK lists again after the call, and would report a failure of that as one of an order that was placed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any

import msgspec

from data.errors import AuthError, OnetapeError, UnavailableError
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_transport import BROKEN, NOT_SENT, bearer, whole
from live.brokers.wire import Busy, Lost, NotSent, Refused, WireError
from live.brokers.wire_calls import Calls
from live.brokers.wire_skew import Skew

if TYPE_CHECKING:
    from mcp import Client

USED = (
    "get_accounts",
    "get_portfolio",
    "get_equity_positions",
    "get_equity_price_book",
    "review_equity_order",
    "place_equity_order",
    "get_equity_orders",
    "cancel_equity_order",
)
"""The only tools that are ever called; the token would allow many more."""
READ_S = 30.0
_API_ERROR = re.compile(r"(?:error: )?API error (\d{3}): (.*)", re.DOTALL)
_THROTTLED = re.compile(r"throttled.*?(\d+) second", re.IGNORECASE | re.DOTALL)
_PAGES = 50


class ToolError(Refused):
    """A tool said no. status: of its own answer, 0 where it gave none."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Session:
    """A connection that is made when it is needed and made anew when it is gone.

    Args:
        grant: whose token is sent, and for which address. read_s: how long an answer may take.

    `lists` counts how often the tools were listed: at each connection, and when asked. `status`, `after_s` and
    `auth_error` are the transport's word on the last request.
    """

    def __init__(self, grant: Grant, read_s: float = READ_S) -> None:
        self.schemas: dict[str, Any] = {}
        self.lists = 0
        self.grant, self._read_s = grant, read_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._work: Any = None
        self._asked = False
        self.status = 0
        self.after_s: float | None = None
        self.auth_error: OnetapeError | None = None
        self._calls = threading.Lock()
        self.skew, self.calls = Skew(), Calls()

    def open(self) -> None:
        """Connect, and list every tool.

        Raises:
            AuthError: a person must log in. UnavailableError: no answer.
        """
        if self.grant.is_due():
            self.grant.refresh(self.grant.access)
        self._start()
        try:
            self._do(("list", {}))
        except WireError as error:
            self.close()
            raise UnavailableError(f"Robinhood's server did not answer ({error}); try again") from None

    def list_again(self) -> None:
        """List every tool once more.

        Raises:
            WireError: no answer; the list is the one of before. AuthError: a person must log in.
        """
        self._do(("list", {}))

    def close(self) -> None:
        """Disconnect; the server refuses to be told so."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, None)
            self._thread.join(10)
            self._loop = self._thread = None

    def schema_hash(self) -> str:
        """SHA-256 over the arguments of the tools that are used; "" for each that is missing."""
        used = {name: self.schemas.get(name, "") for name in USED}
        return hashlib.sha256(msgspec.json.encode(used, order="sorted")).hexdigest()

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What a tool gives.

        Raises:
            ToolError: it says no. Busy, NotSent, Lost: as their names say. AuthError: a person must log in.
        """
        if tool not in USED:
            raise ToolError(0, f"{tool} is none of the tools that this program uses")
        if self.grant.is_due():
            with contextlib.suppress(UnavailableError):  # the old token is good for a while
                self.grant.refresh(self.grant.access)
        data = self._do((tool, dict(arguments)))
        return data if isinstance(data, dict) else {}

    async def price_book(self, symbols: Sequence[str]) -> Mapping[str, Any]:
        """The books of up to four symbols, for `data.sources.robinhood_book.stream`.

        Raises:
            AuthError: a person must log in. UnavailableError: they are not to be had now.
        """
        try:
            return await asyncio.to_thread(self.call, "get_equity_price_book", {"symbols": list(symbols)})
        except WireError as error:
            raise UnavailableError(f"Robinhood's price book: {error}") from None

    # --- the thread -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        logging.getLogger("mcp").addHandler(logging.NullHandler())  # else a broken answer is a traceback on stderr
        self._loop = asyncio.new_event_loop()
        self._queue = asyncio.Queue()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="robinhood", daemon=True)
        self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self._serve())
        loop.close()

    def _do(self, work: tuple[str, dict[str, Any]]) -> Any:
        """Have the thread do something and wait for it."""
        with self._calls:
            self._start()
            loop = self._loop
            if loop is None:
                raise NotSent("the session is closed")
            done = asyncio.run_coroutine_threadsafe(self._ask(work), loop)
            try:
                return done.result(self._read_s + 15.0)
            except FutureTimeout:
                done.cancel()
                raise Lost("no answer in time") from None

    async def _ask(self, work: tuple[str, dict[str, Any]]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._queue.put((work, answer))
        return await answer

    async def _serve(self) -> None:
        """Connect for the first piece of work, and again after the server has forgotten the session."""
        work: Any = await self._queue.get()
        while work is not None:
            self._work, self._asked = work, False
            try:
                work = await self._connected(work)
            except BaseException as error:  # noqa: BLE001  # whatever it was, the caller waits for a word
                if self._work is None:  # it was while saying goodbye
                    return
                _, answer = self._work
                if not answer.done():
                    lost = Lost(f"the session ended ({type(error).__name__})") if self._asked else None
                    answer.set_exception(self.auth_error or lost or _unsent(error, self.status))
                work = await self._queue.get()

    async def _connected(self, work: Any) -> Any:
        """Serve until told to stop (None), or return the work that a new session must do."""
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        self.status, self.auth_error = 0, None
        timeout = httpx2.Timeout(self._read_s, connect=10.0)
        async with (
            httpx2.AsyncClient(auth=bearer(self), transport=whole(self), timeout=timeout) as http,
            Client(
                streamable_http_client(self.grant.resource, http_client=http, terminate_on_close=False),
                mode="legacy",
                read_timeout_seconds=self._read_s + 5.0,
            ) as client,
        ):
            await self._list(client)
            fresh = True
            while work is not None:
                self._work, self._asked = work, False
                (name, arguments), answer = work
                try:
                    if name == "list" and not fresh:
                        await self._list(client)
                    result = None if name == "list" else await self._tool(client, name, arguments)
                    if not answer.done():
                        answer.set_result(result)
                except (WireError, AuthError, UnavailableError) as error:
                    if self.status == 404 and not fresh and name.startswith("get_"):
                        return work  # the session was forgotten: a read may be asked again in a new one
                    if not answer.done():
                        answer.set_exception(error)
                    if self.status == 404:
                        return await self._queue.get()
                work, fresh = await self._queue.get(), False
            self._work = None
        return None

    async def _list(self, client: Client) -> None:
        schemas: dict[str, Any] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            schemas |= {tool.name: tool.input_schema for tool in page.tools}
            cursor = page.next_cursor
            if cursor is None:
                break
        self.schemas = schemas
        self.lists += 1

    async def _tool(self, client: Client, name: str, arguments: dict[str, Any]) -> Any:
        from mcp import MCPError

        self.status, self.after_s, self.auth_error = 0, None, None
        self._asked = True
        try:
            result = await client.call_tool(name, arguments)
        except MCPError as error:
            raise self._failure(str(error)) from None
        text = "".join(getattr(part, "text", "") for part in result.content)
        if result.is_error:
            raise _refusal(text)
        told = result.structured_content if isinstance(result.structured_content, dict) else None
        try:
            told = told if told is not None and "data" in told else msgspec.json.decode(text)
            return told["data"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise Lost("an answer that is not the tool's") from None

    def _failure(self, text: str) -> Exception:
        """What a failed request proves."""
        if self.auth_error is not None:
            return self.auth_error
        if self.status == 429:
            return Busy("HTTP 429, too many requests", self.after_s)
        if self.status == NOT_SENT:
            return NotSent("no connection")
        if self.status == BROKEN:
            return Lost("the connection broke before the answer")
        if self.status >= 400:
            return Lost(f"HTTP {self.status}", self.status)
        return Lost(" ".join(text.split())[:120])


def _unsent(error: BaseException, status: int) -> Exception:
    """A session that did not come about has sent no order."""
    if isinstance(error, OnetapeError):
        return error
    if status == 429:
        return Busy("HTTP 429 while connecting")
    return NotSent(f"no session (HTTP {status})" if status else f"no session ({type(error).__name__})")


def _refusal(text: str) -> WireError:
    match = _API_ERROR.match(text.strip())
    if match is None:
        throttled = _THROTTLED.search(text)
        return Busy("throttled", float(throttled[1])) if throttled else ToolError(0, " ".join(text.split())[:200])
    status, body = int(match[1]), match[2]
    if status == 429:
        seconds = _THROTTLED.search(body)
        return Busy("throttled", float(seconds[1]) if seconds else None)
    if status >= 500:
        return Lost(f"their API failed with {status}", status)
    try:
        told = msgspec.json.decode(body)
        text = str(told.get("detail") or body) if isinstance(told, dict) else body
    except msgspec.DecodeError:
        text = body
    return ToolError(status, " ".join(text.split())[:200])
