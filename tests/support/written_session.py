"""Market events written straight into the database as one session, each in its own frame."""

from collections.abc import Sequence
from dataclasses import dataclass

from session_writer import NewSession, SessionWriter

from kalshiflow.market.events import MarketEvent, Stamp
from kalshiflow.market.listing import Market
from kalshiflow.store.database import Store
from kalshiflow.store.listings import Listing
from kalshiflow.store.replay import Gap
from kalshiflow.store.rows import AccountChange


@dataclass(frozen=True)
class Frame:
    """A received frame, as far as the store reads it."""

    event: MarketEvent | None
    told: Stamp | None = None
    kind: str = "orderbook_delta"
    gap: None = None
    error: None = None

    @property
    def stamp(self) -> Stamp:
        return self.told or self.event.stamp

    @property
    def frame_no(self) -> int:
        return self.stamp.frame_no

    @property
    def sid(self) -> int | None:
        return self.stamp.sid

    @property
    def seq(self) -> int | None:
        return self.stamp.seq

    @property
    def tickers(self) -> tuple[str, ...]:
        return () if self.event is None else (self.event.ticker,)


async def write_session(
    store: Store,
    session_id: str,
    markets: Sequence[Market],
    events: Sequence[MarketEvent],
    *,
    gaps: Sequence[Gap] = (),
    listings: Sequence[Listing] = (),
    accounts: Sequence[AccountChange] = (),
    answers: Sequence[tuple[Stamp, bytes]] = (),
    started_at: int = 1,
    **more: object,
) -> None:
    """Write a session and end it; `answers` are other frames, whole."""
    grids = {market.ticker: market.grid for market in markets}
    closes = {market.ticker: market.close_time for market in markets if market.close_time}
    new = NewSession(session_id, "collector", "local", False, started_at, grids, closes, **more)
    writer = SessionWriter(store, new)
    rows, batch = writer.rows, writer.batch
    for listing in listings:
        if listing.reason == "joined":
            rows.join(batch, [listing.market], started_at)
        told = {"frame_no": listing.frame_no, "at": started_at}
        rows.list_market(batch, listing.market, listing.reason, **told)
    frames = [(event.stamp, Frame(event), b"{}") for event in events]
    frames += [(stamp, Frame(None, stamp, "subscribed"), raw) for stamp, raw in answers]
    for _, frame, raw in sorted(frames, key=lambda one: one[0].frame_no):
        writer.add(frame, raw)
    for gap in gaps:
        rows.add_gap(batch, gap)
    for change in accounts:
        rows.add_account(batch, change)
    batch.position += 1
    await writer.close("made")
