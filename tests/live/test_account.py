"""Account files: what is taken, and the one sentence that refuses the rest."""

import pytest

from data.errors import ConfigError
from data.rows import Header
from live.account import load_account
from live.header import CHECKOUT

BASE = 'name = "paper"\nstrategy = "ma_cross"\n'


@pytest.fixture
def account(tmp_path):
    def make(text):
        path = tmp_path / "a.toml"
        path.write_text(text)
        return load_account(path)

    return make


def test_the_example_is_an_account(checkout):
    example = load_account(checkout / "live/accounts/paper.toml")
    assert (example.name, example.broker, example.trading) == ("paper", "paper", False)
    assert example.rule.max_positions == 5


def test_what_is_not_said_has_its_default(account):
    given = account(BASE)
    assert (given.cash, given.clock, given.symbols, given.broker) == (100_000.0, "1d", None, "paper")
    assert given.params == {"fast": 20, "slow": 100}
    assert given.rule == given.strategy.rule
    assert given.state == CHECKOUT / "out/live"


def test_parameters_rule_and_costs_are_changed_by_table(account):
    given = account(BASE + "cash = 5_000\n[params]\nfast = 5\n[rule]\nstops = 'touch'\n[costs]\nslippage_bps = 2\n")
    assert given.params["fast"] == 5
    assert given.rule.stops == "touch"
    assert given.costs.slippage_bps == 2.0
    assert given.cash == 5_000.0


def test_a_strategy_file_is_looked_for_beside_the_account(account, tmp_path, scripted):
    (tmp_path / "mine.py").write_bytes(scripted.path.read_bytes())
    assert account('name = "a"\nstrategy = "mine.py"\n').strategy.source_hash == scripted.source_hash


REFUSED = {
    "a misspelt key": (BASE + "simbols = ['A']", "there is no key 'simbols'; did you mean 'symbols'?"),
    "a missing key": ('name = "a"', "key 'strategy' is missing"),
    "a wrong type": (BASE + 'cash = "much"', "cash must be a number, got 'much'"),
    "a bool for a number": (BASE + "cash = true", "cash must be a number"),
    "no money": (BASE + "cash = -1", "positive number of dollars"),
    "not a number": (BASE + "cash = nan", "positive number of dollars"),
    "an unknown strategy": ('name = "a"\nstrategy = "ma_cros"', "did you mean 'ma_cross'"),
    "an unknown parameter": (BASE + "[params]\nfsat = 3", "did you mean 'fast'"),
    "a parameter of the wrong type": (BASE + "[params]\nfast = 2.5", "'fast' must be int"),
    "an unknown rule": (BASE + "[rule]\nstop = 'touch'", "did you mean 'stops'"),
    "a rule of the wrong type": (BASE + "[rule]\nshorts = 'perhaps'", "shorts must be true or false"),
    "a rule that is a list": (BASE + "[rule]\nshorts = [true]", "shorts must be a single value"),
    "an unknown cost": (BASE + "[costs]\nslipage_bps = 1", "did you mean 'slippage_bps'"),
    "an unknown clock": (BASE + 'clock = "7m"', "'7m' is not a clock"),
    "an unknown broker": (BASE + 'broker = "papr"', "did you mean 'paper'"),
    "money on paper": (BASE + "trading = true", "paper has no money"),
    "an unknown limit": (BASE + "[limits]\nmax_order_us = 1", "did you mean 'max_order_usd'"),
    "a secret": (BASE + 'api_key = "k"', "api_key looks like a secret"),
    "a secret in a table": (BASE + "[costs]\npassword = 'x'", "costs.password looks like a secret"),
    "a name that is a path": ('name = "../a"\nstrategy = "ma_cross"', "letters, digits"),
    "no symbols": (BASE + "symbols = []", "symbols is empty"),
    "a symbol twice": (BASE + "symbols = ['A', 'A']", "names 'A' twice"),
    "a symbol that is a number": (BASE + "symbols = [1]", "a list of texts"),
    "no TOML": ("name = ", "is not TOML"),
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_file_is_refused_in_one_sentence(account, text, sentence):
    with pytest.raises(ConfigError) as refused:
        account(text)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 78


def test_a_secret_is_not_quoted(account):
    with pytest.raises(ConfigError) as refused:
        account(BASE + 'token = "canary"')
    assert "canary" not in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_account(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_account(tmp_path / "a.toml")


def feed(symbols, clock="1d"):
    return Header(list(symbols), clock, "test", True, "", 1)


def test_the_plan_takes_the_symbols_of_the_feed_or_those_named(account):
    assert account(BASE).plan(feed("AB")).symbols == ["A", "B"]
    assert account(BASE + "symbols = ['B']").plan(feed("AB")).symbols == ["B"]


def test_another_clock_or_a_missing_symbol_is_refused(account):
    with pytest.raises(ConfigError, match="trades rows of 1d, the feed has 1m"):
        account(BASE).plan(feed("AB", "1m"))
    with pytest.raises(ConfigError, match="symbol 'SYP' is not in the feed; did you mean 'SPY'"):
        account(BASE + "symbols = ['SYP']").plan(feed(["SPY", "QQQ"]))
