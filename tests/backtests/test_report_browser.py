"""The report in a real browser: charts are drawn, a trade leads to its place, tables sort, both themes show."""

import json
import shutil
import struct
import zlib
from collections import Counter

import numpy as np
import pytest

from backtests.engine import run_backtest
from backtests.report import write_report
from backtests.report_compare import write_comparison
from data.sources import sample
from data.sources.random_walk import random_bars
from strategies.types import Signals

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; run: make tools")

EVIL = "</script><img src=x onerror=document.title='run'>"


def by_the_clock(bars):
    """In and out every forty rows, long and short, with a trail."""
    row = np.arange(len(bars))[:, None] + 7 * np.arange(bars.shape[1])[None, :]
    return Signals(
        entries=row % 40 == 1,
        exits=row % 40 == 15,
        short_entries=row % 40 == 20,
        short_exits=row % 40 == 33,
        stop=bars.close * 0.01,
        target=bars.close * 0.03,
        trail=bars.close * 0.008,
    )


def never(bars):
    """No signal at all."""
    return Signals(entries=np.zeros(bars.shape, dtype=bool), exits=np.zeros(bars.shape, dtype=bool))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


def judged(result, made, note="Higher lows."):
    """Everything a report can show besides the run."""
    notes = [{"symbol": EVIL, "ts": int(result.bars.ts[0]), "answer": {"pattern": "flag", "reasons": [note, EVIL]}}]
    return {"evidence": made.sibling("evidence_made").evidence_for(result), "notes": notes, "with_source": True}


def worse(told):
    """A session that paid a cent more a share, missed an order and was kept from another."""
    filled = [order for order in told["orders"] if order["filled"]]
    for order in filled:
        order["price"] += 0.01 if order["quantity"] > 0 else -0.01
    filled[3].update(filled=0, price=None, fee=0.0, state=EVIL)
    return told


@pytest.fixture(scope="module")
def files(tmp_path_factory, made):
    """Reports of several kinds of run, by name."""
    from strategies.common.rule import Rule

    folder = tmp_path_factory.mktemp("reports")
    minutes, _ = random_bars(100_000, 2, 7, "1m")
    hostile, _ = random_bars(400, (EVIL, "<b>B"), 7, "1d", gaps=True)
    single, _ = random_bars(1, 1, 7, "1d")
    both = Rule(shorts=True)
    runs = {
        "daily": run_backtest(sample.load(("AAPL", "IBM", "MSFT")), "ma_cross"),
        "minutes": run_backtest(minutes, by_the_clock, rule=both),
        "hostile": run_backtest(hostile, by_the_clock, rule=both),
        "idle": run_backtest(hostile, never),
        "single": run_backtest(single, by_the_clock, clock="1d"),
    }
    written = {name: write_report(run, folder / f"{name}.html") for name, run in runs.items()}
    told_of = made.sibling("test_session").told_of
    short, _ = random_bars(3_000, 2, 7, "1m")
    traded = run_backtest(short, by_the_clock, rule=both)
    session = worse(json.loads(json.dumps(told_of(traded))))
    written["judged"] = write_report(runs["daily"], folder / "judged.html", **judged(runs["daily"], made))
    written["evil"] = write_report(runs["hostile"], folder / "evil.html", **judged(runs["hostile"], made, EVIL))
    written["session"] = write_report(traded, folder / "session.html", session=session)
    written["compared"] = write_comparison(runs["daily"], runs["hostile"], folder / "compared.html")
    return written


@pytest.fixture
def open_report(browser, files):
    """`open_report("daily", theme="dark")`: the page, watched for errors and for requests that are not the file."""
    pages, faults = [], []

    def show(name, theme="light", width=1280):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
        pages.append(page)
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url))
        page.goto(files[name].as_uri())
        return page

    yield show
    for page in pages:
        page.close()
    assert faults == []


def pixels(png):
    """The colours of a screenshot, as 8-bit RGB or RGBA rows without their filters undone: enough to tell blank."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    data, at = b"", 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += size + 12
    return Counter(zlib.decompress(data))


def brightness(page, selector="body"):
    """The mean of the background's three colours, 0 to 255."""
    colour = page.eval_on_selector(selector, "node => getComputedStyle(node).backgroundColor")
    return np.mean([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]])


def line_of(page, selector):
    return page.eval_on_selector(selector, "node => node.getAttribute('d')")


@pytest.mark.parametrize("name", ["daily", "minutes", "hostile", "idle", "single", "judged", "evil", "session"])
def test_a_page_opens_without_an_error_and_draws(open_report, name):
    page = open_report(name)
    assert len(line_of(page, "#equity-chart .line")) > 5 or name == "single"
    assert page.locator("#equity-chart svg text").count() > 3
    assert page.locator("#price-chart svg").count() == 1
    assert page.title() != "run"
    assert page.evaluate("document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("name", ["daily", "minutes"])
def test_a_trace_draws_at_most_two_thousand_points(open_report, name):
    page = open_report(name)
    for path in ("#equity-chart .line", "#equity-chart .held", "#equity-chart .under-line", "#price-chart .price"):
        drawn = line_of(page, path)
        assert 100 < drawn.count("L") + drawn.count("M") <= 2_000


def test_choosing_a_trade_moves_the_price_chart_to_it(open_report):
    page = open_report("daily")
    before = page.locator("#price-chart svg").inner_html()
    row = page.locator("#trade-table tbody tr", has_text="MSFT").first
    row.click()
    assert row.get_attribute("aria-selected") == "true"
    assert page.locator("#price-chart .readout b").first.inner_text() == "MSFT"
    assert page.locator("#price-chart .ring").count() == 2
    assert page.locator("#price-chart .chosen").count() == 1
    assert page.locator("#price-chart svg").inner_html() != before


def test_a_mark_on_the_chart_finds_its_trade(open_report):
    page = open_report("minutes")
    page.locator("#trade-table tbody tr").nth(2).click()
    page.locator("#trade-pager button", has_text="Next").click()
    assert page.locator("#trade-table tr[aria-selected=true]").count() == 0
    page.locator("#price-chart").scroll_into_view_if_needed()
    ring = page.locator("#price-chart .ring").first.bounding_box()
    page.mouse.click(ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2)
    assert page.locator("#trade-table tr[aria-selected=true] td").first.inner_text() == "3"


def test_a_column_sorts_both_ways_and_says_so(open_report):
    page = open_report("daily")

    def column(number):
        texts = page.locator(f"#trade-table tbody td:nth-child({number})").all_inner_texts()
        return [float(text.replace(",", "").replace("\u2212", "-")) for text in texts]

    header = page.locator("#trade-table th[data-field=pnl]")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert column(9) == sorted(column(9), reverse=True)
    best = column(9)[0]
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(9) == sorted(column(9))
    assert column(9)[0] < 0 < best


def test_filters_leave_only_what_was_asked_for(open_report):
    page = open_report("minutes")
    page.select_option("#only-symbol", label="S1")
    page.select_option("#only-side", label="short")
    page.select_option("#only-reason", label="trail")
    cells = page.locator("#trade-table tbody tr").evaluate_all(
        "rows => rows.map(r => [r.cells[1].textContent, r.cells[2].textContent, r.cells[13].textContent].join(' '))"
    )
    assert cells
    assert set(cells) == {"S1 short trail"}
    said = page.locator("#trade-filters output").inner_text()
    shown, every = (int(text.replace(",", "")) for text in said.split(" trades")[0].split(" of "))
    assert 0 < shown < every


def test_equity_and_drawdown_zoom_together(open_report):
    page = open_report("daily")
    lines = ("#equity-chart .line", "#equity-chart .under-line")
    before = [line_of(page, path) for path in lines]
    box = page.locator("#equity-chart svg").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 120, steps=4)
    page.mouse.up()
    zoomed = [line_of(page, path) for path in lines]
    assert all(a != b for a, b in zip(before, zoomed, strict=True))
    page.locator("#equity-tools button", has_text="All").click()
    assert [line_of(page, path) for path in lines] == before


def test_the_keyboard_alone_is_enough(open_report):
    page = open_report("daily")
    page.locator("#equity-chart svg").focus()
    before = line_of(page, "#equity-chart .line")
    page.keyboard.press("+")
    zoomed = line_of(page, "#equity-chart .line")
    page.keyboard.press("ArrowRight")
    moved = line_of(page, "#equity-chart .line")
    page.keyboard.press("0")
    assert len({before, zoomed, moved}) == 3
    assert line_of(page, "#equity-chart .line") == before
    page.locator("#trade-table tbody button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#price-chart .ring").count() == 2


def test_light_and_dark_follow_the_system_and_the_button(open_report):
    light, dark = open_report("daily", theme="light"), open_report("daily", theme="dark")
    assert brightness(light) > 200
    assert brightness(dark) < 60
    light.locator("#theme").click()
    assert brightness(light) < 60
    assert light.locator("#theme").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 900, 420])
def test_a_screenshot_is_not_blank_and_nothing_overflows(open_report, theme, width):
    page = open_report("daily", theme=theme, width=width)
    seen = pixels(page.locator("#equity-chart").screenshot())
    assert len(seen) > 60
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_shows_the_trades_in_light_colours(open_report):
    page = open_report("daily", theme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness(page) == 255
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#trade-table tbody tr").count() > 25
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#trade-table tbody tr").count() == 25


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("name", ["minutes", "judged", "evil", "session", "idle", "compared"])
def test_axe_finds_no_fault(browser, files, name, theme, width):
    from pathlib import Path

    import axe_core_python

    axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    size = {"width": width, "height": 900}
    # The page's own policy would refuse the examiner's script.
    with browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce", bypass_csp=True) as context:
        page = context.new_page()
        page.goto(files[name].as_uri())
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    told = [(each["impact"], each["id"], each["nodes"][0]["target"]) for each in found]
    assert told == []


@pytest.mark.parametrize("name", ["judged", "evil"])
def test_every_figure_is_drawn(open_report, name):
    page = open_report(name)
    hosts = page.locator("[data-figure]")
    assert hosts.count() >= 9
    for i in range(hosts.count()):
        marks = hosts.nth(i).locator("svg path, svg rect, svg line").count()
        assert marks > 3, hosts.nth(i).get_attribute("data-figure")
        assert hosts.nth(i).locator("svg[role=img]").get_attribute("aria-label")
    drawn = page.eval_on_selector_all("main svg", "nodes => nodes.map(node => node.outerHTML).join()")
    assert "NaN" not in drawn
    assert "undefined" not in drawn


def test_a_figure_tells_what_the_pointer_is_on(open_report):
    page = open_report("judged")
    host = page.locator("[data-figure=robust-surface]")
    host.scroll_into_view_if_needed()
    before = host.locator(".readout").inner_text()
    assert "plateau" in before
    cell = host.locator("rect.cell").nth(0).bounding_box()
    page.mouse.move(cell["x"] + 5, cell["y"] + 5)
    assert host.locator(".readout").inner_text().startswith("fast=5, slow=40: ")
    page.mouse.move(5, 5)
    assert host.locator(".readout").inner_text() == before


def test_a_point_of_the_excursions_leads_to_its_trade(open_report):
    page = open_report("daily")
    page.locator("#mae-chart").scroll_into_view_if_needed()
    text = ""
    box = page.locator("#mae-chart svg").bounding_box()
    for step in range(1, 60):
        page.mouse.move(box["x"] + box["width"] * (step % 12) / 12, box["y"] + box["height"] * (0.3 + 0.5 * step / 60))
        text = page.locator("#mae-chart .readout").inner_text()
        if text.startswith("Trade "):
            break
    number = text.split(",")[0].removeprefix("Trade ")
    page.mouse.down()
    page.mouse.up()
    assert page.locator("#trade-table tr[aria-selected=true] td").first.inner_text() == number
    assert page.locator("#price-chart .ring").count() == 2


def test_rolling_risk_zooms_with_the_equity(open_report):
    page = open_report("daily")
    before = line_of(page, "#rolling-chart .line")
    page.locator("#equity-chart svg").focus()
    page.keyboard.press("+")
    assert line_of(page, "#rolling-chart .line") != before


def test_a_session_is_drawn_beside_its_backtest(open_report):
    page = open_report("session")
    assert "The session is not the backtest" in page.locator("#live").inner_text()
    assert "Backtest" in page.locator("#equity-chart .readout").inner_text()
    assert page.locator("#equity-chart .tone-ink").count() == 1
    assert EVIL in page.locator("#live").inner_text()


def test_a_comparison_draws_both(open_report):
    page = open_report("compared")
    assert page.locator("#growth-chart .stroke").count() == 4
    page.locator("#growth-chart svg").focus()
    before = line_of(page, "#growth-chart .tone-own")
    page.keyboard.press("+")
    assert line_of(page, "#growth-chart .tone-own") != before
    page.locator("#theme").click()
    assert brightness(page) < 60
