"""How long a command is on its way to the exchange, in market time: constant, or as measured.

What is drawn depends on a seed and the number of the command only: no state, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# Three rounds of x -> (x + key)^5 modulo a prime. The fifth power is one-to-one there, and products
# fit 63 bits.
_PRIME = 2_147_483_647
_ROUND_KEYS = (1_405_695_061, 870_266_429, 1_933_216_517)


class Latency(Protocol):
    """Gives when a command arrives."""

    def arrival(self, sent_at: int, command: int = 0) -> int:
        """Give when a command sent at a market time arrives; `command` is its number."""


@dataclass(frozen=True, slots=True)
class ConstantLatency:
    """Every command arrives the same number of nanoseconds after it is sent."""

    nanoseconds: int

    def arrival(self, sent_at: int, command: int = 0) -> int:
        """Give when a command sent at a market time arrives."""
        del command
        return sent_at + self.nanoseconds


@dataclass(frozen=True, slots=True)
class MeasuredLatency:
    """Each command takes as long as one of the measured ones, drawn by the seed."""

    measured: tuple[int, ...]
    seed: int

    def arrival(self, sent_at: int, command: int = 0) -> int:
        """Give when the command of this number arrives."""
        return sent_at + drawn_latency(self.measured, len(self.measured), self.seed, command)


def drawn_latency(measured: Sequence[int], count: int, seed: int, command: int) -> int:
    """Give one of `count` measured latencies."""
    return measured[drawn(seed, command) % count]


def drawn(seed: int, counter: int) -> int:
    """Give a whole number from 0 to 2^31 - 2 that looks like chance and never changes."""
    x = (seed % _PRIME + counter % _PRIME * 48_271) % _PRIME
    for key in _ROUND_KEYS:
        x = (x + key + seed % _PRIME) % _PRIME
        squared = x * x % _PRIME
        x = squared * squared % _PRIME * x % _PRIME
    return x
