"""Secrets out of text: those this machine knows, in every form they travel in, and whatever looks like one.

Redactor.of_settings()  knows every secret of `data.settings` and of the environment
redactor.text(s)        s with each of them as `********`
redactor.value(v)       the same through lists, dictionaries and objects, as plain values
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import fields
from typing import Any
from urllib.parse import quote, quote_plus

from data.settings import MASK, Secret, Settings, load_settings

SHORTEST = 4
"""Values of fewer characters are not looked for: they would be found everywhere."""
PART = 12
"""From this length on a part of an address (a token in its path, say) is a secret of its own."""
SECRET_KEY = re.compile(
    r"(^|[_.-])(pass(word|wd|phrase)?|secret|token|api[_-]?key|key_id|private_key|mfa|otp|authorization|cookie)s?($|[_.-])",
    re.IGNORECASE,
)
_ASSIGNED = (
    r"(?i:(?:^|[?&;,{\s\"'])[a-z_-]*(?:api[_-]?key|token|secret|password|passwd|signature)[\"']?\s*[=:]\s*[\"']?)"
    r"(?P<secret>[^\s&\"',;}]{4,})"
)
PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        _ASSIGNED,
        r"(?i:\b(?:bearer|basic)\s+)(?P<secret>[A-Za-z0-9+/=_.~-]{8,})",
        r"://[^/\s:@]*:(?P<secret>[^/\s]+)@",  # user:password@host
        r"(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)",  # JSON web token
        r"(?P<secret>\bsk-[A-Za-z0-9_-]{16,})",  # OpenAI
        r"(?P<secret>\b[PA]K[A-Z0-9]{16,24}\b)",  # Alpaca key id
        r"(?P<secret>\b\d{8,10}:[A-Za-z0-9_-]{35}\b)",  # Telegram bot
    )
)


class Redactor:
    """Puts a mask in the place of secrets.

    Args:
        secrets: their values.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    @classmethod
    def of_settings(cls, settings: Settings | None = None, environ: Mapping[str, str] | None = None) -> Redactor:
        """One that knows every secret of the settings, and every value of the environment whose name says secret."""
        settings = load_settings() if settings is None else settings
        values = [getattr(settings, spec.name) for spec in fields(settings)]
        known = [value.get_secret_value() for value in values if isinstance(value, Secret)]
        known += [value for name, value in (environ or os.environ).items() if SECRET_KEY.search(name)]
        return cls(known)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern in PATTERNS:
            text = pattern.sub(_masked, text)
        return text

    def value(self, value: Any, key: str = "") -> Any:
        """`value` as plain values without secrets; key: the name it goes by."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if key and SECRET_KEY.search(key) and value:
            return MASK
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(each, str(name)) for name, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        if isinstance(value, bytes | bytearray):
            value = bytes(value).decode("utf-8", "replace")
        return self.text(value if isinstance(value, str) else str(value))

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        """As a processor of structlog."""
        return {self.text(str(name)): self.value(each, str(name)) for name, each in event.items()}

    def __repr__(self) -> str:
        return "Redactor()"


def _masked(match: re.Match[str]) -> str:
    start, end = match.span("secret")
    whole, at = match.group(), match.start()
    return whole[: start - at] + MASK + whole[end - at :]


def _forms(secret: str) -> Iterable[str]:
    """A secret as it may be written: itself, escaped, encoded, and the parts of an address that are one each."""
    parts = [secret]
    if "://" in secret:
        pieces = re.split(r"[:/@?&=,\s]+", secret)
        parts += [piece for piece in pieces if len(piece) >= PART]
        parts += re.findall(r"://[^/\s:@]*:([^/\s]+)@", secret)
    for part in parts:
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield quote(part, safe="")
        yield quote_plus(part)
        yield repr(part)[1:-1]
        if len(part) >= 2 * SHORTEST:
            raw = part.encode()
            yield base64.b64encode(raw).decode().rstrip("=")
            yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
