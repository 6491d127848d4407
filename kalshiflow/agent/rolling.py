"""A market's recent past as running numbers: decayed flows, activity, and a ring of past mids.

Pure functions over flat lists, in the arithmetic that compiled and interpreted code share: + - * /,
comparisons, min, max and whole-number division. A sum decays by tau / (tau + dt) at each of its
own events, which needs no exponential. Times are market time in nanoseconds; `mid2` is best bid
plus best ask, twice the mid, so that it stays a whole number.
"""

from collections.abc import Sequence

from kalshiflow.agent.layout import (
    ACTIVITY,
    ASK_PRESSURE,
    BID_PRESSURE,
    BUCKET,
    CHANGED,
    FLOW,
    FLOWS_SIZE,
    LAST_PRICE,
    LAST_SIGNED,
    MEAN,
    MID2,
    MOVED,
    RING,
    RING_SIZE,
    TRADED,
    VARIANCE,
    VOLUME,
    Flows,
    Numbers,
)

BUCKET_NS = 250_000_000
TRADE_TAU = 30e9
CHANGE_TAU = 5e9
VARIANCE_TAU = 20e9
MEAN_TAU = 300e9
NEAR = 500  # how far from the best price of its side a change still counts as pressure


def remaining(elapsed: int, tau: float) -> float:
    """Give what share of a decaying sum is left after `elapsed` nanoseconds."""
    return tau / (tau + elapsed) if elapsed > 0 else 1.0


def begin(seen: Numbers, flows: Flows, now: int) -> None:
    """Begin anew, as if the market had always stood where it stands."""
    mid2 = seen[MID2]
    seen[BUCKET] = now // BUCKET_NS
    seen[TRADED] = -1
    seen[LAST_PRICE] = -1
    seen[LAST_SIGNED] = 0
    seen[MOVED] = now
    seen[CHANGED] = now
    for position in range(FLOWS_SIZE):
        flows[position] = 0.0
    flows[MEAN] = float(mid2)
    for position in range(RING, RING + RING_SIZE):
        seen[position] = mid2


def on_trade(seen: Numbers, flows: Flows, now: int, price: int, signed: int) -> None:
    """Take in a public trade; `signed` hundredths of contracts, positive where the taker bid."""
    left = remaining(now - seen[TRADED], TRADE_TAU)
    flows[FLOW] = flows[FLOW] * left + signed / 100.0
    flows[VOLUME] = flows[VOLUME] * left + abs(signed) / 100.0
    seen[TRADED] = now
    seen[LAST_PRICE] = price
    seen[LAST_SIGNED] = signed


def on_change(seen: Numbers, flows: Flows, now: int, side: int, change: int, distance: int) -> None:
    """Take in that others changed a level, `distance` behind the best price of its side."""
    left = remaining(now - seen[CHANGED], CHANGE_TAU)
    seen[CHANGED] = now
    flows[ACTIVITY] = flows[ACTIVITY] * left + 1.0
    bids = flows[BID_PRESSURE] * left
    asks = flows[ASK_PRESSURE] * left
    if distance <= NEAR:
        if side:
            asks = asks + change / 100.0
        else:
            bids = bids + change / 100.0
    flows[BID_PRESSURE] = bids
    flows[ASK_PRESSURE] = asks


def on_mid(seen: Numbers, flows: Flows, now: int, mid2: int) -> None:
    """Take in where the mid stands now."""
    before = seen[MID2]
    if mid2 == before:
        return
    # The ring is filled up only here: as long as the mid stands, later buckets are known from it.
    bucket = now // BUCKET_NS
    newest = seen[BUCKET]
    if bucket > newest:
        for number in range(max(newest + 1, bucket - RING_SIZE + 1), bucket + 1):
            seen[RING + number % RING_SIZE] = before
        seen[BUCKET] = bucket
    elapsed = now - seen[MOVED]
    cents = (mid2 - before) / 200.0
    flows[VARIANCE] = flows[VARIANCE] * remaining(elapsed, VARIANCE_TAU) + cents * cents
    flows[MEAN] = before + (flows[MEAN] - before) * remaining(elapsed, MEAN_TAU)
    seen[MOVED] = now
    seen[MID2] = mid2


def mid_before(seen: Sequence[int], bucket: int) -> int:
    """Give twice the mid at the start of a bucket that is at most `RING_SIZE` old."""
    newest = seen[BUCKET]
    if bucket > newest:
        return seen[MID2]
    return seen[RING + max(bucket, newest - RING_SIZE + 1) % RING_SIZE]
