"""How long an order is on its way to the exchange, in market time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConstantLatency:
    """Every command arrives the same number of nanoseconds after it is sent."""

    nanoseconds: int

    def arrival(self, sent_at: int) -> int:
        """Give when a command sent at a market time arrives."""
        return sent_at + self.nanoseconds
