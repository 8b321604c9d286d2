"""The Prometheus endpoint of a host: reads the accounts' files when it is scraped, and answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.calendar import SECOND_NS
from data.errors import ConfigError
from live.alerts.book import said_by
from live.metrics.host import Costs, measure_host, measure_market
from live.metrics.measures import measure
from live.metrics.names import METRICS, Sample
from live.watch.view import Watch

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class Figures:
    """Every figure of accounts and host, as of now.

    Args:
        watch: the accounts.
        costs: what a month costs.
        label: what stands for an account's name.
        alerts: folder of the alert daemon's book; None to say nothing of the daemon.
        clock_ns: UTC nanoseconds.
    """

    def __init__(
        self,
        watch: Watch,
        costs: Costs,
        label: Callable[[str], str] = str,
        alerts: Path | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._watch, self._costs, self._label, self._alerts, self._clock_ns = watch, costs, label, alerts, clock_ns
        self._lock = threading.Lock()
        measure_host(())  # from here the processors' use is counted

    def samples(self) -> list[Sample]:
        """The figures; safe to ask from several threads."""
        with self._lock:
            start, now = time.perf_counter(), self._clock_ns()
            views = self._watch.look()
            samples = measure(views, now, self._label)
            samples += measure_host(view.place.state for view in views)
            samples += [measure_market(now), *self._costs.measure(now)]
            said = 0 if self._alerts is None else said_by(self._alerts)
            if said:
                samples.append(Sample("onetape_alerts_silent_seconds", (), max(0.0, (now - said) / SECOND_NS)))
            return [*samples, Sample("onetape_look_seconds", (), time.perf_counter() - start)]


class Collector:
    """Figures as prometheus-client wants them."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing: what is there depends on the accounts."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One family per metric that has a value."""
        return families(self._figures.samples())


def families(samples: Iterable[Sample]) -> list[Metric]:
    """Samples as metric families."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    found: dict[str, Any] = {}
    for sample in samples:
        metric = METRICS[sample.name]
        family = found.get(sample.name)
        if family is None:
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = found[sample.name] = make(sample.name, metric.help, labels=metric.labels)
        family.add_metric(sample.labels, sample.value)
    return list(found.values())


def serve(figures: Figures, address: str, port: int) -> tuple[Any, int]:
    """Answer at `/metrics` in threads of its own; the server, to be shut down, and its port.

    Raises:
        ConfigError: the address cannot be had.
    """
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(Collector(figures))
    try:
        server, _ = start_http_server(port, addr=address, registry=registry)
    except OSError as error:
        raise ConfigError(f"{address}:{port} cannot be listened on ({error.strerror or error})") from None
    return server, server.server_port
