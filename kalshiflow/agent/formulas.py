"""The arithmetic of the observation: 52 numbers from flat sequences of whole numbers.

Pure functions in the arithmetic that compiled and interpreted code share: + - * / and the square
root, comparisons, min, max, whole numbers. Every number is squashed by x / (1 + |x|) or bounded by
its own form. Prices are 1/10000 dollar, quantities 1/100 contract, cash 1/1000000 dollar and times
nanoseconds of market time. The book's lists run over the steps of the market's price grid.
"""

from collections.abc import Sequence
from math import sqrt

from kalshiflow.agent.levels import DOLLAR, Shape, side_shape
from kalshiflow.agent.rolling import (
    ACTIVITY,
    ACTIVITY_TAU,
    CHANGED,
    FLOW,
    FLOW_TAU,
    MID2,
    MOVED,
    PRESSURE,
    PRESSURE_TAU,
    TRADED,
    VARIANCE,
    VARIANCE_TAU,
    decayed,
    mid_before,
)

SECOND = 1_000_000_000

# Positions in `own`: the one resting order of each side that may be ours (index -1: none).
OWN_BID_INDEX, OWN_BID_QUANTITY, OWN_ASK_INDEX, OWN_ASK_QUANTITY = 0, 1, 2, 3

# Positions in `account`.
BUDGET, POSITION, COST, REALISED, FEES, RESERVED = 0, 1, 2, 3, 4, 5
HELD_SINCE, ORDERED_AT, ORDERED, FILLED = 6, 7, 8, 9
ACCOUNT_SIZE = 10


def squash(value: float) -> float:
    """Map any number into -1 to 1, keeping its sign."""
    return value / (1.0 + abs(value))


def balance(bids: int, asks: int) -> float:
    """Give (bids - asks) / (bids + asks), 0 where there is neither."""
    total = bids + asks
    if total == 0:
        return 0.0
    return (bids - asks) / float(total)


def filling(quantity: int, half: float) -> float:
    """Map a quantity into 0 to 1; `half` (hundredths of contracts) gives one half."""
    return quantity / (quantity + half)


def fair_shift(mid2: int, bid3: int, ask3: int, bid_worth: int, ask_worth: int) -> float:
    """Give how far, in cents, the price that balances three levels lies from the mid."""
    total = bid3 + ask3
    if bid3 == 0 or ask3 == 0:
        return 0.0
    fair = (bid_worth / float(bid3) * ask3 + ask_worth / float(ask3) * bid3) / float(total)
    return (fair - mid2 / 2.0) / 100.0


def mean_distance(spread_out: int, total: int) -> float:
    """Give the mean distance of a side's quantity from its best price, in cents."""
    if total == 0:
        return 0.0
    return spread_out / (total * 100.0)


def market_features(bid: Shape, ask: Shape) -> list[float]:
    """Give the 26 numbers of the book as it stands."""
    (bid_index, bid_best, bid1, bid3, bid5, bid_near, bid_middle, bid_far,
     bid_second, bid_third, bid_levels, bid_worth, bid_out) = bid  # fmt: skip
    (ask_index, ask_best, ask1, ask3, ask5, ask_near, ask_middle, ask_far,
     ask_second, ask_third, ask_levels, ask_worth, ask_out) = ask  # fmt: skip
    mid2 = bid_best + ask_best
    width = ask_best - bid_best
    room = min(mid2, 2 * DOLLAR - mid2)
    near = balance(bid_near, ask_near)
    behind = balance(bid_far - bid_near, ask_far - ask_near)
    return [
        mid2 / 10000.0 - 1.0,
        room / 10000.0 * (2.0 - room / 10000.0),
        squash((ask_index - bid_index - 1) / 3.0),
        width / float(width + room),
        balance(bid1, ask1),
        balance(bid3, ask3),
        balance(bid5, ask5),
        squash(fair_shift(mid2, bid3, ask3, bid_worth, ask_worth)),
        filling(bid1, 5000.0),
        filling(ask1, 5000.0),
        filling(bid_near, 10000.0),
        filling(ask_near, 10000.0),
        filling(bid_middle, 20000.0),
        filling(ask_middle, 20000.0),
        filling(bid_far, 40000.0),
        filling(ask_far, 40000.0),
        squash(bid_second / 200.0),
        squash(ask_second / 200.0),
        squash(bid_third / 300.0),
        squash(ask_third / 300.0),
        bid_levels / (bid_levels + 5.0),
        ask_levels / (ask_levels + 5.0),
        squash(mean_distance(bid_out, bid_far) / 3.0),
        squash(mean_distance(ask_out, ask_far) / 3.0),
        (near - behind) / 2.0,
        (bid1 + ask1) / (bid_far + ask_far + 1.0),
    ]


def temporal_features(
    clock: list[int], sums: list[float], ring: list[int], close_time: int, now: int
) -> list[float]:
    """Give the 10 numbers of the market's recent past; `close_time` is -1 where unknown."""
    mid2 = clock[MID2]
    quiet = now - clock[CHANGED]
    still = now - clock[MOVED]
    traded = 1.0
    if clock[TRADED] >= 0:
        since = now - clock[TRADED]
        traded = since / (since + 10e9)
    closing = 1.0
    if close_time >= 0:
        left = max(close_time - now, 0)
        closing = left / (left + 86400e9)
    return [
        squash(decayed(sums[FLOW], now - clock[TRADED], FLOW_TAU) / 20.0),
        squash(decayed(sums[PRESSURE], quiet, PRESSURE_TAU) / 50.0),
        squash(decayed(sums[ACTIVITY], quiet, ACTIVITY_TAU) / 10.0),
        squash((mid2 - mid_before(clock, ring, now, 1 * SECOND)) / 400.0),
        squash((mid2 - mid_before(clock, ring, now, 5 * SECOND)) / 400.0),
        squash((mid2 - mid_before(clock, ring, now, 30 * SECOND)) / 800.0),
        squash(sqrt(decayed(sums[VARIANCE], still, VARIANCE_TAU)) / 4.0),
        traded,
        still / (still + 5e9),
        closing,
    ]


def portfolio_features(bid: Shape, ask: Shape, account: Sequence[int], now: int) -> list[float]:
    """Give the 11 numbers of what is held in the market, against the market's own budget."""
    budget = float(account[BUDGET])
    position = account[POSITION]
    cost = account[COST]
    side = 0.0
    unrealised = 0.0
    from_entry = 0.0
    exit_share = 0.0
    held = 0.0
    if position > 0:
        side = 1.0
        unrealised = (position * bid[1] - cost) / budget
        from_entry = ((bid[1] + ask[1]) / 2.0 - cost / float(position)) / 100.0
        exit_share = min(bid[2], position) / float(position)
    elif position < 0:
        side = -1.0
        unrealised = (-position * (DOLLAR - ask[1]) - cost) / budget
        from_entry = (DOLLAR - (bid[1] + ask[1]) / 2.0 + cost / float(position)) / 100.0
        exit_share = min(ask[2], -position) / float(-position)
    if position != 0:
        elapsed = max(now - account[HELD_SINCE], 0)
        held = elapsed / (elapsed + 30e9)
    free = account[BUDGET] - cost + account[REALISED] - account[FEES] - account[RESERVED]
    return [
        squash(position * 10000.0 / budget),
        side,
        squash(cost / budget),
        squash(unrealised * 10.0),
        squash(account[REALISED] / budget * 5.0),
        squash(account[FEES] / budget * 10.0),
        squash(free / budget),
        squash(account[RESERVED] / budget * 10.0),
        squash(from_entry / 5.0),
        exit_share,
        held,
    ]


def order_features(
    prices: Sequence[int],
    bid: Shape,
    ask: Shape,
    own: Sequence[int],
    account: Sequence[int],
    now: int,
) -> list[float]:
    """Give the 5 numbers of one's own orders in the market."""
    distance = 0.0
    if own[OWN_BID_INDEX] >= 0:
        distance = (prices[own[OWN_BID_INDEX]] - bid[1]) / 100.0
    elif own[OWN_ASK_INDEX] >= 0:
        distance = (ask[1] - prices[own[OWN_ASK_INDEX]]) / 100.0
    since = 1.0
    share = 0.0
    if account[ORDERED_AT] >= 0:
        elapsed = max(now - account[ORDERED_AT], 0)
        since = elapsed / (elapsed + 10e9)
        share = account[FILLED] / float(account[ORDERED])
    return [
        filling(own[OWN_BID_QUANTITY], 1000.0),
        filling(own[OWN_ASK_QUANTITY], 1000.0),
        squash(distance / 2.0),
        since,
        share,
    ]


def observe(
    prices: Sequence[int],
    bids: Sequence[int],
    asks: Sequence[int],
    best_bid: int,
    best_ask: int,
    own: Sequence[int],
    clock: list[int],
    sums: list[float],
    ring: list[int],
    close_time: int,
    account: Sequence[int],
    now: int,
) -> list[float]:
    """Give the whole observation, in the order of the table; nothing given is changed."""
    bid = side_shape(prices, bids, best_bid, -1, own[OWN_BID_INDEX], own[OWN_BID_QUANTITY])
    ask = side_shape(prices, asks, best_ask, 1, own[OWN_ASK_INDEX], own[OWN_ASK_QUANTITY])
    return (
        market_features(bid, ask)
        + temporal_features(clock, sums, ring, close_time, now)
        + portfolio_features(bid, ask, account, now)
        + order_features(prices, bid, ask, own, account, now)
    )
