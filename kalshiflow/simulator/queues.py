"""Trades and changes of a level as our resting orders there meet them, by the rules of `queue`."""

from collections.abc import Sequence

from kalshiflow.market.units import Price
from kalshiflow.simulator.fills import meet
from kalshiflow.simulator.levels import shown, take_level
from kalshiflow.simulator.queue import (
    AHEAD,
    ahead,
    lost_with,
    on_decrease,
    on_increase,
    on_trade,
)
from kalshiflow.simulator.state import (
    MODEL,
    ORDER_INDEX,
    ORDER_QUEUE,
    ORDER_SIDE,
    RESTING,
    Numbers,
    order_at,
)


def stands_at(market: Sequence[int], slot: int, side: int, index: int) -> bool:
    """Say whether a resting order stands at a level."""
    order = order_at(slot)
    return market[order + ORDER_SIDE] == side and market[order + ORDER_INDEX] == index


def queue_behind(market: Numbers, side: int, index: int, level_before: int) -> None:
    """Let an increase of a level stand behind our orders there."""
    for slot in range(market[RESTING]):
        if stands_at(market, slot, side, index):
            on_increase(market, order_at(slot) + ORDER_QUEUE, level_before)


def take_ahead(market: Numbers, side: int, index: int, quantity: int) -> int:
    """Take what stands ahead of our first order at a level, up to `quantity`; gives what it took.

    With it all our orders there move up.
    """
    level = shown(market, side, index)
    for slot in range(market[RESTING]):
        if stands_at(market, slot, side, index):
            quantity = min(quantity, ahead(market, order_at(slot) + ORDER_QUEUE, level))
            break
    got = take_level(market, side, index, quantity)
    for slot in range(market[RESTING]):
        if stands_at(market, slot, side, index):
            place = order_at(slot) + ORDER_QUEUE
            market[place + AHEAD] = max(ahead(market, place, level) - got, 0)
    return got


def meet_trade(
    market: Numbers,
    prices: Sequence[Price],
    side: int,
    index: int,
    quantity: int,
    left: int,
    at: int,
    told: Numbers,
) -> None:
    """Let a public trade eat the queues at its price and fill what it gets to, in arrival's order.

    `side` is the resting orders'; `left` is what of the trade is left when it comes to the level.
    """
    slot = 0
    while slot < market[RESTING]:
        resting = market[RESTING]
        if stands_at(market, slot, side, index):
            place, level = order_at(slot) + ORDER_QUEUE, shown(market, side, index)
            past = min(on_trade(market, place, level, quantity, left, at), left)
            if past > 0:
                left -= meet(market, prices, slot, past, True, 0, at, told)
        if market[RESTING] == resting:  # else the next order has moved up into this slot
            slot += 1


def meet_decrease(
    market: Numbers,
    prices: Sequence[Price],
    side: int,
    index: int,
    level_before: int,
    lost: int,
    is_trade: bool,
    at: int,
    told: Numbers,
) -> None:
    """Move our orders up where others left their level.

    `is_trade` says that the decrease may be a trade that nobody told of: what that fills is marked
    as inferred.
    """
    left = lost
    slot = 0
    while slot < market[RESTING]:
        resting = market[RESTING]
        if stands_at(market, slot, side, index):
            place = order_at(slot) + ORDER_QUEUE
            past = on_decrease(market, place, level_before, left, market[MODEL], is_trade, at)
            if past > 0:
                got = meet(market, prices, slot, past, False, 1, at, told)
                left -= lost_with(got, market[MODEL])
        if market[RESTING] == resting:
            slot += 1
