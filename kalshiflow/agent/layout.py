"""Where everything that is seen of one market stands, in two flat lists.

`seen` holds whole numbers (the book, its clock, one's own orders and account), `flows` floats (the
decayed sums). The book is the public one, one's own resting orders included, as the exchange
publishes it. Times are market time in nanoseconds, prices 1/10000 dollar, quantities 1/100
contract, cash 1/1000000 dollar.
"""

from collections.abc import MutableSequence

from kalshiflow.market.flat import ACTIVE
from kalshiflow.simulator.queue import QUEUE_SIZE

Numbers = MutableSequence[int]
Flows = MutableSequence[float]

DOLLAR = 10_000

# --- positions in `seen` -------------------------------------------------------------------------
SIZE = 0  # steps of the price grid
BEST_BID = 1  # index of the best level; -1 where the side is empty
BEST_ASK = 2  # … SIZE where the side is empty
STATUS = 3  # number of the market's status
CLOSE_TIME = 4  # -1 where unknown
READY = 5  # 0 where there is no book to trust, else one of the two below
TOTAL = 6  # quantity of all bids; that of all asks stands behind it

# What READY may be.
WITHOUT_TIME = 1  # a book, but no exchange time yet
READY_TO_ACT = 2

# The clock.
BUCKET = 8  # number of the newest bucket of the ring
MID2 = 9  # best bid plus best ask, one's own orders left out: twice the mid
TRADED = 10  # time of the last public trade, -1 before the first
LAST_PRICE = 11  # its price, -1 where unknown
LAST_SIGNED = 12  # its quantity, above zero where the taker bid
MOVED = 13  # time of the last change of the mid
CHANGED = 14  # time of the last change of the book by others

# One's own resting order of each side: index (-1: none), quantity, since when, and its queue.
OWN_BID = 16
OWN_ASK = 24
OWN_INDEX, OWN_QUANTITY, OWN_SINCE, OWN_QUEUE = 0, 1, 2, 3  # from OWN_BID or OWN_ASK on
OWN_SIZE = OWN_QUEUE + QUEUE_SIZE

# One's own affairs in this market, in the order of the account table (`market.flat`).
BUDGET = 32  # cash that may be used in this market, above zero
POSITION = 33  # signed, YES above zero
COST = 34
REALISED = 35
FEES = 36
RESERVED = 37
HELD_SINCE = 38  # -1 when flat
ORDERED_AT = 39  # -1 before the first order
ORDERED = 40  # quantity of the last order, at least 1
FILLED = 41  # what of it was filled

# The terms of acting.
ORDER_QUANTITY = 42
TAKER_QUARTERS = 43  # the taker's fee, as `market.fees.quadratic_fee` wants it
FEE_DENOMINATOR = 44

RING = 48  # twice the mid in each bucket of the last half minute
RING_SIZE = 128
BOOK = RING + RING_SIZE  # quantities by index: bids, then asks from BOOK + SIZE on

# --- positions in `flows` ------------------------------------------------------------------------
FLOW = 0  # contracts bought less contracts sold by takers
VOLUME = 1  # contracts traded
BID_PRESSURE = 2  # contracts added to the bids near the touch, less those taken away
ASK_PRESSURE = 3  # … to the asks
ACTIVITY = 4  # changes of the book
VARIANCE = 5  # squared changes of the mid, in cents
MEAN = 6  # MID2 as it was of late
FLOWS_SIZE = 7


def seen_size(grid_size: int) -> int:
    """Give the length of `seen` for a market with so many steps of price."""
    return BOOK + 2 * grid_size


def forget(seen: Numbers, flows: Flows, grid_size: int, close_time: int) -> None:
    """Know nothing of a market but its grid and its closing: no book, no orders, no position."""
    for position in range(seen_size(grid_size)):
        seen[position] = 0
    for position in range(FLOWS_SIZE):
        flows[position] = 0.0
    seen[SIZE] = grid_size
    seen[BEST_BID] = -1
    seen[BEST_ASK] = grid_size
    seen[STATUS] = ACTIVE
    seen[CLOSE_TIME] = close_time
    seen[MID2] = DOLLAR
    seen[TRADED] = -1
    seen[LAST_PRICE] = -1
    seen[OWN_BID + OWN_INDEX] = -1
    seen[OWN_ASK + OWN_INDEX] = -1
    seen[BUDGET] = 1
    seen[HELD_SINCE] = -1
    seen[ORDERED_AT] = -1
    seen[ORDERED] = 1
    seen[ORDER_QUANTITY] = 1
    seen[FEE_DENOMINATOR] = 1
