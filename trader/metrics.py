"""The trader's figures for Prometheus, taken when they are asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from kalshiflow.market.units import CASH_PER_DOLLAR
from trader import status
from trader.lifecycle import State
from trader.status import Parts


class TraderCollector(Collector):
    """Gives all counters and gauges at each scrape."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        yield from self._counters()
        yield from self._gauges()
        actions = CounterMetricFamily(
            "kalshiflow_trader_actions", "Decisions by action", labels=["action"]
        )
        for name, count in status.actions(self._parts.counts).items():
            actions.add_metric([name.lower()], count)
        yield actions
        orders = GaugeMetricFamily(
            "kalshiflow_trader_orders", "Orders of the run by what became of them", labels=["end"]
        )
        for name, count in status.orders(self._parts).items():
            orders.add_metric([name], count)
        yield orders

    def _counters(self) -> Iterator[Metric]:
        counts, frames = self._parts.counts, self._parts.data.counts
        taping = self._parts.taping
        for name, meaning, value in (
            ("frames", "Frames received", frames.frames),
            ("gaps", "Gaps in sequence numbers", frames.gaps),
            ("bad_frames", "Frames that could not be used", frames.bad),
            ("decisions", "Decisions", counts.decisions),
            ("forbidden", "Decisions for a forbidden action", counts.forbidden),
            ("refused", "Decisions stopped by risk", counts.refused),
            ("fills", "Own fills", counts.fills),
            ("reconciliations", "Times the account was squared", counts.reconciled),
            ("drifts", "Times the account differed", counts.drifts),
            ("tape_frames_missed", "Frames that are on no tape", taping.tape.missed),
            ("tape_failures", "Times the recording of the tape ended", taping.failures),
        ):
            yield CounterMetricFamily(f"kalshiflow_trader_{name}", meaning, value=value)

    def _gauges(self) -> Iterator[Metric]:
        parts = self._parts
        ledger = parts.outcomes.accounts.ledger
        state = parts.conductor.lifecycle.state
        told = status.tape(parts.taping)
        for name, meaning, value in (
            ("acting", "1 while decisions are made", float(state is State.ACTING)),
            ("markets_ready", "Markets whose book can be trusted", float(parts.data.ready())),
            ("cash_dollars", "Cash", ledger.cash / CASH_PER_DOLLAR),
            ("reserved_dollars", "Cash kept for orders", ledger.reserved / CASH_PER_DOLLAR),
            ("orders_waiting", "Jobs waiting to be sent", float(parts.sender.waiting)),
            ("journal_waiting", "Rows waiting to be written", float(parts.journal.waiting)),
            ("tape_recording", "1 while frames are recorded", float(told["state"] == "recording")),
            ("tape_behind", "Records not in the database yet", float(told["records_behind"])),
        ):
            yield GaugeMetricFamily(f"kalshiflow_trader_{name}", meaning, value=value)


def exposition(parts: Parts) -> bytes:
    """Give the text of `GET /metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TraderCollector(parts))
    return generate_latest(registry)
