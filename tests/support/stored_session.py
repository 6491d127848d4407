"""Events as a session of PostgreSQL: written as frames, and stored as the collector does."""

from collections.abc import Sequence

from session_writer import NewSession, SessionWriter, new_session_id

from kalshiflow.exchange import messages, translate
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.listing import Market
from kalshiflow.store.database import Store
from kalshiflow.store.markets import save_markets

WALL = 1_795_000_000_000_000_000  # the recorder's clock is not the venue's market time
CLOSE = 1_767_700_000_000_000_000


def frames_of(events: Sequence[MarketEvent]) -> list[bytes]:
    """Write events as the frames of one connection that subscribed to books and trades."""
    frames = [
        b'{"id":1,"type":"subscribed","msg":{"channel":"orderbook_delta","sid":1}}',
        b'{"id":1,"type":"subscribed","msg":{"channel":"trade","sid":2}}',
    ]
    seqs = {1: 0, 2: 0}
    for event in events:
        sid = 2 if isinstance(event, PublicTrade) else 1
        seqs[sid] += 1
        frames.append(messages.encode(frame_of(event, sid, seqs[sid])))
    return frames


def frame_of(event: MarketEvent, sid: int, seq: int) -> messages.Frame:
    match event:
        case BookSnapshot():
            body = translate.snapshot_body(
                event.ticker, event.bids, event.asks, uses_yes_price=True
            )
            return messages.SnapshotFrame(sid=sid, seq=seq, msg=body)
        case BookDelta():
            changed = translate.delta_body(event, uses_yes_price=True)
            return messages.DeltaFrame(sid=sid, seq=seq, msg=changed)
        case PublicTrade():
            return messages.TradeFrame(sid=sid, seq=seq, msg=translate.trade_body(event))
    raise TypeError(f"no frame for {type(event).__name__}")


async def store_session(
    store: Store, markets: Sequence[Market], frames: Sequence[bytes]
) -> tuple[str, Books]:
    """Record frames as the collector does; give the session's id and the closing books."""
    await save_markets(store, markets, at=WALL)
    session = NewSession(
        session_id=new_session_id(WALL),
        origin="collector",
        environment="local",
        traded=False,
        started_at=WALL,
        grids={market.ticker: market.grid for market in markets},
        closes={market.ticker: CLOSE for market in markets},
    )
    feed, writer, books = Feed(uses_yes_price=True), SessionWriter(store, session), Books()
    for market in markets:
        books.set_grid(market.ticker, market.grid)
    for place, raw in enumerate(frames):
        received = feed.receive(raw, WALL + place)
        if isinstance(received.event, BookDelta | BookSnapshot):
            books.apply(received.event)
        writer.add(received, raw)
    await writer.close("the end", books)
    return session.session_id, books
