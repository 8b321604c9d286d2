"""The two how-to pages say what is so: every command runs, every setting exists."""

import asyncio
import re
import shlex
import threading
import tomllib
from dataclasses import fields

import pytest

from data.door import call
from data.sources.base import WallClock
from live.sandbox.faults import Faults
from live.sandbox.http import HttpServer, Routes
from live.sandbox.openai_rest import OpenAiRest
from research.__main__ import app
from research.patterns.config import PatternSettings, load_pattern_settings
from research.scan_watchlist import read_watchlist

PAGES = ("docs/patterns.md", "docs/scanner.md")


def blocks(checkout, page, language):
    return re.findall(rf"```{language}\n(.*?)```", (checkout / page).read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture
def openai_url():
    """OpenAI on loopback."""
    routes = Routes()
    OpenAiRest().add_to(routes)
    http = HttpServer(routes, Faults(), WallClock())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(http.start("127.0.0.1", 0), loop).result(10)
    yield f"http://127.0.0.1:{port}/v1"
    asyncio.run_coroutine_threadsafe(http.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs(page, checkout, openai_url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_BASE_URL", openai_url)
    monkeypatch.delenv("REDIS_URL", raising=False)
    lines = [line for block in blocks(checkout, page, "sh") for line in block.strip().splitlines()]
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "research"]
        own = [] if words[3] == "scan" else ["--journal", str(tmp_path / "notes.sqlite")]
        assert call(app, [*words[3:], *own]) == 0, (line, capsys.readouterr().err)
        assert capsys.readouterr().out
    if page == "docs/scanner.md":
        (shown,) = blocks(checkout, page, "toml")
        assert tuple(tomllib.loads(shown)["symbols"]) == read_watchlist(tmp_path / "out/watchlist.toml")


def test_every_setting_is_on_the_page_and_is_its_default(checkout, tmp_path):
    (block,) = blocks(checkout, "docs/patterns.md", "toml")
    assert set(tomllib.loads(block)["patterns"]) == {field.name for field in fields(PatternSettings)}
    (tmp_path / "onetape.toml").write_text(block)
    told, default = load_pattern_settings(tmp_path), load_pattern_settings(tmp_path / "nowhere")
    for field in fields(PatternSettings):
        if field.name not in ("price", "cutoff", "journal"):
            assert getattr(told, field.name) == getattr(default, field.name)
    assert told.terms() == default.terms()._replace(as_of="given")
