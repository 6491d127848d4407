"""A recorded session as one value, and what its pages show of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.listing import PriceGrid
from kalshiflow.market.units import DOLLAR, Quantity, quantity_to_contracts
from kalshiflow.store.certificate import Certificate, from_json
from kalshiflow.store.database import Store
from kalshiflow.store.read import (
    SessionRow,
    get_session,
    session_closes,
    session_events,
    session_gaps,
    session_grids,
)
from kalshiflow.store.replay import Gap, Replay

TRAINABLE = ("ok", "gaps")  # episodes are cut at the gaps


@dataclass(frozen=True, slots=True)
class Recording:
    """One session with all that was recorded in it, in the order of frames."""

    session: SessionRow
    events: list[MarketEvent]
    gaps: list[Gap]
    grids: dict[str, PriceGrid]
    closes: dict[str, int] = field(default_factory=dict)

    @property
    def certificate(self) -> Certificate | None:
        """Give the certificate of its closing, if it was closed with one."""
        return certificate_of(self.session)


@dataclass(slots=True)
class MarketActivity:
    """What was recorded of one market; `mids` is (market time, mid in dollars) at each change."""

    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    volume: int = 0
    mids: list[tuple[int, float]] = field(default_factory=list)


async def read_recording(store: Store, session_id: str) -> Recording:
    """Read a session; raises `NotRecorded` where there is none."""
    return Recording(
        await get_session(store, session_id),
        await session_events(store, session_id),
        await session_gaps(store, session_id),
        await session_grids(store, session_id),
        await session_closes(store, session_id),
    )


def certificate_of(session: SessionRow) -> Certificate | None:
    """Read the certificate that stands with a session."""
    return None if session.certificate is None else from_json(session.certificate)


def refusal_of(session: SessionRow) -> str | None:
    """Say why nothing can be learned from a session; `None` where it can."""
    if session.verdict is None:
        return f"it is {session.status} and has no verdict yet"
    if session.verdict not in TRAINABLE:
        return f"its verdict is {session.verdict}: {session.verdict_reason or 'no reason given'}"
    if session.traded or session.origin == "trader":
        return "our own trader took part in it"
    return None


def refusal_in(session: SessionRow, environment: str) -> str | None:
    """Say why a session teaches nothing about the exchange of `environment`, if it does not."""
    if session.environment != environment:
        return f"it was recorded on {session.environment}, the policy is for {environment}"
    return refusal_of(session)


def activity(recording: Recording) -> dict[str, MarketActivity]:
    """Count each market's events and follow its mid, as far as the rows can be replayed."""
    found = {ticker: MarketActivity() for ticker in recording.session.markets}
    replay: Replay | None = Replay(Books(recording.grids), recording.gaps)
    for event in recording.events:
        market = found.setdefault(event.ticker, MarketActivity())
        _count(market, event)
        if replay is not None and isinstance(event, (BookDelta, BookSnapshot)):
            try:
                replay.apply(event)
            except BookCorrupt:
                replay = None
                continue
            _follow(market, replay.books, event)
    return dict(sorted(found.items()))


def activity_rows(
    found: Mapping[str, MarketActivity], coverage: Mapping[str, float]
) -> list[dict[str, str | int | float]]:
    """Give one row of a table for each market."""
    return [
        {
            "market": ticker,
            "snapshots": market.snapshots,
            "deltas": market.deltas,
            "trades": market.trades,
            "contracts traded": quantity_to_contracts(Quantity(market.volume)),
            "book trusted, share of time": coverage.get(ticker, 0.0),
            "first mid": market.mids[0][1] if market.mids else "",
            "last mid": market.mids[-1][1] if market.mids else "",
        }
        for ticker, market in found.items()
    ]


def market_times(events: Iterable[MarketEvent]) -> list[int]:
    """Give the market time of every event."""
    return [event.stamp.market_time for event in events]


def _count(market: MarketActivity, event: MarketEvent) -> None:
    if isinstance(event, BookDelta):
        market.deltas += 1
    elif isinstance(event, BookSnapshot):
        market.snapshots += 1
    elif isinstance(event, PublicTrade):
        market.trades += 1
        market.volume += event.quantity


def _follow(market: MarketActivity, books: Books, event: BookDelta | BookSnapshot) -> None:
    if books.is_stale(event.ticker):
        return
    book = books[event.ticker]
    bid, ask = book.best_bid, book.best_ask
    if bid is None or ask is None:
        return
    mid = (bid + ask) / 2 / DOLLAR
    if not market.mids or market.mids[-1][1] != mid:
        market.mids.append((event.stamp.market_time, mid))
