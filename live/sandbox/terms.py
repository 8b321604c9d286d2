"""On which terms the sandbox's vendors serve: keys, plans, limits and page sizes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The vendors' conditions of one run. A key other than these is refused.

    page_limit: most rows of one page, whatever is asked; 0: the vendor's own limit.
    alpaca_symbols: trades and quotes of one stream; polygon_symbols: of one stream; 0: any number.
    plan: `full`, or `basic`: no trades, quotes or consolidated feed, as free plans have it.
    slow_frames: messages that may wait for a slow client before it is closed. auth_s: to log in, of the wall's time.
    taken_s: of the tape, for which a broken connection still counts against the limit of one (fault `ws.limit`).
    """

    key: str = "sandbox-key"
    secret: str = "sandbox-secret"  # noqa: S105  # of a market that has nothing to protect
    page_limit: int = 0
    alpaca_symbols: int = 30
    polygon_symbols: int = 5
    plan: str = "full"
    slow_frames: int = 20_000
    auth_s: float = 10.0
    taken_s: float = 90.0

    def knows(self, key: str, secret: str | None = None) -> bool:
        """Whether the key (and the secret, where there is one) is this market's."""
        return hmac.compare_digest(key.encode(), self.key.encode()) and (
            secret is None or hmac.compare_digest(secret.encode(), self.secret.encode())
        )

    def page(self, asked: int, most: int) -> int:
        """Rows of a page for which so many were asked."""
        return min(asked, most, self.page_limit or most)
