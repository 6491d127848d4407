"""Which snapshots to ask for, how often, and what to do where the exchange refuses one."""

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

import structlog

from streaming.commands import Commands, Purpose, Sent
from streaming.health import SECOND

FIRST_PAUSE = 10 * SECOND
LONGEST_PAUSE = 320 * SECOND

log = structlog.get_logger()


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


class Mending:
    """Has stale books replaced: by `get_snapshot`, or where that is refused by a new subscription.

    Books that an audit doubts are asked for too, though nothing says that they are stale.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._requests = SnapshotRequests()
        self._doubted: set[str] = set()
        self._refused: set[str] = set()

    def doubt(self, ticker: str) -> None:
        """Ask for a book at the next look, though it is not known to be stale."""
        self._doubted.add(ticker)

    def renewed(self, ticker: str) -> None:
        """Take note of a snapshot that came."""
        self._doubted.discard(ticker)
        self._refused.discard(ticker)

    def refused(self, sent: Sent, reason: str) -> None:
        """Take note of a refused command; the markets of a `get_snapshot` are then renewed."""
        log.warning("snapshots_refused", markets=len(sent.tickers), reason=reason)
        if sent.purpose is Purpose.SNAPSHOT:
            self._refused.update(sent.tickers)

    async def look(self, stale: Collection[str], followed: Container[str], now: int) -> None:
        """Ask for what is due. `stale` are the followed markets without a book to be trusted.

        To be called also while all is well: that shortens the pauses again.
        """
        if not self._commands.can_change:
            return
        # A market that was released meanwhile would be subscribed to again.
        self._doubted = {ticker for ticker in self._doubted if ticker in followed}
        renewed = {ticker for ticker in self._refused if ticker in followed}
        self._refused.clear()
        if renewed:
            log.info("subscriptions_renewed", markets=len(renewed))
            await self._commands.renew(renewed)
        due = self._requests.due({*stale, *self._doubted}, now)
        if due:
            log.info("snapshots_asked", markets=len(due))
            await self._commands.get_snapshots(due)
