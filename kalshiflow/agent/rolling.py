"""A market's recent past as running numbers: decayed flows, activity, and a ring of past mids.

Pure functions over flat lists, in the arithmetic that compiled and interpreted code share: + - * /,
comparisons, min, max and whole-number division. A sum decays by tau / (tau + dt) at each of its
own events, which needs no exponential. Times are market time in nanoseconds; `mid2` is best bid
plus best ask, twice the mid, so that it stays a whole number.
"""

# Positions in `clock`, a list of whole numbers.
BUCKET = 0  # number of the newest bucket of the ring
MID2 = 1  # twice the current mid
TRADED = 2  # time of the last public trade, -1 before the first
MOVED = 3  # time of the last change of the mid
CHANGED = 4  # time of the last change of the book
CLOCK_SIZE = 5

# Positions in `sums`, a list of floats.
FLOW = 0  # contracts bought less contracts sold by takers
PRESSURE = 1  # contracts added less taken away near the touch, bids positive
ACTIVITY = 2  # changes of the book
VARIANCE = 3  # squared changes of the mid, in cents
SUMS_SIZE = 4

BUCKET_NS = 250_000_000
RING_SIZE = 128  # 32 seconds
FLOW_TAU = 5e9
PRESSURE_TAU = 3e9
ACTIVITY_TAU = 5e9
VARIANCE_TAU = 20e9
NEAR = 500  # how far from the best price of its side a change still counts as pressure


def decayed(value: float, elapsed: int, tau: float) -> float:
    """Give what is left of `value` after `elapsed` nanoseconds."""
    return value * (tau / (tau + max(elapsed, 0)))


def restart(clock: list[int], sums: list[float], ring: list[int], now: int, mid2: int) -> None:
    """Begin anew, as if the market had always stood where it stands."""
    clock[BUCKET] = now // BUCKET_NS
    clock[MID2] = mid2
    clock[TRADED] = -1
    clock[MOVED] = now
    clock[CHANGED] = now
    for index in range(SUMS_SIZE):
        sums[index] = 0.0
    for index in range(RING_SIZE):
        ring[index] = mid2


def on_trade(clock: list[int], sums: list[float], now: int, signed: int) -> None:
    """Take in a public trade; `signed` hundredths of contracts, positive where the taker bid."""
    sums[FLOW] = decayed(sums[FLOW], now - clock[TRADED], FLOW_TAU) + signed / 100.0
    clock[TRADED] = now


def on_change(clock: list[int], sums: list[float], now: int, signed: int, distance: int) -> None:
    """Take in a change of one level, `distance` behind the best price of its side.

    `signed` hundredths of contracts: positive for more bids or fewer asks.
    """
    elapsed = now - clock[CHANGED]
    sums[ACTIVITY] = decayed(sums[ACTIVITY], elapsed, ACTIVITY_TAU) + 1.0
    pressure = decayed(sums[PRESSURE], elapsed, PRESSURE_TAU)
    if distance <= NEAR:
        pressure = pressure + signed / 100.0
    sums[PRESSURE] = pressure
    clock[CHANGED] = now


def on_mid(clock: list[int], sums: list[float], ring: list[int], now: int, mid2: int) -> None:
    """Take in where the mid stands after a change of the book."""
    bucket = now // BUCKET_NS
    before = clock[MID2]
    if bucket > clock[BUCKET]:
        for number in range(max(clock[BUCKET] + 1, bucket - RING_SIZE + 1), bucket + 1):
            ring[number % RING_SIZE] = before
        clock[BUCKET] = bucket
    if mid2 != before:
        cents = (mid2 - before) / 200.0
        elapsed = now - clock[MOVED]
        sums[VARIANCE] = decayed(sums[VARIANCE], elapsed, VARIANCE_TAU) + cents * cents
        clock[MOVED] = now
        clock[MID2] = mid2


def mid_before(clock: list[int], ring: list[int], now: int, elapsed: int) -> int:
    """Give twice the mid at the start of the bucket that lies `elapsed` (under 32 s) back."""
    number = (now - elapsed) // BUCKET_NS
    if number > clock[BUCKET]:
        return clock[MID2]
    return ring[max(number, clock[BUCKET] - RING_SIZE + 1) % RING_SIZE]
