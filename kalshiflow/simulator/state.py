"""What the simulator holds of one market, as one flat list of whole numbers.

The recorded book and what our fills took of it, our orders, our commands under way, the ledger, and
the latest fills. Pure functions in the arithmetic that compiled and interpreted code share: paper
trading and the Gymnasium environment run them on lists, `learning.compiled` on arrays. Amounts are
in the units of `market.units`, times are market time in nanoseconds.
"""

from collections.abc import MutableSequence, Sequence

from kalshiflow.market.flat import ACTIVE
from kalshiflow.simulator.queue import QUEUE_SIZE

Numbers = MutableSequence[int]

# --- positions in `market` -----------------------------------------------------------------------
SIZE = 0  # steps of the price grid
BEST = 1  # index of the best bid that the others show (-1: none), then of the best ask (SIZE: none)
MODEL = 3  # the fill model
HAS_TRADES = 4  # whether the recording tells public trades
STATUS = 5  # number of the market's status

# What is charged, as `market.fees.quadratic_fee` wants it.
TAKER_QUARTERS = 6
MAKER_QUARTERS = 7
FEE_DENOMINATOR = 8

# The ledger.
CASH = 9  # all of it, what orders reserve included
RESERVED = 10
POSITION = 11  # signed: YES above zero, NO below
COST = 12
REALISED = 13  # before fees
FEES = 14
SETTLED = 15

SENT = 16  # orders sent so far: the number of the last one
REJECTED = 17
RESTING = 18  # own orders in the book
COMMANDS = 19  # commands under way
FILLS_COUNT = 20  # fills so far
FILL_ROOM = 21  # how many of the latest are kept

# Own orders in the book, in order of arrival: the first RESTING places are used.
ORDERS = 24
ORDER_ROOM = 8  # orders at a time, those under way included
ORDER_NUMBER, ORDER_SIDE, ORDER_INDEX, ORDER_REMAINING = 0, 1, 2, 3  # from the order's place on
ORDER_SINCE = 4  # when it came to rest
ORDER_ROUNDING = 5  # what rounding has taken and not given back: `market.fees`
ORDER_QUEUE = 6
ORDER_SIZE = ORDER_QUEUE + QUEUE_SIZE

# Commands under way, in order of arrival. Each order has at most one cancel among them.
COMMANDS_AT = ORDERS + ORDER_ROOM * ORDER_SIZE
COMMAND_ROOM = 2 * ORDER_ROOM
COMMAND_ARRIVES, COMMAND_KIND, COMMAND_NUMBER = 0, 1, 2  # from the command's place on
COMMAND_SIDE, COMMAND_INDEX, COMMAND_QUANTITY = 3, 4, 5
COMMAND_SIZE = 6
PLACE, PLACE_AND_NEVER_REST, CANCEL = 0, 1, 2  # kinds of command

# Recorded quantities by index, bids then asks; after them what own fills took of each.
BOOK = COMMANDS_AT + COMMAND_ROOM * COMMAND_SIZE

# The latest fills stand behind the book, as a ring.
FILL_SIDE, FILL_INDEX, FILL_QUANTITY, FILL_ROLE = 0, 1, 2, 3  # from the fill's place on
FILL_FEE, FILL_AT, FILL_INFERRED, FILL_NUMBER = 4, 5, 6, 7
FILL_SIZE = 8
TAKER, MAKER = 0, 1  # roles


def market_size(grid_size: int, fill_room: int) -> int:
    """Give the length of `market`."""
    return BOOK + 4 * grid_size + FILL_SIZE * fill_room


def begin(
    market: Numbers,
    grid_size: int,
    cash: int,
    model: int,
    has_trades: int,
    taker_quarters: int,
    maker_quarters: int,
    fee_denominator: int,
    fill_room: int,
) -> None:
    """Hold an empty book and an account with nothing but cash; the market is active."""
    for position in range(market_size(grid_size, fill_room)):
        market[position] = 0
    market[SIZE] = grid_size
    market[BEST] = -1
    market[BEST + 1] = grid_size
    market[MODEL] = model
    market[HAS_TRADES] = has_trades
    market[STATUS] = ACTIVE
    market[TAKER_QUARTERS] = taker_quarters
    market[MAKER_QUARTERS] = maker_quarters
    market[FEE_DENOMINATOR] = fee_denominator
    market[CASH] = cash
    market[FILL_ROOM] = fill_room


def order_at(slot: int) -> int:
    """Give the position of a resting order, by its place in the order of arrival."""
    return ORDERS + slot * ORDER_SIZE


def fill_at(market: Sequence[int], number: int) -> int:
    """Give the position of a fill, counted from 0; only the latest FILL_ROOM are there."""
    return BOOK + 4 * market[SIZE] + number % market[FILL_ROOM] * FILL_SIZE
