"""A recording as a source of market events: it moves the floor's books, frame by frame.

What subscribers were told may run ahead of the books (see `tape`): `position()` and `next_at()`
speak of what was told, and `settle()` brings the books up to it, without a word.
"""

from bisect import bisect_left
from collections.abc import Sequence

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
)
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.matching.messages import EngineEvent
from kalshiflow.venue.matching.recorded import RecordedBook, fills_only
from kalshiflow.venue.replay.bodies import traded
from kalshiflow.venue.replay.capture import Capture, TimedEvent


class CaptureSource:
    """Feeds a capture's events to the floor, one at a step. What lies before `begin_at` happens at
    once, silently.
    """

    def __init__(
        self,
        floor: Floor,
        capture: Capture,
        begin_at: int,
        model: FillModel = FillModel.PESSIMISTIC,
    ) -> None:
        self.capture = capture
        self._floor = floor
        self._events = capture.events
        has_trades = capture.has_trades
        self._books = {
            market.ticker: RecordedBook(market.ticker, market.grid, model, has_trades=has_trades)
            for market in capture.markets
        }
        for market in capture.markets:
            floor.list_market(market, self._books[market.ticker])
        self._steps_of_life = [
            place
            for place, timed in enumerate(capture.events)
            if isinstance(timed.event, MarketStatusChanged)
        ]
        self._told = 0  # the events that subscribers know of
        self._happened = 0  # the events that the books know of: never more
        self._is_settling = False
        while self._told < len(self._events) and self._events[self._told].at < begin_at:
            self._told += 1
        self.settle()

    @property
    def lag(self) -> int:
        """Give the events that subscribers were told of and the books were not."""
        return self._told - self._happened

    @property
    def is_settling(self) -> bool:
        """Say whether what happens just now on the floor was told to its subscribers before."""
        return self._is_settling

    @property
    def reached_at(self) -> int:
        """Give the time of the last event that subscribers were told; 0 before the first."""
        return self._events[self._told - 1].at if self._told else 0

    def next_at(self) -> int | None:
        """Give the time of the next event; `None` after the last."""
        return self._events[self._told].at if self._told < len(self._events) else None

    def position(self) -> int:
        """Give the recorded frame that was shown last, by its number in the recording, which counts
        from 1 over all its frames, control frames included; 0 before the first.
        """
        return self._events[self._told - 1].frame_no if self._told else 0

    def step(self) -> None:
        """Let the next event happen."""
        self.settle()
        self._told += 1
        self._happen_next()

    def coming(self, limit: int) -> Sequence[TimedEvent]:
        """Give the next events, at most `limit`, up to the next step of a market's life."""
        place = bisect_left(self._steps_of_life, self._told)
        until = min([self._told + limit, *self._steps_of_life[place : place + 1]])
        return self._events[self._told : until]

    def tell(self, count: int) -> None:
        """Note that subscribers were told the next `count` events."""
        self._told += count

    def settle(self, limit: int | None = None) -> None:
        """Let happen silently what subscribers know of, at most `limit` events of it."""
        if self._is_settling or self._happened == self._told:
            return
        until = self._told if limit is None else min(self._told, self._happened + limit)
        self._is_settling = True
        try:
            while self._happened < until:
                self._happen_next()
        finally:
            self._is_settling = False

    def _happen_next(self) -> None:
        timed = self._events[self._happened]
        self._happened += 1
        event = timed.event
        if isinstance(event, PublicTrade):
            self._trade(event, timed.at)
        elif isinstance(event, BookSnapshot | BookDelta):
            self._floor.follow_recording(
                event.ticker,
                timed.at,
                lambda: self._apply(timed),
                is_whole=isinstance(event, BookSnapshot),
            )
        else:
            self._floor.lifecycle.follow(event, timed.at)

    def _trade(self, trade: PublicTrade, at: int) -> None:
        book = self._books[trade.ticker]
        if not book.has_orders:
            self._floor.tell_trade(traded(trade, at))
            return
        name, price, side = trade.trade_id, trade.price, trade.taker_side
        self._floor.follow_recording(
            trade.ticker,
            at,
            lambda: book.recorded_trade(name, price, trade.quantity, side, at),
            is_whole=False,
        )

    def _apply(self, timed: TimedEvent) -> list[EngineEvent]:
        event: MarketEvent = timed.event
        if isinstance(event, BookDelta):
            return self._books[event.ticker].recorded_delta(
                event.side, event.price, event.change, timed.at
            )
        assert isinstance(event, BookSnapshot)
        book = self._books[event.ticker]
        return fills_only(book.recorded_snapshot(event.bids, event.asks, timed.at))
