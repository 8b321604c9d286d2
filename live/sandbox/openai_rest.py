"""OpenAI on loopback: chat completions and the Responses API with structured outputs, as its SDK speaks them.

Answers are made from the schema that was sent and the hash of the request, so that the same request has the same
answer; `script` says what the next requests get instead. Faults of the wire (cut, hang, drip) are the server's own.

| script | |
|---|---|
| `ok` | an answer of the schema; any JSON text starting with `{` is sent as the answer |
| `429`, `429-after`, `quota` | rate limited, without and with Retry-After; the account has no credit |
| `500`, `503`, `401`, `400` | the vendor failed; the key or the request is refused |
| `refusal`, `filter`, `length` | the model refuses; is stopped by the filter; runs into its length limit |
| `malformed`, `schema` | text that is not JSON; JSON of another shape |
| `garbage`, `no-usage` | a body that is not JSON; an answer without usage |
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from live.sandbox.http import RETRY_AFTER, Request, Response, Routes, answer

BYTES_A_TOKEN = 4
SNAPSHOT = "2024-07-18"
CREATED = 1_700_000_000
ERRORS = {
    "429": (429, "rate_limit_exceeded", "requests"),
    "429-after": (429, "rate_limit_exceeded", "requests"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "500": (500, None, "server_error"),
    "503": (503, None, "server_error"),
    "401": (401, "invalid_api_key", "invalid_request_error"),
    "400": (400, None, "invalid_request_error"),
}
SAID = {
    "malformed": "Sure! Here is what I see in the chart:",
    "schema": '{"pattern": "moon", "confidence": "very"}',
    "refusal": "I'm sorry, but I can't help with that.",
}


class _Asked(NamedTuple):
    """A request as far as an answer needs it."""

    model: str
    schema: dict[str, Any]
    digest: bytes
    size: int
    most: int


class OpenAiRest:
    """The two endpoints. seen: bodies of the requests that came, oldest first; usage: (input, output) tokens told."""

    def __init__(self, script: Iterable[str] = (), *, cached: int = 0) -> None:
        self.script = deque(script)
        self.seen: list[dict[str, Any]] = []
        self.usage: list[tuple[int, int]] = []
        self._cached = cached

    def add_to(self, routes: Routes) -> None:
        """Answer the paths that the SDK asks for."""
        routes.add("POST", "/v1/chat/completions", self._chat)
        routes.add("POST", "/v1/responses", self._responses)

    def _chat(self, request: Request) -> Response:
        asked = self._asked(request, ("response_format", "json_schema"), "max_completion_tokens")
        if isinstance(asked, Response):
            return asked
        step, content = self._next(asked)
        if step in ERRORS or step == "garbage":
            return _failure(step)
        refused = step == "refusal"
        body: dict[str, Any] = {
            "id": f"chatcmpl-{asked.digest.hex()[:24]}",
            "object": "chat.completion",
            "created": CREATED,
            "model": _answering(asked.model),
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None if refused else content,
                        "refusal": content if refused else None,
                        "annotations": [],
                    },
                    "logprobs": None,
                    "finish_reason": {"length": "length", "filter": "content_filter"}.get(step, "stop"),
                }
            ],
        }
        given, output = self._count(asked, content)
        if step != "no-usage":
            body["usage"] = {
                "prompt_tokens": given,
                "completion_tokens": output,
                "total_tokens": given + output,
                "prompt_tokens_details": {"cached_tokens": min(self._cached, given), "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            }
        return answer(body, x_request_id=f"req_{asked.digest.hex()[:16]}")

    def _responses(self, request: Request) -> Response:
        asked = self._asked(request, ("text", "format"), "max_output_tokens")
        if isinstance(asked, Response):
            return asked
        step, content = self._next(asked)
        if step in ERRORS or step == "garbage":
            return _failure(step)
        part: dict[str, Any] = {"type": "output_text", "text": content, "annotations": []}
        if step == "refusal":
            part = {"type": "refusal", "refusal": content}
        why = {"length": "max_output_tokens", "filter": "content_filter"}.get(step)
        given, output = self._count(asked, content)
        body: dict[str, Any] = {
            "id": f"resp_{asked.digest.hex()[:24]}",
            "object": "response",
            "created_at": CREATED,
            "status": "incomplete" if why else "completed",
            "incomplete_details": {"reason": why} if why else None,
            "error": None,
            "model": _answering(asked.model),
            "output": [
                {"type": "message", "id": "msg_0", "status": "completed", "role": "assistant", "content": [part]}
            ],
            "usage": {
                "input_tokens": given,
                "input_tokens_details": {"cached_tokens": min(self._cached, given), "cache_write_tokens": 0},
                "output_tokens": output,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": given + output,
            },
        }
        if step == "no-usage":
            body["usage"] = None
        return answer(body, x_request_id=f"req_{asked.digest.hex()[:16]}")

    def _asked(self, request: Request, place: tuple[str, str], limit: str) -> _Asked | Response:
        """The request checked as OpenAI checks it: a key, a model, a strict schema."""
        if not request.headers.get("authorization", "").removeprefix("Bearer ").strip():
            return _error(401, "missing_api_key", "invalid_request_error", "You didn't provide an API key.")
        body = request.json()
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return _error(400, None, "invalid_request_error", "you must provide a model parameter")
        self.seen.append(body)
        form = (body.get(place[0]) or {}).get(place[1]) or {}
        schema = form.get("schema")
        if form.get("strict") is not True or not isinstance(schema, dict) or (fault := _not_strict(schema)):
            why = fault if isinstance(schema, dict) and form.get("strict") is True else "a strict schema is needed"
            return _error(400, None, "invalid_request_error", f"Invalid schema for '{place[0]}': {why}")
        digest = hashlib.sha256(request.body).digest()
        return _Asked(body["model"], schema, digest, len(request.body), int(body.get(limit) or 1_000))

    def _next(self, asked: _Asked) -> tuple[str, str]:
        """(what happens, what the model says)."""
        step = self.script.popleft() if self.script else "ok"
        if step.startswith("{"):
            return "ok", step
        whole = json.dumps(_example(asked.schema, asked.digest))
        return step, SAID.get(step, whole[: len(whole) // 2] if step in ("length", "filter") else whole)

    def _count(self, asked: _Asked, content: str) -> tuple[int, int]:
        tokens = asked.size // BYTES_A_TOKEN, min(len(content) // BYTES_A_TOKEN + 1, asked.most)
        self.usage.append(tokens)
        return tokens


def _answering(model: str) -> str:
    """The dated name that answers for a family's."""
    return f"{model}-{SNAPSHOT}" if model == "gpt-4o-mini" else model


def _failure(step: str) -> Response:
    if step == "garbage":
        return Response(200, b"<html>bad gateway</html>", {"Content-Type": "text/html"})
    status, code, kind = ERRORS[step]
    headers = {"Retry_After": RETRY_AFTER} if step == "429-after" else {}
    return _error(status, code, kind, f"the sandbox was told to answer {step}", **headers)


def _error(status: int, code: str | None, kind: str, message: str, **headers: str) -> Response:
    told = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return answer(told, status, **headers)


def _not_strict(schema: Any) -> str:
    """Why OpenAI would not take a schema as strict; "" where it would."""
    if isinstance(schema, list):
        return next(filter(None, map(_not_strict, schema)), "")
    if not isinstance(schema, dict):
        return ""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "additionalProperties must be false"
        if set(schema.get("required", ())) != set(schema.get("properties", ())):
            return "every property must be required"
    return next(filter(None, map(_not_strict, schema.values())), "")


def _example(schema: dict[str, Any], digest: bytes) -> Any:
    """A value of the schema, chosen by the digest: the first of a few, never random."""
    if "enum" in schema:
        return schema["enum"][digest[0] % len(schema["enum"])]
    kind = schema.get("type")
    if isinstance(kind, list):
        return None  # what may be null is
    if kind == "object":
        return {
            name: _example(part, hashlib.sha256(digest + name.encode()).digest())
            for name, part in schema["properties"].items()
        }
    if kind == "array":
        return [_example(schema["items"], digest)]
    if kind == "string":
        return f"Seen in the rows ({digest.hex()[:6]})."
    if kind == "boolean":
        return digest[0] % 2 == 0
    return digest[0] % 101 if kind == "integer" else (digest[0] % 101) / 100.0
