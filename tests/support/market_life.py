"""A market's life in events, by hand or by chance, for those who observe it."""

import random

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Price, Quantity

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
MARKET = Market("T", "E", "a market", close_time=START + 3_600 * SECOND)


def stamp(at, source=TimeSource.EXCHANGE):
    return Stamp(1, at, at, source)


def snapshot(at, bids, asks, source=TimeSource.EXCHANGE):
    """Give a book by cents, whatever the order of its levels."""
    levels = [
        tuple(
            (Price(round(cents * 100)), Quantity(side[cents]))
            for cents in sorted(side, reverse=turned)
        )
        for side, turned in ((bids, True), (asks, False))
    ]
    return BookSnapshot("T", *levels, stamp(at, source))


def delta(at, side, cents, change, *, own=None, source=TimeSource.EXCHANGE):
    return BookDelta("T", side, Price(round(cents * 100)), Quantity(change), stamp(at, source), own)


def trade(at, side, cents, quantity):
    return PublicTrade(
        "T", f"t{at}", Price(round(cents * 100)), Quantity(quantity), side, stamp(at)
    )


def life(seed=1, length=400):
    """Make a book's life by chance, but the same each time."""
    rng = random.Random(seed)
    books = {
        Side.BID: {cents: rng.randrange(500, 30_000) for cents in range(34, 48)},
        Side.ASK: {cents: rng.randrange(500, 30_000) for cents in range(50, 66)},
    }
    now = START
    events = [snapshot(now, books[Side.BID], books[Side.ASK])]
    while len(events) < length:
        now += rng.randrange(0, 2 * SECOND)
        side = rng.choice((Side.BID, Side.ASK))
        mine, other = books[side], books[side.other]
        best, far = (max, min) if side is Side.BID else (min, max)
        if rng.random() < 0.15:
            events.append(trade(now, side, far(other), rng.randrange(1, 20_000)))
            continue
        step = 1 if side is Side.BID else -1
        cents = best(mine) - step * (int(rng.expovariate(0.4)) - (rng.random() < 0.3))
        if not 1 <= cents <= 99 or cents in other or (cents - far(other)) * step > 0:
            continue
        change = rng.randrange(100, 9_000)
        if mine.get(cents) and len(mine) > 3 and rng.random() < 0.5:
            change = -rng.choice((mine[cents], max(mine[cents] // 2, 1)))
        mine[cents] = mine.get(cents, 0) + change
        if not mine[cents]:
            del mine[cents]
        events.append(delta(now, side, cents, change))
    return events
