"""Whatever a server sends, reading it gives an outcome; nothing raises and nothing unreadable is stored."""

import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.patterns.reply import REASONS, Usage, read_reply

keys = st.sampled_from(
    ["choices", "message", "content", "refusal", "finish_reason", "usage", "prompt_tokens", "completion_tokens",
     "prompt_tokens_details", "cached_tokens", "object", "output", "type", "text", "status", "incomplete_details",
     "model"]
)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(
    ["stop", "length", "response", "message", "output_text", "completed", "incomplete", "\ud800"]
)  # fmt: skip
things = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6))


@given(
    raw=st.binary(max_size=60) | things.map(lambda thing: json.dumps(thing).encode()),
    api=st.sampled_from(["chat", "responses"]),
)
def test_any_bytes_are_an_outcome(raw, api):
    reply = read_reply(raw, api)
    assert reply.outcome in REASONS
    assert reply.outcome != "answered"
    (reply.content + reply.model).encode("utf-8")


def chat(content, usage=None, **message):
    return json.dumps(
        {
            "model": "gpt-4o-mini",
            "choices": [{"message": {"content": content, **message}, "finish_reason": "stop"}],
            "usage": usage,
        }
    ).encode()


def test_half_a_surrogate_pair_is_malformed_and_can_be_stored(said):
    reply = read_reply(chat(said(reasons=["x\ud800"]).replace("\\ud800", "\ud800")), "chat")
    assert reply.outcome == "malformed"
    with sqlite3.connect(":memory:") as db:
        assert db.execute("SELECT ?", (reply.content,)).fetchone() == (reply.content,)
    db.close()
    assert read_reply(chat(None, refusal="no\ud800"), "chat").outcome == "refused"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {"prompt_tokens": 5},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": True},
        {"prompt_tokens": 5.0, "completion_tokens": 1},
    ],
)
def test_counts_that_cannot_be_are_no_usage(said, usage):
    assert read_reply(chat(said(), usage), "chat").usage is None


def test_counts_are_read(said):
    told = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
    assert read_reply(chat(said(), told), "chat").usage == Usage(9, 2, 4)
    assert read_reply(chat(said(), told | {"prompt_tokens_details": None}), "chat").usage == Usage(9, 0, 4)


def test_a_vendor_s_endless_nesting_is_garbled():
    assert read_reply(b"[" * 200_000, "chat").outcome == "garbled"
    assert read_reply(b'{"choices": ' + b"9" * 5_000 + b"}", "chat").outcome == "garbled"


def test_a_model_s_name_that_steers_a_terminal_is_none(said):
    body = json.loads(chat(said()))
    for name in ("\x1b[2J", "m" * 101, 7, None):
        assert read_reply(json.dumps(body | {"model": name}).encode(), "chat").model == ""
