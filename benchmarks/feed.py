"""Frames to books, rows and observations, each against bare decoding, and a checkpoint's cost.

Each figure is the median of three takes in this run, in processor seconds of one core, on the
synthetic market's frames, printed as `name value unit`. The ratios are what counts; rates belong to
the machine named.
"""

import statistics
import time
from collections.abc import Callable, Iterable

from machine import machine

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.exchange import messages, translate
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Price, Quantity, cash_from_cents
from kalshiflow.recording.notes import Connected, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store.batch import Batch
from kalshiflow.venue.traders.synthetic import Recording, record

ROUNDS = 3
MARKETS = 24
SECONDS = 600.0
OBSERVATIONS = 5_000
BURST = 64  # frames that a socket gives at once when it is busy
CHECKPOINT_MARKETS, CHECKPOINT_LEVELS = 300, 60


def frames_of(recording: Recording) -> list[bytes]:
    """Write a synthetic recording as the wire frames of one connection."""
    seqs = {1: 0, 2: 0}
    frames = []
    for event in recording.events:
        sid = 2 if isinstance(event, PublicTrade) else 1
        seqs[sid] += 1
        frames.append(_frame(event, sid, seqs[sid]))
    return frames


def _frame(event: MarketEvent, sid: int, seq: int) -> bytes:
    match event:
        case BookSnapshot():
            body = translate.snapshot_body(
                event.ticker, event.bids, event.asks, uses_yes_price=True
            )
            return messages.encode(messages.SnapshotFrame(sid=sid, seq=seq, msg=body))
        case BookDelta():
            return messages.encode(
                messages.DeltaFrame(
                    sid=sid, seq=seq, msg=translate.delta_body(event, uses_yes_price=True)
                )
            )
        case PublicTrade():
            return messages.encode(
                messages.TradeFrame(sid=sid, seq=seq, msg=translate.trade_body(event))
            )
    raise TypeError(f"no frame for {type(event).__name__}")


def median_seconds(work: Callable[[], object]) -> float:
    """Give the median duration of a few runs."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def decode(frames: list[bytes]) -> None:
    """Decode every frame into its typed form, and no more: the limit."""
    for raw in frames:
        messages.decode_frame(raw)


def receive(frames: list[bytes], recording: Recording) -> None:
    """Do what the trader does with a frame: ledger, translation, book."""
    feed = Feed(uses_yes_price=True)
    books = Books({market.ticker: market.grid for market in recording.markets})
    for raw in frames:
        event = feed.receive(raw, 0).event
        if isinstance(event, BookDelta | BookSnapshot):
            books.apply(event)


def take(frames: list[bytes], recording: Recording) -> None:
    """Do what the collector does before it stores: all of that, and the rows."""
    recorder = connected(recording.markets)
    for low in range(0, len(frames), BURST):
        recorder.burst(low + 2, [(raw, low) for raw in frames[low : low + BURST]])
    assert recorder.counts.bad_frames == recorder.counts.gaps == 0
    assert recorder.batch is not None
    assert recorder.batch.count >= len(frames)


def connected(markets: Iterable[Market]) -> Recorder:
    """Give a recorder whose session has begun, with record 1."""
    recorder = Recorder(Batch())
    begun = Connected(
        session_id="20261120T143000Z-4f09ac",
        origin="collector",
        environment="local",
        traded=False,
        markets=listed(markets),
    )
    recorder.note(1, 0, begun)
    return recorder


def checkpoint(markets: int, levels: int) -> tuple[float, float]:
    """Give the seconds to write a checkpoint of so many markets with so many levels, and to read.

    All are markets with a grid of cents, and half of the levels are bids.
    """
    named = [Market(f"KXBENCH-26NOV20-T{number}", "E", "a market") for number in range(markets)]
    recorder = connected(named)
    for number, market in enumerate(named, 1):
        bids = [(Price(100 * cents), Quantity(1_000)) for cents in range(1, levels // 2 + 1)]
        asks = [(Price(10_000 - price), quantity) for price, quantity in bids]
        body = translate.snapshot_body(market.ticker, tuple(bids), tuple(asks), uses_yes_price=True)
        raw = messages.encode(messages.SnapshotFrame(sid=1, seq=number, msg=body))
        recorder.burst(number + 1, [(raw, number)])
    written = recorder.checkpoint()
    read = median_seconds(lambda: Recorder.restore(written, recorder.position))
    return median_seconds(recorder.checkpoint), read


def observe(recording: Recording) -> tuple[float, float]:
    """Give the seconds per event applied, and per observation of a market."""

    def apply_all() -> dict[str, MarketObserver]:
        observers = {market.ticker: MarketObserver(market) for market in recording.markets}
        for event in recording.events:
            observers[event.ticker].apply(event)
        return observers

    applied = median_seconds(apply_all) / len(recording.events)
    observer = next(iter(apply_all().values()))
    account = MarketAccount(budget=cash_from_cents(10_000))
    now = recording.events[-1].stamp.market_time

    def observe_many() -> None:
        for _ in range(OBSERVATIONS):
            observer.observe(account, now)

    return applied, median_seconds(observe_many) / OBSERVATIONS


def main() -> None:
    """Run and print."""
    print(f"machine: {machine()}")
    recording = record(MARKETS, SECONDS)
    frames = frames_of(recording)
    bare = median_seconds(lambda: decode(frames))
    whole = median_seconds(lambda: receive(frames, recording))
    print(f"frames {len(frames)} frames")
    print(f"decode_rate {len(frames) / bare:.0f} frames/s")
    print(f"feed_and_book_rate {len(frames) / whole:.0f} frames/s")
    print(f"feed_and_book_to_decode {bare / whole:.3f} ratio")
    rows = median_seconds(lambda: take(frames, recording))
    print(f"rows_rate {len(frames) / rows:.0f} frames/s")
    print(f"rows_to_decode {bare / rows:.3f} ratio")
    write_seconds, read_seconds = checkpoint(CHECKPOINT_MARKETS, CHECKPOINT_LEVELS)
    print(f"checkpoint_write {write_seconds * 1e3:.2f} ms")
    print(f"checkpoint_read {read_seconds * 1e3:.2f} ms")
    apply_seconds, observe_seconds = observe(recording)
    print(f"observer_apply {apply_seconds * 1e6:.1f} us")
    print(f"observation {observe_seconds * 1e6:.1f} us")


if __name__ == "__main__":
    main()
