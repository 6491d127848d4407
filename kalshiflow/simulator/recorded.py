"""What the recording's events change: the book, the queues ahead of our orders, and our fills.

Each function adds to `told` what the public would see of it with our orders there.
"""

from collections.abc import Sequence

from kalshiflow.market.flat import ACTIVE, DELTA, INACTIVE, TRADE, UNKNOWN
from kalshiflow.market.flat import STATUS as STATUS_TOLD
from kalshiflow.market.units import Price
from kalshiflow.simulator.fills import meet_reached, take_off
from kalshiflow.simulator.ledger import settle
from kalshiflow.simulator.levels import change_level, recorded_at, shown, take_level
from kalshiflow.simulator.queues import meet_decrease, meet_trade, queue_behind
from kalshiflow.simulator.state import (
    BEST,
    HAS_TRADES,
    RESTING,
    SETTLED,
    STATUS,
    Numbers,
)
from kalshiflow.simulator.told import tell

FINE, BELOW_ZERO = 0, 1  # what is wrong with a recorded change
OFF_GRID = -1  # the index of a trade at a price that is not on the grid


def recorded_change(
    market: Numbers,
    prices: Sequence[Price],
    side: int,
    index: int,
    change: int,
    at: int,
    told: Numbers,
) -> int:
    """Follow a recorded delta; gives BELOW_ZERO, and changes nothing, where it cannot be true."""
    if market[recorded_at(market, side, index)] + change < 0:
        return BELOW_ZERO
    if market[RESTING] == 0:
        change_of_shown = change_level(market, side, index, change)
    elif change > 0:
        change_of_shown = raise_level(market, prices, side, index, change, at, told)
    else:
        change_of_shown = lower_level(market, prices, side, index, change, at, told)
    if change_of_shown != 0:
        tell(told, DELTA, side, index, change_of_shown, at)
    return FINE


def raise_level(
    market: Numbers,
    prices: Sequence[Price],
    side: int,
    index: int,
    change: int,
    at: int,
    told: Numbers,
) -> int:
    """Apply an increase: it fills our orders that it meets, and the rest of it stands behind."""
    queue_behind(market, side, index, shown(market, side, index))
    gained = change_level(market, side, index, change)
    took = meet_reached(market, prices, side, index, gained, at, told)
    return gained - take_level(market, side, index, took)


def lower_level(
    market: Numbers,
    prices: Sequence[Price],
    side: int,
    index: int,
    change: int,
    at: int,
    told: Numbers,
) -> int:
    """Apply a decrease: our orders move up, or are filled where it may be a trade."""
    before = shown(market, side, index)
    is_trade = market[HAS_TRADES] == 0 and market[BEST + side] == index
    change_of_shown = change_level(market, side, index, change)
    if change_of_shown < 0:
        lost = -change_of_shown
        meet_decrease(market, prices, side, index, before, lost, is_trade, at, told)
    return change_of_shown


def recorded_trade(
    market: Numbers,
    prices: Sequence[Price],
    side: int,
    index: int,
    quantity: int,
    at: int,
    told: Numbers,
) -> None:
    """Follow a recorded trade of a taker of `side`; one off the grid meets nobody.

    Our orders that are better than its price are filled first, at their own price. The trade is
    told as far as it went on to its own price.
    """
    left = quantity
    meets = market[RESTING] > 0 and index != OFF_GRID
    if meets:
        better = index - 1 if side == 0 else index + 1
        left -= meet_reached(market, prices, side, better, quantity, at, told)
    if left > 0:
        tell(told, TRADE, side, index, left, at)
    if meets:
        meet_trade(market, prices, 1 - side, index, quantity, left, at, told)


def recorded_status(
    market: Numbers, prices: Sequence[Price], status: int, value: int, at: int, told: Numbers
) -> None:
    """Follow a change of status (UNKNOWN: it stays), and a settlement (UNKNOWN: there is none).

    A market that resumes or stops for good cancels all orders that rest in it.
    """
    tell(told, STATUS_TOLD, 0, status, value, at)
    before = market[STATUS]
    if status != UNKNOWN:
        market[STATUS] = status
    resumes = before == INACTIVE and market[STATUS] == ACTIVE
    is_open = market[STATUS] == ACTIVE or market[STATUS] == INACTIVE
    settles = value != UNKNOWN and market[SETTLED] == 0
    if resumes or settles or not is_open:
        while market[RESTING] > 0:
            take_off(market, prices, 0, at, told)
    if settles:
        settle(market, Price(value))
