"""A store on a fresh database, and frames to record in it."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import pytest
from session_writer import NewSession, SessionWriter, new_session_id

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.store.database import Store
from kalshiflow.store.frames import bad_frame_gap, missing_gap
from kalshiflow.store.replay import Gap

STARTED_AT = 1_795_000_000_000_000_000


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """Give a store on a fresh database."""
    async with await Store.open(postgres_url) as opened:
        yield opened


@dataclass
class Recording:
    """What a recorder does, without a socket: frames into books and a session's rows."""

    store: Store
    tickers: tuple[str, ...]
    origin: str = "collector"
    uses_yes_price: bool = True
    events: list[MarketEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feed = Feed(uses_yes_price=self.uses_yes_price)
        self.books = Books()
        self.session = NewSession(
            session_id=new_session_id(STARTED_AT),
            origin=self.origin,
            environment="local",
            traded=False,
            started_at=STARTED_AT,
            grids=dict.fromkeys(self.tickers, CENT_GRID),
        )
        self.writer = SessionWriter(self.store, self.session)

    def take(self, frame: dict | bytes, received_at: int = STARTED_AT) -> None:
        """Record one frame."""
        raw = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        received = self.feed.receive(raw, received_at)
        self._mark(missing_gap(received))
        refused = None
        if isinstance(received.event, BookDelta | BookSnapshot):
            try:
                self.books.apply(received.event)
            except BookCorrupt as corrupt:
                refused = str(corrupt)
        reason = refused or received.error
        if reason:
            self._mark(bad_frame_gap(received, raw, reason, self.tickers))
        elif received.event is not None:
            self.events.append(received.event)
        self.writer.add(received, raw, refused=refused)

    def take_all(self, frames: Iterable[dict | bytes]) -> None:
        """Record frames one millisecond apart."""
        for place, frame in enumerate(frames):
            self.take(frame, STARTED_AT + place * 1_000_000)

    def _mark(self, gap: Gap | None) -> None:
        if gap is not None and gap.hurts_books:
            for ticker in gap.tickers:
                self.books.mark_stale(ticker)


@pytest.fixture
def record(store: Store) -> Callable[..., Recording]:
    """Give a function that begins a recording of some markets."""

    def begin(*tickers: str, **options: object) -> Recording:
        return Recording(store, tickers, **options)

    return begin
