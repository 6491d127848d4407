"""The collector's figures for Prometheus, taken from its health when they are asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streaming.health import Health, percentile_ms

COUNTERS = (
    ("frames", "frames_total", "Frames received"),
    ("snapshots", "snapshots", "Order book snapshots received"),
    ("deltas", "deltas", "Order book deltas received"),
    ("trades", "trades", "Public trades received"),
    ("gaps", "gaps", "Gaps in sequence numbers"),
    ("bad_frames", "bad_frames", "Frames that could not be used"),
    ("connections", "connections", "Connections made"),
    ("sessions_closed", "sessions_closed", "Sessions closed"),
    ("rows_written", "rows_written", "Rows committed"),
)


class HealthCollector(Collector):
    """Gives the health's counters and gauges at each scrape."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        health = self._health
        for name, attribute, meaning in COUNTERS:
            value = getattr(health, attribute)
            yield CounterMetricFamily(f"kalshiflow_collector_{name}", meaning, value=value)
        gauges = (
            ("recording", "1 while frames are recorded and stored", float(health.is_well)),
            ("markets", "Markets subscribed", len(health.markets)),
            ("stale_markets", "Markets whose book waits for a snapshot", health.stale_markets),
            ("rows_waiting", "Rows in memory only", health.rows_waiting),
        )
        for name, meaning, value in gauges:
            yield GaugeMetricFamily(f"kalshiflow_collector_{name}", meaning, value=value)
        ages = GaugeMetricFamily(
            "kalshiflow_collector_message_age_ms",
            "Receive time less exchange time of the newest frames",
            labels=["quantile"],
        )
        for share in (0.5, 0.99):
            age = percentile_ms(health.ages, share)
            if age is not None:
                ages.add_metric([str(share)], age)
        yield ages


def exposition(health: Health) -> bytes:
    """Give the text of `GET /metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HealthCollector(health))
    return generate_latest(registry)
