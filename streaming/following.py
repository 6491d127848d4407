"""The markets of an open connection kept current: new ones join, settled ones are released."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from kalshiflow.exchange.connection import BOOK_CHANNEL
from kalshiflow.exchange.errors import ExchangeError
from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.recording.notes import Joined, Released, listed
from streaming.choosing import ENDED, Chooser
from streaming.commands import Commands, Purpose, Sent
from streaming.health import SECOND
from streaming.intake import Intake

LOOK_SECONDS = 0.2
REFRESH_SECONDS = 300.0
OPENS_SOON = 30 * SECOND  # how long before its opening a new market is subscribed to
RETRY = 5 * SECOND
TRIES = 5
MOST_CANDIDATES = 10_000
MOST_AT_ONCE = 200  # whose listings are asked for together
_BEGINS = frozenset({"created", "activated"})

log = structlog.get_logger()


@dataclass(slots=True)
class _Candidate:
    due: int  # market time at which to look at its listing
    tries: int = 0


class Following:
    """Follows what the exchange tells of markets' lives, and looks for itself now and then.

    A market joins by a note first, so that its price grid is known before its snapshot, and by
    commands on the open subscriptions then. One that is determined is kept until it is settled; one
    that is closed gives up its place where an open one needs it.
    """

    def __init__(
        self,
        chooser: Chooser,
        commands: Commands,
        intake: Intake,
        *,
        clock: Callable[[], int],
        renew: Callable[[Collection[str]], None],
    ) -> None:
        self._chooser = chooser
        self._commands = commands
        self._intake = intake
        self._clock = clock
        self._renew = renew
        self._candidates: dict[str, _Candidate] = {}
        self._settled: set[str] = set()
        self._unwanted: list[tuple[tuple[str, ...], str]] = []
        self._refused = False  # the exchange takes no more markets on this connection for now

    def heard(self, event: MarketStatusChanged) -> None:
        """Take note of what a frame tells, and do nothing else: its burst is not yet recorded."""
        ticker = event.ticker
        if event.event_type == "settled":
            self._candidates.pop(ticker, None)
            if ticker in self._markets:
                self._settled.add(ticker)
        elif self._may_join(event):
            self._candidates.setdefault(ticker, _Candidate(self._market_time()))

    def refused(self, sent: Sent, reason: str) -> None:
        """Take note of a refused command: markets whose books cannot be had will be let go."""
        log.warning("markets_refused", markets=len(sent.tickers), reason=reason)
        if sent.purpose is Purpose.JOIN and sent.channel == BOOK_CHANNEL:
            self._refused = True
            self._unwanted.append((sent.tickers, f"the exchange refused them: {reason}"))

    async def run(self) -> None:
        """Follow for ever; the exchange's refusals of a listing are waited out."""
        refresh_at = self._clock() + int(REFRESH_SECONDS * SECOND)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._intake.is_stuck or not self._commands.can_change:
                continue
            try:
                await self.look()
                if self._clock() >= refresh_at:
                    refresh_at = self._clock() + int(REFRESH_SECONDS * SECOND)
                    await self.refresh()
            except ExchangeError as failed:
                log.info("listing_not_had", reason=str(failed))

    async def look(self) -> None:
        """Release what is settled, and let candidates join that are due."""
        while self._unwanted:
            await self._release(*self._unwanted.pop())
        if self._settled:
            settled, self._settled = self._settled, set()
            await self._release(settled, "settled")
        now = self._market_time()
        due = [ticker for ticker, each in self._candidates.items() if each.due <= now]
        due = due[:MOST_AT_ONCE]
        if not due:
            return
        if not self._places:
            for ticker in due:  # the next refresh fills free places, by rank
                del self._candidates[ticker]
            return
        await self._consider(due, now)

    async def refresh(self) -> None:
        """Compare with what the exchange lists: drop what has ended, fill free places by rank."""
        self._refused = False
        fresh = await self._chooser.relist(self._markets)
        ended = [
            ticker
            for ticker in self._markets
            if ticker not in fresh or fresh[ticker].status is MarketStatus.FINALIZED
        ]
        await self._release(ended, "settled, or listed no more")
        await self._regrid(fresh)
        found = await self._chooser.select()
        new = [market for market in found if market.ticker not in self._markets]
        missing = len(new) - self._places
        if missing > 0:
            closed = [
                ticker
                for ticker in self._markets
                if ticker in fresh and fresh[ticker].status in ENDED
            ]
            await self._release(closed[:missing], "closed, and its place was needed")
        await self._join(new[: self._places])

    @property
    def _markets(self) -> dict[str, Market]:
        return self._intake.recorder.markets

    @property
    def _places(self) -> int:
        if self._refused:
            return 0
        return max(0, self._chooser.limit - len(self._markets))

    def _may_join(self, event: MarketStatusChanged) -> bool:
        return (
            event.event_type in _BEGINS
            and event.ticker not in self._markets
            and len(self._candidates) < MOST_CANDIDATES
            and self._chooser.may_take(event.ticker)
        )

    async def _consider(self, due: Sequence[str], now: int) -> None:
        for ticker in due:  # whatever becomes of this look, the next is later
            candidate = self._candidates[ticker]
            candidate.due, candidate.tries = now + RETRY, candidate.tries + 1
        admitted = await self._chooser.admit(due)
        joining: list[Market] = []
        for ticker in due:
            market = admitted.get(ticker)
            if ticker not in self._candidates:
                continue  # it was settled while its listing was asked for
            if market is None:
                if self._candidates[ticker].tries >= TRIES:
                    del self._candidates[ticker]
            elif _opens_later(market, now):
                assert market.open_time is not None
                self._candidates[ticker] = _Candidate(market.open_time - OPENS_SOON)
            else:
                del self._candidates[ticker]
                if ticker not in self._markets and market.status not in ENDED:
                    joining.append(market)
        await self._join(joining[: self._places])

    async def _join(self, markets: Sequence[Market]) -> None:
        if not markets:
            return
        log.info("markets_joined", markets=len(markets), first=markets[0].ticker)
        self._intake.note(Joined(markets=listed(markets)))
        await self._commands.add([market.ticker for market in markets])

    async def _release(self, tickers: Collection[str], reason: str) -> None:
        if not tickers:
            return
        log.info("markets_released", markets=len(tickers), reason=reason)
        self._intake.note(Released(tickers=sorted(tickers), reason=reason))
        await self._commands.remove(tickers)

    async def _regrid(self, fresh: dict[str, Market]) -> None:
        # A grid that changed while nobody was connected was told by no frame.
        changed = [
            fresh[ticker]
            for ticker, market in self._markets.items()
            if ticker in fresh and fresh[ticker].grid != market.grid
        ]
        if changed:
            log.info("grids_changed", markets=len(changed))
            self._intake.note(Joined(markets=listed(changed)))
            self._renew([market.ticker for market in changed])

    def _market_time(self) -> int:
        feed = self._intake.recorder.feed
        known = None if feed is None else feed.market_time
        return self._clock() if known is None else known


def _opens_later(market: Market, now: int) -> bool:
    if market.status is not MarketStatus.INITIALIZED or market.open_time is None:
        return False
    return market.open_time - OPENS_SOON > now
