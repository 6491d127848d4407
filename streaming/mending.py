"""When to ask for fresh snapshots of stale markets; a pure schedule."""

from collections.abc import Iterable
from dataclasses import dataclass

SECOND = 1_000_000_000
FIRST_PAUSE = 10 * SECOND
LONGEST_PAUSE = 320 * SECOND


@dataclass(slots=True)
class _Asked:
    at: int
    pause: int


class SnapshotRequests:
    """Remembers what was asked for: a market at most once in ten seconds, then ever more rarely."""

    def __init__(self) -> None:
        self._asked: dict[str, _Asked] = {}

    def due(self, stale: Iterable[str], now: int) -> list[str]:
        """Give the stale markets to ask for now (nanoseconds), and count them as asked.

        A market that is stale no more, and then becomes so again within its pause, waits it out.
        """
        stale = set(stale)
        for ticker, asked in list(self._asked.items()):
            if ticker not in stale and now - asked.at >= asked.pause:
                del self._asked[ticker]
        due = [ticker for ticker in sorted(stale) if self._is_due(ticker, now)]
        for ticker in due:
            before = self._asked.get(ticker)
            pause = FIRST_PAUSE if before is None else min(2 * before.pause, LONGEST_PAUSE)
            self._asked[ticker] = _Asked(now, pause)
        return due

    def _is_due(self, ticker: str, now: int) -> bool:
        asked = self._asked.get(ticker)
        return asked is None or now - asked.at >= asked.pause
