"""Which actions of a table are allowed, and what each comes to: one rule for every table.

Pure functions in the arithmetic that compiled and interpreted code share. `rows` is
`ActionTable.numbers()`, `seen` what is seen of the market, `bid` and `ask` the places of the touch,
one's own orders left out.
"""

from collections.abc import Sequence

from kalshiflow.agent.action_table import (
    BETTER,
    FAR,
    ROW_CLOSING,
    ROW_PRICE,
    ROW_SIDE,
    ROW_SIZE,
    ROW_WIDTH,
)
from kalshiflow.agent.layout import (
    BUDGET,
    COST,
    DOLLAR,
    FEE_DENOMINATOR,
    FEES,
    ORDER_QUANTITY,
    OWN_ASK,
    OWN_BID,
    OWN_INDEX,
    OWN_SINCE,
    POSITION,
    READY,
    READY_TO_ACT,
    REALISED,
    SIZE,
    STATUS,
    TAKER_QUARTERS,
    Numbers,
)
from kalshiflow.agent.own import ask_touch, bid_touch
from kalshiflow.market.fees import CENTICENT, ORDER_CUSHION, quadratic_fee
from kalshiflow.market.flat import ACTIVE
from kalshiflow.market.units import Price

# Positions in what `decide` gives.
DONE = 0  # the action that is done
FORBIDDEN = 1  # 1 where another was chosen and became HOLD
SIDE = 2  # of the order, -1 where there is none
INDEX = 3
QUANTITY = 4
CANCEL_BID = 5
CANCEL_ASK = 6
DECISION_SIZE = 7


def allow_rows(
    rows: Sequence[int], count: int, seen: Sequence[int], prices: Sequence[int], out: Numbers
) -> None:
    """Write for each of `count` actions whether it is allowed: the first always is."""
    bid = bid_touch(seen)
    ask = ask_touch(seen)
    for action in range(count):
        out[action] = is_allowed(rows, action, seen, prices, bid, ask)


def is_allowed(
    rows: Sequence[int],
    action: int,
    seen: Sequence[int],
    prices: Sequence[int],
    bid: int,
    ask: int,
) -> int:
    """Say whether one action is allowed (1 or 0) while `bid` and `ask` are the touch.

    An order needs a book to trust, a market that trades and its price; to close, that what it
    closes is held; to open, that the other side is not held, and its price and its worst fee.
    """
    row = action * ROW_WIDTH
    side = rows[row + ROW_SIDE]
    if side < 0:
        return 1
    if seen[READY] != READY_TO_ACT or seen[STATUS] != ACTIVE:
        return 0
    index = order_index(rows[row + ROW_PRICE], side, bid, ask, seen[SIZE])
    if index < 0:
        return 0
    held = seen[POSITION] if side == 0 else -seen[POSITION]
    if rows[row + ROW_CLOSING]:
        return 1 if held < 0 else 0
    if held < 0:
        return 0
    price = Price(prices[index])
    quantity = seen[ORDER_QUANTITY] * rows[row + ROW_SIZE]
    fee = quadratic_fee(price, quantity, seen[TAKER_QUARTERS], seen[FEE_DENOMINATOR], CENTICENT)
    needed = (price if side == 0 else DOLLAR - price) * quantity + fee + ORDER_CUSHION
    # What a resting order keeps counts as free, for it is cancelled first.
    spendable = seen[BUDGET] - seen[COST] + seen[REALISED] - seen[FEES]
    return 1 if needed <= spendable else 0


def order_index(rule: int, side: int, bid: int, ask: int, size: int) -> int:
    """Give the place of an order's price in the grid; -1 where there is none."""
    far = ask if side == 0 else bid
    near = bid if side == 0 else ask
    index = near
    if rule == FAR:
        index = far
    elif rule == BETTER and 0 <= near < size:
        better = near + 1 if side == 0 else near - 1
        if better != far and 0 <= better < size:
            index = better
    return index if 0 <= index < size else -1


def decide_rows(
    rows: Sequence[int],
    count: int,
    lifetime: int,
    seen: Sequence[int],
    prices: Sequence[int],
    action: int,
    now: int,
    out: Numbers,
) -> None:
    """Write what an action of a table comes to; see `decide`."""
    bid = bid_touch(seen)
    ask = ask_touch(seen)
    done = 0
    if 0 <= action < count and is_allowed(rows, action, seen, prices, bid, ask):
        done = action
    row = done * ROW_WIDTH
    side = rows[row + ROW_SIDE]
    index = -1
    quantity = 0
    if side >= 0:
        index = order_index(rows[row + ROW_PRICE], side, bid, ask, seen[SIZE])
        quantity = seen[ORDER_QUANTITY] * rows[row + ROW_SIZE]
        if rows[row + ROW_CLOSING]:
            quantity = min(quantity, abs(seen[POSITION]))
    out[DONE] = done
    out[FORBIDDEN] = 1 if done != action else 0
    out[SIDE] = side
    out[INDEX] = index
    out[QUANTITY] = quantity
    out[CANCEL_BID] = must_cancel(seen, OWN_BID, side, now, lifetime)
    out[CANCEL_ASK] = must_cancel(seen, OWN_ASK, side, now, lifetime)


def must_cancel(seen: Sequence[int], own: int, side: int, now: int, lifetime: int) -> int:
    """Say whether one's own resting order must go: for another order, or for its age."""
    if seen[own + OWN_INDEX] < 0:
        return 0
    return 1 if side >= 0 or now - seen[own + OWN_SINCE] >= lifetime else 0
