"""A recorded snapshot: differences to the recorded book, and the whole book told anew."""

from collections.abc import Sequence

from kalshiflow.market.flat import SNAPSHOT
from kalshiflow.market.units import Price
from kalshiflow.simulator.levels import change_level, recorded_at, shown
from kalshiflow.simulator.queues import meet_decrease
from kalshiflow.simulator.recorded import raise_level
from kalshiflow.simulator.state import (
    ORDER_INDEX,
    ORDER_REMAINING,
    ORDER_SIDE,
    RESTING,
    SIZE,
    Numbers,
    order_at,
)
from kalshiflow.simulator.told import body_at, tell


def recorded_snapshot(
    market: Numbers,
    prices: Sequence[Price],
    bodies: Sequence[int],
    start: int,
    at: int,
    told: Numbers,
) -> None:
    """Follow a recorded snapshot, the body of which begins at `start`.

    What was taken stays taken. All decreases come before any increase, and increases from the best
    level on, as those would meet our orders. The row told last has the body of what is shown in
    `told`: its quantity says where.
    """
    for side in range(2):
        _lower_levels(market, prices, bodies, start, side, at, told)
    for side in range(2):
        level = _levels_at(bodies, start, side)
        for _ in range(bodies[start + side]):
            index, quantity = bodies[level], bodies[level + 1]
            more = quantity - market[recorded_at(market, side, index)]
            if more > 0:
                raise_level(market, prices, side, index, more, at, told)
            level += 2
    _tell_book(market, at, told)


def _lower_levels(
    market: Numbers,
    prices: Sequence[Price],
    bodies: Sequence[int],
    start: int,
    side: int,
    at: int,
    told: Numbers,
) -> None:
    """Lower each level to what the snapshot holds of it; its levels stand from the best on.

    No trade is inferred from it.
    """
    level = _levels_at(bodies, start, side)
    end = level + 2 * bodies[start + side]
    for step in range(market[SIZE]):
        index = market[SIZE] - 1 - step if side == 0 else step
        quantity = 0
        if level < end and bodies[level] == index:
            quantity = bodies[level + 1]
            level += 2
        more = quantity - market[recorded_at(market, side, index)]
        if more < 0:
            before = shown(market, side, index)
            lost = -change_level(market, side, index, more)
            if lost > 0:
                meet_decrease(market, prices, side, index, before, lost, False, at, told)


def _levels_at(bodies: Sequence[int], start: int, side: int) -> int:
    return start + 2 if side == 0 else start + 2 + 2 * bodies[start]


def _tell_book(market: Sequence[int], at: int, told: Numbers) -> None:
    start = body_at(market[SIZE])
    position = start + 2
    for side in range(2):
        levels = 0
        for step in range(market[SIZE]):
            index = market[SIZE] - 1 - step if side == 0 else step
            quantity = shown(market, side, index) + own_at(market, side, index)
            if quantity > 0:
                told[position] = index
                told[position + 1] = quantity
                position += 2
                levels += 1
        told[start + side] = levels
    tell(told, SNAPSHOT, 0, position - start, start, at)


def own_at(market: Sequence[int], side: int, index: int) -> int:
    """Give what our own orders hold at a level."""
    total = 0
    for slot in range(market[RESTING]):
        order = order_at(slot)
        if market[order + ORDER_SIDE] == side and market[order + ORDER_INDEX] == index:
            total += market[order + ORDER_REMAINING]
    return total
