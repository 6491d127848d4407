"""What a recorder does with a frame: ledger, books, rows, and what became stale by it."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from kalshiflow.exchange.feed import Feed, Received
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import Market, PriceGrid
from kalshiflow.recording.checkpoint import Counts, Outage
from kalshiflow.store.batch import Batch
from kalshiflow.store.frames import bad_frame_gap, missing_gap
from kalshiflow.store.replay import Gap
from kalshiflow.store.session_rows import SessionRows

PERIOD = 50_000  # frames of a session between two rounds of periodic snapshots
_REFUSALS_KEPT = 100
_NEVER = 2**63  # later than any time


class FrameTaker:
    """Takes the frames of one connection after the other; sessions begin and end elsewhere.

    `batch` is where rows go, `None`: nowhere. `markets` are those followed now, `newest` has the
    stamp of each market's newest book frame. `changes` gathers the book events of the tickers in
    `watched`, `refusals` the newest answers of the exchange that refused something: whoever looks
    at them empties them.
    """

    def __init__(self, batch: Batch | None) -> None:
        self.batch = batch
        self.position = 0
        self.feed: Feed | None = None
        self.books = Books()
        self.markets: dict[str, Market] = {}
        self.newest: dict[str, Stamp] = {}
        self.last_frame_at: int | None = None
        self.counts = Counts()
        self.outage: Outage | None = None
        self.watched: set[str] = set()
        self.changes: list[BookDelta | BookSnapshot] = []
        self.refusals: deque[Received] = deque(maxlen=_REFUSALS_KEPT)
        self.rows: SessionRows | None = None

    def frame(self, position: int, at: int, raw: bytes) -> Received:
        """Take a frame as it came, received at `at`; raises `ValueError` without a connection."""
        return self._run(position, ((raw, at),), tell_all=True)[0]

    def burst(self, first: int, frames: Iterable[tuple[bytes, int]]) -> list[Received]:
        """Take frames, with the times at which they were received, that lie together in the spool.

        `first` is the position of the first. Gives all but those that were a delta in its turn and
        right. Where it raises, `position` is that of the last frame that was taken.
        """
        return self._run(first, frames, tell_all=False)

    def add(self, position: int, raw: bytes, received: Received) -> None:
        """Take a frame that `feed` has read already, with what it read: frames in their order."""
        _, session = self._open(position)
        self._take(session, raw, received)
        self._reach(position)

    def _run(
        self, first: int, frames: Iterable[tuple[bytes, int]], *, tell_all: bool
    ) -> list[Received]:
        # The hottest loop of all: what a delta needs stands in it, what else there is in calls.
        feed, session = self._open(first)
        batch, take, apply = self.batch, feed.take, self.books.apply_delta
        keep = None if batch is None else batch.deltas.append
        pack, newest, watched = session.pack, self.newest, self.watched
        told: list[Received] = []
        deltas, low, high = 0, _NEVER, 0
        try:
            for raw, at in frames:
                taken = take(raw, at)
                if type(taken) is not BookDelta or session.held is not None:
                    told.append(self._take(session, raw, feed.told(taken)))
                    continue
                ticker, side, price, change, stamp, _ = taken
                try:
                    apply(ticker, side, price, change)
                except BookCorrupt as corrupt:
                    told.append(self._keep(session, raw, feed.told(taken), str(corrupt)))
                    continue
                newest[ticker] = stamp
                if keep is not None:
                    keep(pack(taken))
                if at > high:  # noqa: PLR1730 -- max and min are calls, which cost more
                    high = at
                if at < low:  # noqa: PLR1730
                    low = at
                deltas += 1
                if ticker in watched:
                    self.changes.append(taken)
                if tell_all:
                    told.append(feed.told(taken))
                if stamp.frame_no % PERIOD == 0:
                    session.reach(batch, stamp)
                    self._add_periodic(session, stamp)
        finally:
            if deltas:
                self.counts.deltas += deltas
                self.counts.frames_total += deltas
                session.reach(batch, stamp, low, high)
            self.last_frame_at = session.last_at or self.last_frame_at
            self._reach(first - 1 + len(told) + (0 if tell_all else deltas))
        return told

    def _open(self, position: int) -> tuple[Feed, SessionRows]:
        if self.feed is None or self.rows is None:
            raise ValueError(f"record {position} is a frame, and no session is open")
        return self.feed, self.rows

    def _reach(self, position: int) -> None:
        self.position = position
        if self.batch is not None:
            self.batch.position = position

    def _take(self, session: SessionRows, raw: bytes, received: Received) -> Received:
        if received.gap is not None:
            self.counts.gaps += 1
            self._mark_stale(missing_gap(received))
        event, refused, lost = received.event, None, None
        if isinstance(event, BookDelta):
            refused = self._apply_delta(event)
            self.counts.deltas += refused is None
        elif isinstance(event, BookSnapshot):
            refused = self._apply_snapshot(session, event)
        elif isinstance(event, MarketStatusChanged):
            lost = self._relist(session, event)
        elif isinstance(event, PublicTrade):
            self.counts.trades += 1
        self._keep(session, raw, received, refused)
        if lost is not None:
            session.add_gap(self.batch, lost)
        return received

    def _keep(
        self, session: SessionRows, raw: bytes, received: Received, refused: str | None
    ) -> Received:
        reason = refused or received.error
        if reason is not None:
            self.counts.bad_frames += 1
            self._mark_stale(bad_frame_gap(received, raw, reason, session.tickers))
        session.add(self.batch, received, raw, refused=refused)
        self.last_frame_at = session.last_at
        self.counts.frames_total += 1
        if received.refusal is not None:
            self.refusals.append(received)
        if session.frames % PERIOD == 0:
            self._add_periodic(session, received.stamp)
        return received

    def _apply_delta(self, event: BookDelta) -> str | None:
        ticker, side, price, change, stamp, _ = event
        try:
            self.books.apply_delta(ticker, side, price, change)
        except BookCorrupt as corrupt:
            return str(corrupt)
        self.newest[ticker] = stamp
        if ticker in self.watched:
            self.changes.append(event)
        return None

    def _apply_snapshot(self, session: SessionRows, event: BookSnapshot) -> str | None:
        try:
            self.books.apply(event)
        except BookCorrupt as corrupt:
            return str(corrupt)
        self.newest[event.ticker] = event.stamp
        self.counts.snapshots += 1
        if event.ticker in self.watched:
            self.changes.append(event)
        if self.outage is not None:
            ended_at = event.stamp.received_at
            began_at, tickers = self.outage.began_at, self.outage.tickers
            session.add_outage(self.batch, tickers, began_at=began_at, ended_at=ended_at)
            self.outage = None
        return None

    def _relist(self, session: SessionRows, event: MarketStatusChanged) -> Gap | None:
        ticker, stamp = event.ticker, event.stamp
        if not self.books.knows(ticker):
            return None
        lost: tuple[str, ...] = ()
        if event.grid is not None:
            lost = self._set_grids({ticker: event.grid})
        old = self.markets.get(ticker)
        if old is not None and (new := relisted(old, event)) != old:
            self.markets[ticker] = new
            session.list_market(
                self.batch, new, "lifecycle", frame_no=stamp.frame_no, at=stamp.received_at
            )
        return grid_gap(lost, stamp.frame_no, stamp.received_at)

    def _set_grids(self, grids: Mapping[str, PriceGrid]) -> tuple[str, ...]:
        """Have other grids; gives the markets whose books could be trusted and cannot follow."""
        books = self.books
        trusted = [ticker for ticker in sorted(grids) if not books.is_stale(ticker)]
        for ticker, grid in grids.items():
            books.set_grid(ticker, grid)
        return tuple(ticker for ticker in trusted if books.is_stale(ticker))

    def _add_periodic(self, session: SessionRows, stamp: Stamp) -> None:
        if not session.is_held:
            # What the frame itself tells, for the feed may have read on.
            known = None if stamp.time_source is TimeSource.RECEIVE else stamp.market_time
            after = stamp_after(session.frames, stamp.received_at, known)
            session.add_books(self.batch, self.books, after, "periodic")

    def _mark_stale(self, gap: Gap | None) -> None:
        if gap is not None and gap.hurts_books:
            for ticker in gap.tickers:
                self.books.mark_stale(ticker)


def relisted(market: Market, event: MarketStatusChanged) -> Market:
    """Give a market as it is listed after a step of its life."""
    value = event.settlement_value
    return replace(
        market,
        status=event.status or market.status,
        result=event.result or market.result,
        settlement_value=market.settlement_value if value is None else value,
        close_time=market.close_time if event.close_time is None else event.close_time,
        grid=event.grid or market.grid,
    )


def grid_gap(tickers: tuple[str, ...], frame_no: int, at: int) -> Gap | None:
    """Give the gap that a change of price grid leaves, if any book could not follow."""
    reason = "its book does not fit its new price grid"
    return Gap(frame_no, "grid", tickers, reason, at) if tickers else None


def stamp_after(frame_no: int, at: int, market_time: int | None) -> Stamp:
    """Give the stamp of what holds after a frame and is no frame itself."""
    source = TimeSource.RECEIVE if market_time is None else TimeSource.CARRIED
    return Stamp(frame_no, at, at if market_time is None else market_time, source)
