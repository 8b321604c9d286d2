"""The call itself, through OpenAI's SDK: one attempt, a deadline, and an outcome instead of an exception.

The SDK's own retries are off: an opinion is worth less than its delay, and every attempt may cost money. The key is
handed to the SDK and to nothing else; what the vendor says in an error is not repeated, since it may quote the key.
"""

from __future__ import annotations

from typing import Any

from data.calendar import SECOND_NS
from data.errors import AuthError, UnavailableError
from data.settings import Secret
from data.sources.base import Clock
from research.patterns.reply import Reply, read_reply
from research.patterns.request import Request

DEFAULT_URL = "https://api.openai.com/v1"
TIMEOUT_S = 15.0
MOST_BYTES = 1_000_000
NOT_SENT = ("ConnectError", "ConnectTimeout", "UnsupportedProtocol", "ProxyError")


class Client:
    """OpenAI, or whoever speaks its language at `base_url`.

    Args:
        timeout_s: for the whole call; reading may outlast it by one silence of the same length.
        clock: tells how long a call took.

    Raises:
        AuthError: no key, or one that cannot be a key.
        UnavailableError: the package `openai` is not installed.
    """

    def __init__(
        self, key: Secret | None, clock: Clock, *, base_url: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        if key is None:
            raise AuthError(
                "OPENAI_API_KEY is not set; make a key at https://platform.openai.com/api-keys and put it in .env"
            )
        if not (text := key.get_secret_value()).isascii() or not text.isprintable() or " " in text:
            raise AuthError("OPENAI_API_KEY holds a character that no key has; copy it again, without quotes or spaces")
        try:
            import openai
        except ModuleNotFoundError:
            raise UnavailableError("the package openai is not installed; run: make setup") from None
        self._openai = openai
        self._clock = clock
        self._timeout_s = timeout_s
        self._sdk = openai.OpenAI(api_key=text, base_url=base_url or DEFAULT_URL, timeout=timeout_s, max_retries=0)

    def send(self, request: Request) -> Reply:
        """One attempt; every failure of vendor and network is an outcome of the reply."""
        began = self._clock.now()
        reply = self._attempt(request, began + int(self._timeout_s * SECOND_NS))
        return reply._replace(latency_ms=(self._clock.now() - began) // 1_000_000)

    def close(self) -> None:
        """Close the connections."""
        self._sdk.close()

    def _attempt(self, request: Request, deadline: int) -> Reply:
        openai = self._openai
        sdk: Any = self._sdk
        calls = sdk.chat.completions if request.api == "chat" else sdk.responses
        raw = bytearray()
        try:
            with calls.with_streaming_response.create(**request.body) as response:
                for part in response.iter_bytes():
                    raw += part
                    if self._clock.now() > deadline:
                        return Reply("late")
                    if len(raw) > MOST_BYTES:
                        return Reply("garbled")
        except openai.APITimeoutError:
            return Reply("late")
        except openai.APIConnectionError as error:
            return Reply("unreachable" if type(error.__cause__).__name__ in NOT_SENT else "cut")
        except openai.APIStatusError as error:
            return Reply(_outcome_of(error.status_code, error.code))
        except openai.OpenAIError:
            return Reply("garbled")
        except _transport_errors() as error:  # while the body was read, past the SDK's own net
            return Reply("late" if "Timeout" in type(error).__name__ else "cut")
        return read_reply(bytes(raw), request.api)

    def __repr__(self) -> str:
        return f"Client({self._sdk.base_url})"


def _outcome_of(status: int, code: str | None) -> str:
    if status == 429:
        return "no credit" if code == "insufficient_quota" else "limited"
    if status in (401, 403):
        return "key refused"
    return "failed" if status >= 500 else "rejected"


def _transport_errors() -> tuple[type[Exception], ...]:
    """The errors of the HTTP library under the SDK: httpx2 since openai 3, httpx before."""
    import importlib

    found: list[type[Exception]] = []
    for name in ("httpx2", "httpx"):
        try:
            found.append(importlib.import_module(name).RequestError)
        except ModuleNotFoundError:
            continue
    return tuple(found)
