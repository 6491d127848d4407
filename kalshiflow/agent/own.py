"""One's own orders and account in a market, kept in `seen`: what changes them, and their queues."""

from collections.abc import Sequence

from kalshiflow.agent.layout import (
    BEST_ASK,
    BEST_BID,
    BOOK,
    BUDGET,
    COST,
    DOLLAR,
    FEES,
    FILLED,
    HELD_SINCE,
    ORDERED,
    ORDERED_AT,
    OWN_ASK,
    OWN_BID,
    OWN_INDEX,
    OWN_QUANTITY,
    OWN_QUEUE,
    OWN_SINCE,
    POSITION,
    READY,
    REALISED,
    RESERVED,
    SIZE,
    Numbers,
)
from kalshiflow.market.flat import ACCOUNT_WIDTH
from kalshiflow.simulator.queue import ahead, join, on_decrease, on_increase, on_trade

# The account table has the numbers from BUDGET to FILLED, then price, quantity and time of the own
# order of each side.
ORDER_COLUMNS = 3
FIRST_ORDER = ACCOUNT_WIDTH - 2 * ORDER_COLUMNS

# One's queue moves only by what is sure to have moved it.
PESSIMISTIC = 0
ENDLESS = 10**15  # behind whatever a level will turn out to hold


def bid_touch(seen: Sequence[int]) -> int:
    """Give the index of the best bid once one's own is taken away, -1 where nothing is left."""
    index = seen[BEST_BID]
    if index < 0 or index != seen[OWN_BID + OWN_INDEX]:
        return index
    if seen[BOOK + index] > seen[OWN_BID + OWN_QUANTITY]:
        return index
    index = index - 1
    while index >= 0 and seen[BOOK + index] == 0:
        index = index - 1
    return index


def ask_touch(seen: Sequence[int]) -> int:
    """Give the index of the best ask once one's own is taken away, SIZE where nothing is left."""
    index = seen[BEST_ASK]
    size = seen[SIZE]
    if index >= size or index != seen[OWN_ASK + OWN_INDEX]:
        return index
    if seen[BOOK + size + index] > seen[OWN_ASK + OWN_QUANTITY]:
        return index
    index = index + 1
    while index < size and seen[BOOK + size + index] == 0:
        index = index + 1
    return index


def mid2_of(seen: Sequence[int], prices: Sequence[int]) -> int:
    """Give best bid plus best ask, one's own left out; 0 and 1 dollar where a side is empty."""
    bid = bid_touch(seen)
    ask = ask_touch(seen)
    low = prices[bid] if bid >= 0 else 0
    return low + (prices[ask] if ask < seen[SIZE] else DOLLAR)


def show_order(seen: Numbers, side: int, index: int, quantity: int, since: int) -> None:
    """Know one's own resting order of a side; one that is new stands at the end of its level."""
    own = OWN_ASK if side else OWN_BID
    if seen[own + OWN_INDEX] != index or seen[own + OWN_SINCE] != since:
        # The level may hold the order already. That it then counts as standing before itself does
        # no harm: what is ahead is bounded by what the others have there.
        level = seen[BOOK + index + (seen[SIZE] if side else 0)] if seen[READY] else ENDLESS
        join(seen, own + OWN_QUEUE, level, since)
        seen[own + OWN_INDEX] = index
        seen[own + OWN_SINCE] = since
    seen[own + OWN_QUANTITY] = quantity


def stand_last(seen: Numbers, side: int) -> None:
    """Know no more what stands ahead of one's own order of a side: all of its level, at most."""
    own = OWN_ASK if side else OWN_BID
    if seen[own + OWN_INDEX] >= 0:
        join(seen, own + OWN_QUEUE, ENDLESS, seen[own + OWN_SINCE])


def hide_order(seen: Numbers, side: int) -> None:
    """Know that no order of one's own rests on a side."""
    own = OWN_ASK if side else OWN_BID
    seen[own + OWN_INDEX] = -1
    seen[own + OWN_QUANTITY] = 0


def others_at(seen: Sequence[int], side: int, index: int) -> int:
    """Give what the others have at a level."""
    quantity = seen[BOOK + index + (seen[SIZE] if side else 0)]
    own = OWN_ASK if side else OWN_BID
    if index == seen[own + OWN_INDEX]:
        quantity = max(quantity - seen[own + OWN_QUANTITY], 0)
    return quantity


def queue_ahead(seen: Sequence[int], side: int) -> int:
    """Give the volume ahead of one's own order of a side; 0 where there is none."""
    own = OWN_ASK if side else OWN_BID
    index = seen[own + OWN_INDEX]
    if index < 0:
        return 0
    return ahead(seen, own + OWN_QUEUE, others_at(seen, side, index))


def queue_changed(seen: Numbers, side: int, before: int, after: int, at: int) -> None:
    """Take in that the others at one's own order's level now have `after`."""
    queue = (OWN_ASK if side else OWN_BID) + OWN_QUEUE
    if after > before:
        on_increase(seen, queue, before)
    elif after < before:
        on_decrease(seen, queue, before, before - after, PESSIMISTIC, False, at)


def queue_traded(seen: Numbers, side: int, index: int, quantity: int, at: int) -> None:
    """Take in that takers took from a level, perhaps that of one's own order."""
    own = OWN_ASK if side else OWN_BID
    if index == seen[own + OWN_INDEX]:
        on_trade(seen, own + OWN_QUEUE, others_at(seen, side, index), quantity, quantity, at)


def hold(
    seen: Numbers, position: int, cost: int, realised: int, fees: int, reserved: int, at: int
) -> None:
    """Take the ledger's figures; holding time begins when a side is first held."""
    before = seen[POSITION]
    if position == 0:
        seen[HELD_SINCE] = -1
    elif before == 0 or (before > 0) != (position > 0):
        seen[HELD_SINCE] = at
    seen[POSITION] = position
    seen[COST] = cost
    seen[REALISED] = realised
    seen[FEES] = fees
    seen[RESERVED] = reserved


def order_sent(seen: Numbers, quantity: int, at: int) -> None:
    """Take note that an order leaves for the exchange."""
    seen[ORDERED_AT] = at
    seen[ORDERED] = quantity
    seen[FILLED] = 0


def order_filled(seen: Numbers, quantity: int) -> None:
    """Take note of a fill of the last order."""
    seen[FILLED] = min(seen[FILLED] + quantity, seen[ORDERED])


def see_account(seen: Numbers, prices: Sequence[int], accounts: Sequence[int], start: int) -> None:
    """Take in one's own affairs: the row of the account table (`market.flat`) from `start` on."""
    for column in range(FIRST_ORDER):
        seen[BUDGET + column] = accounts[start + column]
    for side in range(2):
        order = start + FIRST_ORDER + ORDER_COLUMNS * side
        if accounts[order] < 0:
            hide_order(seen, side)
        else:
            index = place_of(prices, seen[SIZE], accounts[order])
            show_order(seen, side, index, accounts[order + 1], accounts[order + 2])


def place_of(prices: Sequence[int], size: int, price: int) -> int:
    """Give the place of the first of a grid's prices that is not below `price`."""
    low = 0
    high = size - 1
    while low < high:
        middle = (low + high) // 2
        if prices[middle] < price:
            low = middle + 1
        else:
            high = middle
    return low
