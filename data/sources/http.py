"""Asking a vendor until it answers: what stands between its SDK and the network.

The SDKs' own retries give up too early or wait without end, some of their calls have no time limit, and a broken
page ends their iterators in silence. So each SDK is given a transport that hands every request to a `Caller`: it
keeps the rate budget, sets the time limit, retries reads with growing pauses, obeys Retry-After, checks that a page
is whole, keeps it on disk, and turns a refusal into one clear error.
"""

from __future__ import annotations

import email.utils
import http
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from data.errors import AuthError, OnetapeError, UnavailableError, UsageError
from data.settings import Secret
from data.sources.budget import Budget
from data.sources.http_pages import Pages

RETRIED = frozenset({408, 413, 425, 429, 499, 500, 502, 503, 504})
LONGEST_WAIT_S = 120.0
SHOWN = 160


class Reply(NamedTuple):
    """What came back. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Patience(NamedTuple):
    """How long a request is kept up. The defaults outlast a minute's budget that others have spent.

    attempts: in all. first_s: the first pause, doubled each time up to longest_s. timeout_s: of one attempt, for
    connecting and between two pieces of the answer.
    """

    attempts: int = 10
    first_s: float = 0.5
    longest_s: float = 30.0
    timeout_s: float = 30.0


class Transient(Exception):  # noqa: N818  # not an error yet: it becomes one when patience ends
    """An attempt that failed in a way that may pass. after_s: what the vendor asked us to wait, or None."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Caller:
    """Sends the requests of one pull.

    Args:
        vendor: its name, for messages. budget: shared by all pulls with the same key.
        pages: where answers are kept until the pull is complete; None keeps none.
        secrets: taken out of everything the vendor says before it is shown.
        keys: what to tell a user whose key is refused.
    """

    def __init__(
        self,
        vendor: str,
        budget: Budget,
        patience: Patience,
        secrets: Iterable[Secret],
        pages: Pages | None = None,
        keys: str = "",
    ) -> None:
        self.patience = patience
        self.pages = pages
        self.retries = 0
        self._vendor = vendor
        self._budget = budget
        self._secrets = tuple(secrets)
        self._keys = keys

    def fetch(self, request: str, send: Callable[[], Reply]) -> Reply:
        """The whole, checked answer to one request.

        Args:
            request: path and query; what the page is kept under. It holds no key.
            send: one attempt; raises `Transient` where the network failed.

        Raises:
            AuthError: the key or the plan is refused. UsageError: the request is. UnavailableError: no answer after
            all attempts; pages that were received are kept.
        """
        import stamina
        from stamina.instrumentation import set_on_retry_hooks

        # It would write each pause to standard output, where frames and tables go, as soon as structlog is installed.
        set_on_retry_hooks(())
        if self.pages is not None and (kept := self.pages.read(request)) is not None:
            return Reply(200, {}, kept)
        path = request.partition("?")[0]
        reply = Reply(0, {}, b"")
        try:
            for attempt in stamina.retry_context(
                on=_pause,
                attempts=self.patience.attempts,
                timeout=None,
                wait_initial=self.patience.first_s,
                wait_max=self.patience.longest_s,
                wait_jitter=self.patience.first_s / 2,
            ):
                with attempt:
                    self.retries += attempt.num > 1
                    self._budget.wait()
                    reply = _checked(send())
        except Transient as last:
            raise UnavailableError(
                f"{self._vendor} did not answer {path} in {self.patience.attempts} attempts (last: {last}); "
                "what was received is kept, so run the same pull again"
            ) from None
        if reply.status != 200:
            raise self._refusal(reply, path)
        if self.pages is not None:
            self.pages.write(request, reply.body)
        return reply

    def _refusal(self, reply: Reply, path: str) -> OnetapeError:
        said = self._said(reply.body)
        if reply.status == 401:
            return AuthError(f"{self._vendor} refuses the key ({said}); {self._keys}")
        if reply.status in (402, 403):
            return AuthError(f"{self._vendor} does not allow {path} with this key or plan ({said}); {self._keys}")
        if 300 <= reply.status < 400:
            return UnavailableError(
                f"{self._vendor} redirects {path} (HTTP {reply.status}), which is not followed with a key in hand; "
                "check the address in the settings"
            )
        return UsageError(f"{self._vendor} refuses {path}: {said} (HTTP {reply.status}); check symbols and dates")

    def _said(self, body: bytes) -> str:
        """The vendor's reason, short and without our keys."""
        try:
            told = msgspec.json.decode(body)
            said = next(str(told[key]) for key in ("message", "error", "detail", "status") if told.get(key))
        except (msgspec.DecodeError, AttributeError, StopIteration):
            said = body[:SHOWN].decode("utf-8", "replace").strip() or "no reason given"
        for secret in self._secrets:
            said = said.replace(secret.get_secret_value(), str(secret))
        return " ".join(said.split())[:SHOWN].rstrip(".")


def _pause(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds where the vendor said so."""
    if not isinstance(error, Transient):
        return False
    return True if error.after_s is None else error.after_s


def _checked(reply: Reply) -> Reply:
    """The reply, unless it asks for patience or is not whole."""
    if reply.status in RETRIED:
        phrase = http.HTTPStatus(reply.status).phrase if reply.status in http.HTTPStatus._value2member_map_ else ""
        raise Transient(f"HTTP {reply.status} {phrase}".rstrip(), retry_after(reply.headers))
    if reply.status >= 500:
        raise Transient(f"HTTP {reply.status}")
    if reply.status == 200:
        try:
            msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            raise Transient("an answer that is not whole JSON") from None
    return reply


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date; None without one. At most two minutes."""
    told = headers.get("retry-after", "").strip()
    if not told:
        return None
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)
