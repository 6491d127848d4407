"""The arithmetic of the observation: 52 numbers from what is seen of one market.

Pure functions in the arithmetic that compiled and interpreted code share: + - * / and the square
root, comparisons, min, max, abs, whole numbers; what is divided by is a float, for two whole
numbers beyond 2**53 are divided otherwise where they are interpreted. Every number is squashed by
x / (1 + |x|) or bounded by its own form. `out` takes the numbers in the order of the table in
`features`.
"""

from collections.abc import Sequence
from math import sqrt

from kalshiflow.agent.layout import (
    ACTIVITY,
    ASK_PRESSURE,
    BID_PRESSURE,
    BUDGET,
    CHANGED,
    CLOSE_TIME,
    COST,
    DOLLAR,
    FEES,
    FILLED,
    FLOW,
    HELD_SINCE,
    LAST_PRICE,
    LAST_SIGNED,
    MEAN,
    MID2,
    MOVED,
    ORDERED,
    ORDERED_AT,
    OWN_ASK,
    OWN_BID,
    OWN_INDEX,
    OWN_QUANTITY,
    POSITION,
    REALISED,
    RESERVED,
    TRADED,
    VARIANCE,
    VOLUME,
    Flows,
)
from kalshiflow.agent.levels import BEST, BEST_PRICE, FIRST, Reading, exit_walk, read_side
from kalshiflow.agent.own import ask_touch, bid_touch, queue_ahead
from kalshiflow.agent.rolling import (
    BUCKET_NS,
    CHANGE_TAU,
    MEAN_TAU,
    TRADE_TAU,
    VARIANCE_TAU,
    mid_before,
    remaining,
)


def observe(
    seen: Sequence[int], flows: Sequence[float], prices: Sequence[int], now: int, out: Flows
) -> None:
    """Write the whole observation at market time `now`."""
    bids = read_side(seen, prices, 0, bid_touch(seen))
    asks = read_side(seen, prices, 1, ask_touch(seen))
    book_features(bids, asks, out)
    flow_features(seen, flows, bids[BEST_PRICE] + asks[BEST_PRICE], now, out)
    time_features(seen, flows, now, out)
    portfolio_features(seen, prices, bids, asks, now, out)
    order_features(seen, prices, bids[BEST_PRICE], asks[BEST_PRICE], out)


def squash(value: float) -> float:
    """Map any number into -1 to 1, keeping its sign."""
    return value / (1.0 + abs(value))


def balance(bids: int, asks: int) -> float:
    """Give (bids - asks) / (bids + asks), 0 where there is neither."""
    total = bids + asks
    return (bids - asks) / float(total) if total > 0 else 0.0


def book_features(bids: Reading, asks: Reading, out: Flows) -> None:
    """Write the book as it stands."""
    (bid_index, bid, bid_1, bid_3, bid_5, bid_near, bid_far, bid_all, bid_gap, bid_levels,
     bid_worth, bid_wall) = bids  # fmt: skip
    (ask_index, ask, ask_1, ask_3, ask_5, ask_near, ask_far, ask_all, ask_gap, ask_levels,
     ask_worth, ask_wall) = asks  # fmt: skip
    touch = bid_1 + ask_1
    lean = balance(bid_1, ask_1)
    book = bid_all + ask_all
    out[0] = (bid + ask) / 10000.0 - 1.0
    out[1] = (ask_index - bid_index - 1) / (ask_index - bid_index + 2.0)
    out[2] = squash((ask - bid) * lean / 200.0)
    out[3] = lean
    out[4] = balance(bid_3, ask_3)
    out[5] = balance(bid_5, ask_5)
    out[6] = balance(bid_all, ask_all)
    out[7] = touch / (touch + 50000.0)
    out[8] = bid_near / (bid_near + 200000.0)
    out[9] = ask_near / (ask_near + 200000.0)
    out[10] = bid_far / (bid_far + 400000.0)
    out[11] = ask_far / (ask_far + 400000.0)
    out[12] = book / (book + 1200000.0)
    out[13] = bid_gap / (bid_gap + 200.0)
    out[14] = ask_gap / (ask_gap + 200.0)
    out[15] = bid_levels / (bid_levels + 5.0)
    out[16] = ask_levels / (ask_levels + 5.0)
    out[17] = spread_out(bid * bid_far - bid_worth, bid_far)
    out[18] = spread_out(ask_worth - ask * ask_far, ask_far)
    out[19] = bid_wall / float(bid_far) if bid_far > 0 else 0.0
    out[20] = ask_wall / float(ask_far) if ask_far > 0 else 0.0


def spread_out(distances: int, quantity: int) -> float:
    """Map the mean distance of a side's quantity from its best price into 0 to 1."""
    if quantity == 0:
        return 0.0
    return distances / (distances + quantity * 300.0)


def flow_features(
    seen: Sequence[int], flows: Sequence[float], mid2: int, now: int, out: Flows
) -> None:
    """Write what takers and makers did of late."""
    last_price = seen[LAST_PRICE]
    last = seen[LAST_SIGNED]
    quiet = remaining(now - seen[CHANGED], CHANGE_TAU)
    traded = remaining(now - seen[TRADED], TRADE_TAU)
    volume = flows[VOLUME] * traded
    activity = flows[ACTIVITY] * quiet
    out[21] = 0.0 if last_price < 0 else squash((2 * last_price - mid2) / 400.0)
    out[22] = last / (abs(last) + 5000.0)
    out[23] = squash(flows[FLOW] * traded / 50.0)
    out[24] = squash(flows[BID_PRESSURE] * quiet / 500.0)
    out[25] = squash(flows[ASK_PRESSURE] * quiet / 500.0)
    out[26] = volume / (volume + 200.0)
    out[27] = activity / (activity + 10.0)


def time_features(seen: Sequence[int], flows: Sequence[float], now: int, out: Flows) -> None:
    """Write the mid's recent past, and the times that matter."""
    mid2 = seen[MID2]
    bucket = now // BUCKET_NS
    still = max(now - seen[MOVED], 0)
    swing = sqrt(flows[VARIANCE] * remaining(still, VARIANCE_TAU))
    out[28] = squash((mid2 - mid_before(seen, bucket - 4)) / 400.0)
    out[29] = squash((mid2 - mid_before(seen, bucket - 20)) / 400.0)
    out[30] = squash((mid2 - mid_before(seen, bucket - 120)) / 800.0)
    out[31] = squash((mid2 - flows[MEAN]) * remaining(still, MEAN_TAU) / 800.0)
    out[32] = swing / (swing + 4.0)
    out[33] = age(seen[TRADED], now, 30e9)
    out[34] = still / (still + 5e9)
    out[35] = 1.0
    if seen[CLOSE_TIME] >= 0:
        left = max(seen[CLOSE_TIME] - now, 0)
        out[35] = left / (left + 3600e9)


def age(since: int, now: int, half: float) -> float:
    """Map the time since `since` into 0 to 1; 1 where that is -1, never."""
    if since < 0:
        return 1.0
    elapsed = now - since
    return elapsed / (elapsed + half) if elapsed > 0 else 0.0


def portfolio_features(
    seen: Sequence[int],
    prices: Sequence[int],
    bids: Reading,
    asks: Reading,
    now: int,
    out: Flows,
) -> None:
    """Write what is held in the market, against the market's own budget."""
    budget = 1.0 / max(seen[BUDGET], 1)
    position = seen[POSITION]
    cost = seen[COST]
    out[36] = squash(position * 10000.0 * budget)
    out[37] = 0.0
    out[38] = 0.0
    out[39] = 0.0
    out[40] = 0.0
    out[44] = 0.0
    if position != 0:
        held = abs(position)
        quantity = float(held)
        mid2 = bids[BEST_PRICE] + asks[BEST_PRICE]
        value = mid2 if position > 0 else 2 * DOLLAR - mid2
        first = bids[FIRST] if position > 0 else asks[FIRST]
        worth, depth = exit_walk(seen, prices, 0 if position > 0 else 1, bids[BEST], asks[BEST])
        out[37] = squash((worth - cost) * 10.0 * budget)
        out[38] = squash((value / 2.0 - cost / quantity) / 500.0)
        out[39] = min(first, held) / quantity
        out[40] = 1.0 if depth < 0 else depth / (depth + 300.0)
        out[44] = age(seen[HELD_SINCE], now, 30e9)
    free = seen[BUDGET] - cost + seen[REALISED] - seen[FEES] - seen[RESERVED]
    out[41] = squash(seen[REALISED] * 5.0 * budget)
    out[42] = squash(seen[FEES] * 10.0 * budget)
    out[43] = squash(free * budget)
    out[45] = age(seen[ORDERED_AT], now, 10e9)
    out[46] = min(seen[FILLED] / float(max(seen[ORDERED], 1)), 1.0)


def order_features(
    seen: Sequence[int], prices: Sequence[int], bid: int, ask: int, out: Flows
) -> None:
    """Write one's own resting orders."""
    own_bid = seen[OWN_BID + OWN_INDEX]
    own_ask = seen[OWN_ASK + OWN_INDEX]
    bid_size = seen[OWN_BID + OWN_QUANTITY]
    ask_size = seen[OWN_ASK + OWN_QUANTITY]
    out[47] = bid_size / (bid_size + 1000.0)
    out[48] = ask_size / (ask_size + 1000.0)
    out[49] = 0.0
    out[50] = 0.0
    out[51] = 0.0
    if own_ask >= 0:
        out[50] = 10000.0 / (queue_ahead(seen, 1) + 10000.0)
        out[51] = squash((ask - prices[own_ask]) / 200.0)
    if own_bid >= 0:
        out[49] = 10000.0 / (queue_ahead(seen, 0) + 10000.0)
        out[51] = squash((prices[own_bid] - bid) / 200.0)
