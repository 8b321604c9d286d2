"""What came back, sorted into outcomes. Whatever is not a whole valid answer is "no opinion", with one fixed reason."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from research.patterns.answer import read_answer

REASONS = {
    "answered": "",
    # The model replied and was paid; asked again it would reply the same, so these are kept and replayed.
    "refused": "the model refused to answer",
    "truncated": "the answer was cut off at its length limit",
    "filtered": "the answer was stopped by the vendor's content filter",
    "malformed": "the answer is not of the agreed shape",
    # The call failed; the next ask calls again.
    "garbled": "the response is not that of the API",
    "late": "no answer within the time limit",
    "cut": "the connection broke",
    "unreachable": "the vendor could not be reached",
    "limited": "the vendor's rate limit was reached (429)",
    "no credit": "the account has no credit left (429, insufficient_quota)",
    "failed": "the vendor failed (5xx)",
    "rejected": "the vendor rejected the request (4xx)",
    "key refused": "the vendor refused the key (401 or 403)",
    # No call was made.
    "over budget": "the month's budget does not allow the call",
    "unrecorded": "no reply is recorded for this request",
}
KEPT = frozenset({"answered", "refused", "truncated", "filtered", "malformed"})
MOST_TOKENS = 10**9  # no call has more; a larger count is not believed
UNPAID = frozenset({"unreachable", "limited", "no credit", "failed", "rejected", "key refused"})


class Usage(NamedTuple):
    """Tokens as the response counts them. cached: of `given`. output: reasoning included."""

    given: int
    cached: int
    output: int


class Reply(NamedTuple):
    """outcome: a key of `REASONS`. content: the model's text. model: the one that answered. usage: None: not told."""

    outcome: str
    content: str = ""
    model: str = ""
    usage: Usage | None = None
    latency_ms: int = 0


def read_reply(raw: bytes, api: str) -> Reply:
    """The reply in the body of a successful response (HTTP 200)."""
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        return Reply("garbled")
    if not isinstance(payload, dict):
        return Reply("garbled")
    usage = _usage(payload.get("usage"), api)
    model = payload.get("model")
    outcome, content = (_chat if api == "chat" else _responses)(payload)
    named = isinstance(model, str) and model.isprintable() and len(model) <= 100  # it is shown in a terminal
    return Reply(outcome, content, _text(model) if named else "", usage)


def _chat(payload: dict[str, Any]) -> tuple[str, str]:
    choices = payload.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        return "garbled", ""
    content = _text(message.get("content"))
    if message.get("refusal"):
        return "refused", _text(message["refusal"])
    finish = choice.get("finish_reason")
    if finish == "length":
        return "truncated", content
    if finish == "content_filter":
        return "filtered", content
    return ("answered" if finish == "stop" and read_answer(content) else "malformed"), content


def _responses(payload: dict[str, Any]) -> tuple[str, str]:
    if payload.get("object") != "response":
        return "garbled", ""
    output = payload.get("output")
    parts = [
        part
        for item in (output if isinstance(output, list) else [])
        if isinstance(item, dict) and item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict)
    ]
    refusal = next((_text(part.get("refusal")) for part in parts if part.get("type") == "refusal"), None)
    if refusal is not None:
        return "refused", refusal
    content = "".join(_text(part.get("text")) for part in parts if part.get("type") == "output_text")
    if payload.get("status") == "incomplete":
        details = payload.get("incomplete_details")
        why = details.get("reason") if isinstance(details, dict) else ""
        return ("filtered" if why == "content_filter" else "truncated"), content
    if payload.get("status") != "completed":
        return "garbled", ""
    return ("answered" if read_answer(content) else "malformed"), content


def _text(value: Any) -> str:
    """A text that can be stored: half a surrogate pair, which JSON allows, stands as its escape; "" for no text."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else ""


def _usage(told: Any, api: str) -> Usage | None:
    """The counts of a response's usage; None where they are missing or cannot be."""
    if not isinstance(told, dict):
        return None
    given, output = ("prompt_tokens", "completion_tokens") if api == "chat" else ("input_tokens", "output_tokens")
    details = told.get(f"{given}_details")
    cached = details.get("cached_tokens", 0) if isinstance(details, dict) else 0
    counts = (told.get(given), cached or 0, told.get(output))
    if any(type(count) is not int or not 0 <= count <= MOST_TOKENS for count in counts):
        return None
    return Usage(*counts)  # type: ignore[arg-type]  # just checked
