"""Rule file and dashboards: in step with the rules, about metrics that exist, and with data in every panel."""

import itertools
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from live.alerts.book import Book, BookFile
from live.alerts.rules import TABLE, load_rules, prometheus
from live.metrics.endpoint import Figures, serve
from live.metrics.host import Costs
from live.metrics.names import METRICS
from live.watch.view import Watch

DEPLOY = Path(__file__).resolve().parents[4] / "deploy"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = load_rules(TABLE.parent)
USED = re.compile(r"(onetape_\w+)\s*(?:\{([^}]*)\})?")


def panels(path):
    return [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]


def queries():
    return [
        pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {target['refId']}")
        for path in BOARDS
        for panel in panels(path)
        for target in panel["targets"]
    ]


def test_the_rule_file_is_in_step_with_the_rules():
    assert (DEPLOY / "prometheus" / "alerts.yml").read_text() == prometheus(RULES)


def tool(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install prometheus)")
    return name


def test_promtool_takes_rules_and_configuration():
    for what, path in (
        ("rules", DEPLOY / "prometheus" / "alerts.yml"),
        ("config", DEPLOY / "prometheus" / "host" / "prometheus.yml"),
    ):
        done = subprocess.run([tool("promtool"), "check", what, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_fires_where_our_own_daemon_does(tmp_path):
    """Each rule over a series that passes its threshold from the second minute on, judged by Prometheus itself."""
    cases = []
    for name, rule in RULES.items():
        labels = {label: rule.where.get(label, "x") for label in METRICS[rule.metric].labels}
        said = ",".join(f'{key}="{value}"' for key, value in labels.items())
        grows = rule.grows_s is not None
        threshold = next((each for each in (rule.above, rule.at_least, rule.below) if each is not None), 0.0)
        wrong = 3.0 if grows else threshold * (0.99 if rule.below is not None else 1.01) + (rule.above == 0)
        fine = 2.0 if grows else threshold if rule.above is not None else threshold * (1.01 if rule.below else 0.99)
        held = int(rule.for_s // 60)
        first = {"eval_time": "1m", "alertname": name, "exp_alerts": []}
        cases.append(
            {
                "interval": "1m",
                "input_series": [
                    {"series": f"{rule.metric}{{{said}}}", "values": f"{fine} {fine} {wrong}x{held + 3} {fine}x30"},
                    {"series": "onetape_market_open", "values": "1x200"},
                ],
                "alert_rule_test": [
                    first,
                    {
                        "eval_time": f"{held + 4}m",
                        "alertname": name,
                        "exp_alerts": [
                            {
                                "exp_labels": {k: v for k, v in labels.items() if not grows or k}
                                | {"severity": rule.severity}
                            }
                        ],
                    },
                    {"eval_time": f"{held + 25}m", "alertname": name, "exp_alerts": []},
                ],
            }
        )
    rules = yaml.safe_load(prometheus(RULES))
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]  # of the texts only that they are made is checked, by promtool above
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules))
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": cases})
    )
    done = subprocess.run(
        [tool("promtool"), "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_dashboards_and_grafana_finds_them():
    assert [path.name for path in BOARDS] == ["account.json", "accounts.json", "host.json"]
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "onetape.yml").read_text())["providers"]
    assert provider["type"] == "file"
    boards = [json.loads(path.read_text()) for path in BOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards)
    for board in boards:
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                assert target["datasource"] == {"type": source["type"], "uid": source["uid"]}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_have_titles_and_places_of_their_own(path):
    board = json.loads(path.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert panel["title"]
        assert at["x"] + at["w"] <= 24
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            refs = [target["refId"] for target in panel["targets"]]
            assert len(refs) == len(set(refs)) > 0


def test_rules_and_panels_name_only_what_exists():
    asked = [query.values[0] for query in queries()] + [rule.expression() for rule in RULES.values()]
    for expression in asked:
        found = USED.findall(expression)
        assert found, expression
        for name, matchers in found:
            assert name in METRICS, expression
            for label in re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", matchers):
                assert label in METRICS[name].labels, expression
    for path in BOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                names = {name for name, _ in USED.findall(target["expr"])}
                labels = set.intersection(*(set(METRICS[name].labels) for name in names))
                assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]


def test_every_metric_is_on_a_dashboard():
    """But for what only names an account, and what the panels show as a share."""
    shown = {name for query in queries() for name, _ in USED.findall(query.values[0])}
    assert METRICS.keys() - shown == {"onetape_account_info"}


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """`ask(query)`: the answer of a real Prometheus that has scraped a real endpoint at least three times."""
    binary, root = tool("prometheus"), tmp_path_factory.mktemp("prometheus")
    desk = full_desk(root)
    figures = Figures(Watch([desk.folder], desk.clock), Costs(root), alerts=desk.state, clock_ns=desk.clock)
    server, port = serve(figures, "127.0.0.1", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = free.getsockname()[1]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(DEPLOY / "prometheus" / "alerts.yml")],
        "scrape_configs": [{"job_name": "onetape", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
    }
    (root / "prometheus.yml").write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [binary, f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/data",
         f"--web.listen-address=127.0.0.1:{own}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answer(query, path="query"):
        values = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"http://127.0.0.1:{own}/api/v1/{path}?{values}") as reply:
            return json.load(reply)["data"]

    def scraped():
        try:
            found = answer("count_over_time(onetape_accounts[1m])")["result"]
        except OSError:
            return False
        return bool(found) and float(found[0]["value"][1]) >= 3

    try:
        end = time.monotonic() + 90
        while not scraped():
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.2)
        yield answer
    finally:
        process.terminate()
        process.wait()
        server.shutdown()
        server.server_close()


def full_desk(root):
    """An account of which every figure has a value."""
    import sqlite3

    import msgspec

    from live.control import Asked, Control, FeedState, Status, Used
    from live.core.commands import Alert, Submit
    from live.core.events import Fill, OrderSent
    from live.core.plan import Plan
    from live.header import Built, Feed, JournalHeader
    from live.journal import SqliteJournal
    from strategies.common.load import load_strategy

    class Desk:
        folder, state = root / "accounts", root / "state"
        clock = staticmethod(time.time_ns)

    now, day = time.time_ns(), 86_400_000_000_000
    Desk.folder.mkdir()
    Desk.state.mkdir()
    (Desk.folder / "x.toml").write_text(
        f'name = "x"\nstrategy = "momentum"\nbroker = "alpaca"\nstate = "{Desk.state}"\n'
    )
    plan = Plan.of(load_strategy("momentum"), ["AAA"], account="x", clock="1m")
    journal = SqliteJournal.create(Desk.state / "x.journal", JournalHeader(plan, Feed("t", True, ""), Built("", {})))
    for i in range(30):
        journal.append_commands([Submit(f"o{i}", now, "AAA", "buy", 1.0, "entry", "row")])
        journal.append_event(OrderSent(now, f"o{i}"))
        journal.append_event(Fill(now + 1_000_000_000, f"o{i}", f"e{i}", 1.0, 5.0, 0.1))
    journal.append_commands([Alert(now, "critical", "cancel.silent", "x")])
    journal.append_event(row_of(now))
    journal.close()
    status = Status(
        "x", "momentum", 1, 9, now, 5.0, 5.0, {"AAA": 30.0}, 1, 1, "", {"clock": ""}, {"R02.x": 1}, said=now,
        broker="alpaca", feeds=[FeedState("hub", "stale", "L2", 1.0, 1)], headroom={"halt_loss_pct": Used(2.9, 3.0)},
        budget=Used(1, 30), queue=1, asked=Asked(90, {"429": 1, "timeout": 1}, 90, 2),
        reconciled=now, rss_mb=50.0, cpu_s=1.0, p50_us=1.0, p99_us=2.0, wire_p99_ms=1.0,
        certificate_until=now + day, token_until=now + day,
    )  # fmt: skip
    Control(Desk.state, "x").publish(msgspec.structs.replace(status, differences=["AAA"]))
    (Desk.state / "x.log").write_text("{}\n")
    BookFile(Desk.state).write(Book(said=now))
    (root / "onetape.toml").write_text(
        '[operations.costs]\nserver = 12\n[patterns]\njournal = "notes.sqlite"\nbudget = 2.0\n'
    )
    with sqlite3.connect(root / "notes.sqlite") as db:
        db.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, month TEXT, bound INTEGER, cost INTEGER)")
    db.close()
    return Desk


def row_of(now):
    from data.rows import Row

    return Row(now, 20260921, 60.0, 600.0, [5.0], [5.0], [5.0], [5.0], [1.0])


@pytest.mark.parametrize("query", queries())
def test_every_panel_has_data(ask, query):
    asked = query.replace("$__rate_interval", "30s").replace("$account", "x")
    result = ask(asked)["result"]
    assert result, asked
    assert all(float(series["value"][1]) == float(series["value"][1]) for series in result)


def test_the_account_s_variable_has_values(ask):
    assert {series["metric"]["account"] for series in ask("onetape_up")["result"]} == {"x"}


def test_prometheus_has_loaded_the_rules_and_some_fire(ask):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        firing = {series["metric"]["alertname"] for series in ask('ALERTS{alertstate="firing"}')["result"]}
        if {"books_differ", "loss_near_halt", "certificate_ends"} <= firing:
            return
        time.sleep(0.5)
    raise AssertionError(firing)
