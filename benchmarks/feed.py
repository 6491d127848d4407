"""Frames to books and to observations: the feed against bare decoding, and an observation's cost.

Each figure is the median of three takes in this run, in processor seconds of one core, on the
synthetic market's frames, printed as `name value unit`. The ratios are what counts; rates belong to
the machine named.
"""

import statistics
import time
from collections.abc import Callable

from machine import machine

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.exchange import messages, translate
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.units import cash_from_cents
from kalshiflow.venue.traders.synthetic import Recording, record

ROUNDS = 3
MARKETS = 24
SECONDS = 600.0
OBSERVATIONS = 5_000


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
    """Do what the collector does before it stores: ledger, translation, book."""
    feed = Feed(uses_yes_price=True)
    books = Books({market.ticker: market.grid for market in recording.markets})
    for raw in frames:
        event = feed.receive(raw, 0).event
        if isinstance(event, BookDelta | BookSnapshot):
            books.apply(event)


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
    apply_seconds, observe_seconds = observe(recording)
    print(f"observer_apply {apply_seconds * 1e6:.1f} us")
    print(f"observation {observe_seconds * 1e6:.1f} us")


if __name__ == "__main__":
    main()
