"""The table of rules: read from `rules.toml`, changed by onetape.toml, and written for Prometheus."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from data.door import did_you_mean
from data.errors import ConfigError
from data.settings import CHECKOUT
from live.alerts.book import Severity
from live.metrics.names import METRICS, Sample
from live.top.words import age

TABLE = Path(__file__).with_name("rules.toml")
REPEAT_S: dict[Severity, float] = {"critical": 900.0, "warning": 14_400.0, "info": 86_400.0}
"""An alert that stands, and that nobody has acknowledged, is told of again after this long, and never before."""
MARKET = "onetape_market_open"
_FIELD = re.compile(r"\{(\w+)\}")
_VALUES = {
    "value": "{{ $value | humanize }}",
    "percent": "{{ $value | humanizePercentage }}",
    "duration": "{{ $value | humanizeDuration }}",
}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule; see rules.toml. Exactly one of above, at_least, below and grows_s is set.

    while_open: of no interest while the exchange is closed. repeat_s: its window, 0 for that of its severity.
    """

    metric: str
    severity: Severity
    says: str
    do: str
    where: dict[str, str] = {}
    besides: dict[str, list[str]] = {}
    above: float | None = None
    at_least: float | None = msgspec.field(default=None, name="from")
    below: float | None = None
    grows_s: float | None = None
    while_open: bool = False
    for_s: float = 0.0
    repeat_s: float = 0.0
    enabled: bool = True

    def matches(self, sample: Sample) -> bool:
        """True where the rule is about this series."""
        if sample.name != self.metric:
            return False
        labels = labels_of(sample)
        return all(labels.get(name) == value for name, value in self.where.items()) and not any(
            labels.get(name) in values for name, values in self.besides.items()
        )

    def holds(self, value: float) -> bool:
        """True where the value is past the threshold; never of a rule about growth."""
        if self.above is not None:
            return value > self.above
        if self.at_least is not None:
            return value >= self.at_least
        return self.below is not None and value < self.below

    def text(self, sample: Sample) -> str:
        """What is told of a series."""
        words = labels_of(sample) | {
            "value": f"{sample.value:,.6g}" if abs(sample.value) < 1e6 else f"{sample.value:,.0f}",
            "percent": f"{sample.value:.0%}" if sample.value >= 0.1 else f"{sample.value:.1%}",
            "duration": age(sample.value),
        }
        return _FIELD.sub(lambda match: words[match.group(1)], self.says)

    @property
    def repeat(self) -> float:
        """Seconds within which it is not told of twice."""
        return self.repeat_s or REPEAT_S[self.severity]

    def expression(self) -> str:
        """The rule in Prometheus's language."""
        chosen = [f'{name}="{value}"' for name, value in sorted(self.where.items())]
        for name, values in sorted(self.besides.items()):
            anyone = "|".join(value.replace(".", "[.]") for value in values)
            chosen.append(f'{name}!~"{anyone}"')
        series = f"{self.metric}{{{','.join(chosen)}}}" if chosen else self.metric
        if self.grows_s is not None:
            return f"increase({series}[{_duration(self.grows_s)}]) > 0"
        hours = f" and on() {MARKET} == 1" if self.while_open else ""
        for sign, threshold in ((">", self.above), (">=", self.at_least), ("<", self.below)):
            if threshold is not None:
                return f"{series} {sign} {threshold:.15g}{hours}"
        raise ConfigError("a rule needs a threshold")


def labels_of(sample: Sample) -> dict[str, str]:
    """A series' labels by name."""
    return dict(zip(METRICS[sample.name].labels, sample.labels, strict=True))


def load_rules(root: Path = CHECKOUT) -> dict[str, Rule]:
    """The rules in force, by name: those of the table, changed by `[alerts.NAME]` of onetape.toml.

    Raises:
        ConfigError: a rule or a change to one is wrong.
    """
    tables = tomllib.loads(TABLE.read_text("utf-8"))
    try:
        given = tomllib.loads((root / "onetape.toml").read_text("utf-8")).get("alerts", {})
    except FileNotFoundError:
        given = {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"onetape.toml cannot be read ({error})") from None
    if not isinstance(given, dict):
        raise ConfigError(f"[alerts] in onetape.toml must be a table of tables, got {given!r}")
    for name, changes in given.items():
        if name not in tables:
            raise ConfigError(f"[alerts.{name}] in onetape.toml: there is no rule {name!r}{did_you_mean(name, tables)}")
        if not isinstance(changes, dict):
            raise ConfigError(f"[alerts.{name}] in onetape.toml must be a table, got {changes!r}")
        tables[name] = tables[name] | changes
    rules = {name: _rule(name, table) for name, table in tables.items()}
    return {name: rule for name, rule in rules.items() if rule.enabled}


def _rule(name: str, table: Mapping[str, Any]) -> Rule:
    try:
        rule = msgspec.convert(table, type=Rule)
    except msgspec.ValidationError as error:
        raise ConfigError(f"[alerts.{name}] in onetape.toml: {error}") from None
    metric = METRICS.get(rule.metric)
    if metric is None:
        raise ConfigError(f"[alerts.{name}]: there is no metric {rule.metric!r}{did_you_mean(rule.metric, METRICS)}")
    if sum(each is not None for each in (rule.above, rule.at_least, rule.below, rule.grows_s)) != 1:
        raise ConfigError(f"[alerts.{name}]: give exactly one of above, from, below and grows_s")
    known = {*metric.labels, *_VALUES}
    for label in [*rule.where, *rule.besides, *_FIELD.findall(rule.says)]:
        if label not in known:
            raise ConfigError(f"[alerts.{name}]: {rule.metric} has no label {label!r}{did_you_mean(label, known)}")
    return rule


HEAD = """\
# Made from live/alerts/rules.toml by `python -m live alerts rules --prometheus`; a test keeps the two in step.
# These rules are for a Prometheus with an Alertmanager; `python -m live alerts` judges the same ones without either.
"""


def prometheus(rules: Mapping[str, Rule]) -> str:
    """The rules as a rule file of Prometheus, and one for an endpoint that does not answer."""
    import yaml

    listed = [
        {
            "alert": name,
            "expr": rule.expression(),
            **({"for": _duration(rule.for_s)} if rule.for_s else {}),
            "labels": {"severity": rule.severity},
            "annotations": {
                "summary": _FIELD.sub(_template, rule.says),
                "description": rule.do,
            },
        }
        for name, rule in rules.items()
    ]
    listed.append(
        {
            "alert": "endpoint_down",
            "expr": 'up{job="onetape"} == 0',
            "for": "1m",
            "labels": {"severity": "critical"},
            "annotations": {
                "summary": "the metrics of {{ $labels.instance }} do not answer",
                "description": "start python -m live metrics there again",
            },
        }
    )
    text: str = yaml.safe_dump({"groups": [{"name": "onetape", "rules": listed}]}, sort_keys=False, width=120)
    return HEAD + text


def _template(match: re.Match[str]) -> str:
    word = match.group(1)
    return _VALUES.get(word, f"{{{{ $labels.{word} }}}}")


def _duration(seconds: float) -> str:
    for size, unit in ((3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def known_metrics(rules: Iterable[Rule]) -> set[str]:
    """The metrics that rules ask for."""
    return {rule.metric for rule in rules}
