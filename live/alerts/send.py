"""Messages to people, by whatever apprise can reach: webhooks, Telegram, mail, and a hundred more."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from data.calendar import SECOND_NS
from data.errors import ConfigError
from data.settings import Settings
from live.alerts.book import Book, Message, Severity
from live.alerts.judge import Notice
from live.logs_redact import Redactor

FIRST_RETRY_S, LAST_RETRY_S = 30.0, 3_600.0
GIVEN_UP_NS = 86_400 * SECOND_NS
"""A message that nobody could be given for a day is dropped."""
_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}
_WORDS = {"fires": "", "stands": "STILL ", "clears": "CLEAR "}
_GRAVITY: tuple[Severity, ...] = ("critical", "warning", "info")


class Targets:
    """Those who are told, each by the hash of its address.

    Args:
        urls: their addresses, as apprise spells them.

    Raises:
        ConfigError: an address is of no kind that apprise knows; its number is said, never its text.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._found: dict[str, Any] = {}
        for number, url in enumerate(urls, 1):
            import apprise

            target = apprise.Apprise(asset=apprise.AppriseAsset(app_id="onetape", async_mode=False))
            if not target.add(url):
                raise ConfigError(
                    f"address {number} of ALERT_URLS is of no kind that is known; expected one such as "
                    f"tgram://TOKEN/CHAT, mailto://USER:PASSWORD@HOST or json://HOST/PATH, several with spaces between"
                )
            self._found[hashlib.sha256(url.encode()).hexdigest()[:12]] = target

    @classmethod
    def of_settings(cls, settings: Settings) -> Targets:
        """Those of `ALERT_URLS`, which spaces or new lines separate."""
        urls = settings.alert_urls
        return cls(re.split(r"[\s]+", urls.get_secret_value().strip()) if urls is not None else ())

    @property
    def names(self) -> list[str]:
        """Their hashes."""
        return list(self._found)

    def kind(self, name: str) -> str:
        """What sort of address it is, such as Telegram."""
        return str(next(iter(self._found[name])).service_name)

    def send(self, name: str, message: Message) -> bool:
        """Give a message to one of them; False where it was not taken."""
        target = self._found[name]
        kind = "success" if message.title.startswith("CLEAR") else _TYPES[message.severity]
        try:
            return bool(target.notify(title=message.title, body=message.body, notify_type=kind))
        except Exception:  # noqa: BLE001  # a plugin's own failure must not end the daemon
            return False

    def __repr__(self) -> str:
        return f"Targets({len(self._found)})"


def message_of(notices: list[Notice], targets: list[str], now_ns: int, redactor: Redactor) -> Message:
    """One message for all that is to be told now, the gravest first."""
    order = ("fires", "stands", "clears")
    ranked = sorted(notices, key=lambda each: (order.index(each.what), _GRAVITY.index(each.severity), each.name))
    first = ranked[0]
    lines = [f"{_WORDS[each.what]}{each.severity} {each.name}: {each.text}" for each in ranked]
    lines = [
        f"{line}\n  {each.do}" if each.do and each.what == "fires" else line
        for line, each in zip(lines, ranked, strict=True)
    ]
    about = f" ({first.account})" if first.account else ""
    more = f" and {len(ranked) - 1} more" if len(ranked) > 1 else ""
    title = f"{_WORDS[first.what]}{first.severity}: {first.name}{about}{more}"
    gravest = next(each for each in _GRAVITY if any(notice.severity == each for notice in ranked))
    return Message(gravest, redactor.text(title), redactor.text("\n".join(lines)), list(targets), now_ns)


def deliver(book: Book, targets: Targets, now_ns: int) -> list[str]:
    """Send what waits; what went wrong, in words. A target that failed is tried again later, and only that one."""
    failed: list[str] = []
    known = targets.names
    for message in book.unsent:
        if message.after > now_ns:
            continue
        message.targets = [name for name in message.targets if name in known and not targets.send(name, message)]
        if message.targets:
            failed += [f"{targets.kind(name)} did not take {message.title!r}" for name in message.targets]
            pause = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0**message.tries)
            message.tries, message.after = message.tries + 1, now_ns + int(pause * SECOND_NS)
    book.unsent = [each for each in book.unsent if each.targets and now_ns - each.at < GIVEN_UP_NS]
    return failed
