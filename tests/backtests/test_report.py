"""The report is one offline file, the same bytes for the same run, and nothing in a name or a number can break it."""

import hashlib
import json
import re
from base64 import b64encode
from html.parser import HTMLParser

import numpy as np
import pytest

from backtests.engine import run_backtest
from backtests.report import embedded, report_html, write_report
from backtests.report_traces import WHOLE
from data.errors import DataError
from data.sources import sample
from data.sources.random_walk import random_bars
from data.types import Bars
from strategies.common.certify import certify
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.types import Signals

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"
LIMIT = 8_000_000


def now_and_then(bars, *, every: int = 37):
    """A plain signal: in for twelve rows out of `every`."""
    row = np.arange(len(bars))[:, None]
    shape = np.ones(bars.shape, dtype=bool)
    return Signals(entries=(row % every == 3) & shape, exits=(row % every == 15) & shape, stop=bars.close * 0.02)


def never(bars):
    """No signal at all."""
    nothing = np.zeros(bars.shape, dtype=bool)
    return Signals(entries=nothing, exits=nothing)


class Page(HTMLParser):
    """Tags, attributes and texts of a page as a browser's parser sees them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.inside = [], [], {}, None
        self.ids = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self.inside = (tag, dict(attributes).get("id", ""))
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_data(self, data):
        self.texts[self.inside] = self.texts.get(self.inside, "") + data

    @property
    def run(self):
        return json.loads(self.texts["script", "run"])


@pytest.fixture(scope="module")
def daily():
    bars = sample.load(("AAPL", "IBM", "MSFT"), start=20040101, end=20071231)
    return run_backtest(bars, "ma_cross", origin={"source": "sample", "simulated": False})


@pytest.fixture(scope="module")
def html(daily):
    return report_html(daily)


def small(bars, strategy=now_and_then, clock="1d", **options):
    return run_backtest(bars, strategy, clock=clock, **options)


def test_two_writes_are_the_same_bytes(daily, tmp_path):
    again = run_backtest(daily.bars, "ma_cross", origin=dict(daily.origin))
    first = write_report(daily, tmp_path / "a.html").read_bytes()
    second = write_report(again, tmp_path / "b.html").read_bytes()
    assert first == second


def test_the_path_written_is_returned(daily, tmp_path):
    path = tmp_path / "report.html"
    assert write_report(daily, path) == path
    assert path.exists()


def test_a_file_that_cannot_be_written_is_one_sentence(daily, tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_report(daily, tmp_path)
    assert write_report(daily, tmp_path / "new" / "folder" / "report.html").exists()


def test_every_section_has_its_place(html):
    page = Page(html)
    for name in ("verdict", "equity", "trades", "calendar", "numbers", "costs", "setup", "integrity"):
        assert name in page.ids
    targets = {value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"}
    assert targets <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_verdict_says_what_the_result_says(daily, html):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u00a0", " ")
    m = daily.metrics
    assert f"{m['total_return'] * 100:+.2f} %" in text
    assert f"\u2212{-m['max_drawdown'] * 100:.2f} %" in text
    assert f"PSR {m['probabilistic_sharpe_ratio'] * 100:.1f} %" in text
    assert f"win rate {m['win_rate'] * 100:.1f} %" in text
    assert f"${m['total_costs_paid']:,.2f}" in text
    assert "Real prices" in text
    assert "AAPL, IBM, MSFT" in text
    assert "2004-01-02 to 2007-12-31" in text
    assert daily.provenance["rows_hash"] in text
    assert daily.source_hash in text
    assert "Buy when the fast mean crosses above the slow mean" in text


def test_every_statistic_is_listed_vectorbt_s_names_first(daily, html):
    block = html[html.index('id="numbers"') : html.index('id="setup"')]
    names = re.findall(r"<dt>(.*?)</dt>", block)
    assert names == [str(name) for name in daily.stats().index]
    assert names[:5] == ["Start", "End", "Period", "Start Value", "End Value"]


def test_simulated_data_is_said_in_plain_sight():
    bars, _ = random_bars(60, 2, 3, "1d")
    assert "Simulated data" in report_html(small(bars, origin={"source": "random walk", "simulated": True}))
    assert "Origin of data not stated" in report_html(small(bars))


def test_a_page_asks_the_network_for_nothing(html):
    page = Page(html)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "action", "srcset", "xlink:href", "data", "poster"):
            assert value.startswith("#") or value == "data:,", (tag, name, value)
    assert "link" not in page.tags or [v for t, n, v in page.attributes if t == "link" and n == "href"] == ["data:,"]
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#|\$)|fetch\(|XMLHttpRequest|import\(|WebSocket", html)


def test_the_policy_allows_exactly_the_one_script(html):
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    assert len(scripts) == 1
    assert f"'sha256-{b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()}'" in html
    assert "default-src 'none'" in html
    assert not [name for _, name, _ in Page(html).attributes if name.startswith("on")]


def test_hostile_names_are_shown_and_not_run():
    bars, _ = random_bars(200, (EVIL, "B<b>"), 3, "1d")

    def signals(bars, *, mode=EVIL):
        return now_and_then(bars)

    signals.__name__ = EVIL
    result = small(bars, signals, origin={"source": EVIL, "simulated": True})
    text = report_html(result, paper={"rows": 200, "equal": True, "journal": EVIL})
    page = Page(text)
    assert page.tags.count("script") == 3  # manifest, data, ours
    assert "img" not in page.tags
    assert "b" not in page.tags
    assert "{{7*7}}" in text
    assert page.run["symbols"] == [EVIL, "B<b>"]
    assert page.texts["h1", ""].strip() == EVIL


def test_embedded_json_has_no_markup_and_reads_back():
    value = {"<a>": ["</script>", "<!--", "&amp;", "\u2028"]}
    text = embedded(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_no_folder_of_the_machine_is_in_the_file(tmp_path):
    bars, _ = random_bars(80, 1, 3, "1d")
    result = small(bars, origin={"source": str(tmp_path / "prices.csv"), "simulated": False})
    text = report_html(result, paper={"rows": 80, "equal": True, "journal": tmp_path / "paper.db"})
    assert str(tmp_path) not in text
    assert str(tmp_path.parent) not in text
    assert "prices.csv" in text
    assert "paper.db" in text


def test_a_run_without_a_trade_says_so():
    bars, _ = random_bars(120, 2, 3, "1d")
    text = report_html(small(bars, never))
    page = Page(text)
    assert page.run["trades"]["symbol"] == []
    assert page.run["returns"]["counts"] == []
    assert "The strategy never wanted a position." in text
    assert "nothing was traded" in text
    assert not re.search(
        r"\b(nan|inf|None)\b", re.sub(r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    )


@pytest.mark.parametrize(("clock", "strategy"), [("1d", now_and_then), ("1m", never)])
def test_one_row_is_enough(clock, strategy):
    bars, _ = random_bars(1, 1, 3, clock)
    page = Page(report_html(small(bars, strategy, clock)))
    assert page.run["rows"] == 1
    assert page.run["equity"]["value"] == [10_000_000]


def test_prices_that_are_mostly_missing_are_gaps():
    bars, _ = random_bars(3_000, 3, 5, "1m", gaps=True)
    known = np.random.Generator(np.random.PCG64(1)).random(bars.shape) < 0.2
    holes = {name: np.where(known, getattr(bars, name), np.nan) for name in ("open", "high", "low", "close")}
    times = {name: getattr(bars, name) for name in ("ts", "session", "since_open", "to_close")}
    sparse = Bars(bars.symbols, volume=np.where(known, bars.volume, 0.0), **times, **holes)
    run = Page(report_html(small(sparse, clock="1m"))).run
    for j, price in enumerate(run["prices"]):
        assert [step is None for step in price["close"]] == (~np.isfinite(sparse.close[:, j])).tolist()
        assert [step is None for step in price["high"]] == [step is None for step in price["close"]]
    assert None not in run["equity"]["value"]


def test_a_year_of_minutes_of_five_symbols_stays_small(tmp_path):
    bars, _ = random_bars(100_000, 5, 7, "1m")
    result = small(bars, clock="1m")
    path = write_report(result, tmp_path / "year.html")
    assert path.stat().st_size < LIMIT / 2
    run = Page(path.read_text(encoding="utf-8")).run
    assert len(run["trades"]["symbol"]) == len(result.trades)
    for price in run["prices"]:
        assert len(price["rows"]) < len(bars)
    shown = np.cumsum(run["equity"]["under"]) * run["equity"]["under_unit"]
    assert shown.min() == pytest.approx(result.metrics["max_drawdown"], abs=1e-6)
    assert len(bars) > WHOLE


def test_a_certificate_is_quoted_and_must_be_of_this_run(daily):
    good = certify(load_strategy("ma_cross"), rows=300, chunkings=2)
    text = report_html(daily, certificate=good)
    assert "0 differing bits" in text
    assert good.identity in text
    other = certify(load_strategy("ma_cross"), {"fast": 5}, rows=300, chunkings=2)
    text = report_html(daily, certificate=other)
    assert "The certificate is of another source or other parameters." in text
    assert "proof fail" in text


def test_a_rejected_certificate_names_its_first_difference(daily, tmp_path):
    cheat = tmp_path / "cheat.py"
    cheat.write_text(
        "import numpy as np\nfrom strategies.types import Bars, Signals\n\n"
        "def signals(bars: Bars) -> Signals:\n"
        "    up = bars.close > bars.close.mean(axis=0)\n    return Signals(entries=up, exits=~up)\n"
    )
    refused = certify(load_strategy(cheat), rows=300, chunkings=2)
    text = report_html(daily, certificate=refused)
    assert "REJECTED" in text
    assert "The certificate was refused" in text


@pytest.mark.parametrize(
    ("judge", "outcome", "state"),
    [
        (0.0, "0 apart", "pass"),
        (2e-16, "2.0e\u221216 apart", "pass"),
        (1e-6, "1.0e\u221206 apart", "fail"),
        ({"equity": 0.0, "trades": 7, "vectorbt_trades": 8}, "7 here, 8 there", "fail"),
        (None, "Not compared", "open"),
    ],
)
def test_the_difference_to_vectorbt_passes_up_to_a_billionth(daily, judge, outcome, state):
    text = report_html(daily, judge=judge)
    assert outcome in text
    block = text[text.index("Same equity in vectorbt") - 400 : text.index("Same equity in vectorbt")]
    assert f'class="proof {state}"' in block


@pytest.mark.parametrize(
    ("paper", "outcome"),
    [
        ({"rows": 390, "equal": True, "journal": "paper.db"}, "All decisions equal"),
        ({"rows": 390, "equal": False, "journal": "paper.db"}, "Decisions differ"),
        (None, "No session"),
    ],
)
def test_a_paper_session_is_quoted_when_given(daily, paper, outcome):
    assert outcome in report_html(daily, paper=paper)


def test_free_costs_are_called_out():
    bars, _ = random_bars(120, 1, 3, "1d")
    assert "compare engines with this run" in report_html(small(bars, costs=Costs.free()))
