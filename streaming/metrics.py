"""The collector's figures for Prometheus, taken from its health when they are asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streaming.broadcast import Hub
from streaming.health import Health, State

PREFIX = "kalshiflow_collector"

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
    """Gives the health's counters and gauges at each scrape, and those of the screens."""

    def __init__(self, health: Health, hub: Hub) -> None:
        self._health = health
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        health = self._health
        health.refresh()
        yield from self._counters()
        for name, meaning, value in self._gauges():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value=value)
        yield self._state()
        ages = GaugeMetricFamily(
            f"{PREFIX}_message_age_ms",
            "Receive time less exchange time of the newest frames",
            labels=["quantile"],
        )
        for share in (0.5, 0.99):
            age = health.message_age_ms(share)
            if age is not None:
                ages.add_metric([str(share)], age)
        yield ages

    def _counters(self) -> Iterator[Metric]:
        for name, attribute, meaning in COUNTERS:
            value = getattr(self._health, attribute)
            yield CounterMetricFamily(f"{PREFIX}_{name}", meaning, value=value)
        yield CounterMetricFamily(
            f"{PREFIX}_screens_conflated",
            "Times that a screen was too slow for its changes and got its books whole instead",
            value=self._hub.conflated,
        )
        audits = CounterMetricFamily(
            f"{PREFIX}_audits", "Books compared with the exchange's own", labels=["verdict"]
        )
        for verdict, count in sorted(self._health.audits.items()):
            audits.add_metric([verdict], count)
        yield audits

    def _gauges(self) -> Iterator[tuple[str, str, float]]:
        health = self._health
        yield "recording", "1 while frames are recorded and stored", float(health.is_well)
        yield "markets", "Markets subscribed", len(health.markets)
        yield "stale_markets", "Markets whose book waits for a snapshot", health.stale_markets
        yield "rows_waiting", "Rows that wait for the database", health.rows_waiting
        yield "records_behind", "Spool records not yet in the database", health.records_behind
        yield "spool_bytes", "Bytes that the spool holds on disk", health.spool_bytes
        yield "screens", "Screens connected", len(self._hub.screens)
        if health.clock_offset is not None:
            yield "clock_offset_seconds", "The exchange's clock less ours", health.clock_offset

    def _state(self) -> Metric:
        states = GaugeMetricFamily(
            f"{PREFIX}_state", "1 for the state that the collector is in", labels=["state"]
        )
        for state in State:
            states.add_metric([state.value], float(state is self._health.state))
        return states


def exposition(health: Health, hub: Hub) -> bytes:
    """Give the text of `GET /metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HealthCollector(health, hub))
    return generate_latest(registry)
