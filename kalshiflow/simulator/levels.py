"""The recorded book of `state`, less what own fills took of it."""

from collections.abc import Sequence

from kalshiflow.simulator.overlay import change_recorded, take_shown
from kalshiflow.simulator.state import BEST, BOOK, MODEL, SIZE, Numbers


def recorded_at(market: Sequence[int], side: int, index: int) -> int:
    """Give the position of a level's recorded quantity."""
    return BOOK + side * market[SIZE] + index


def shown(market: Sequence[int], side: int, index: int) -> int:
    """Give what the others show at a level: what is recorded, less what own fills took."""
    recorded = BOOK + side * market[SIZE] + index
    return market[recorded] - market[recorded + 2 * market[SIZE]]


def change_level(market: Numbers, side: int, index: int, change: int) -> int:
    """Apply a recorded change, and give the change of what is shown."""
    recorded = recorded_at(market, side, index)
    taken = recorded + 2 * market[SIZE]
    change_of_shown = change_recorded(market, recorded, market, taken, change, market[MODEL])
    _keep_best(market, side, index)
    return change_of_shown


def take_level(market: Numbers, side: int, index: int, quantity: int) -> int:
    """Take up to `quantity` of what is shown, and give what was taken."""
    recorded = recorded_at(market, side, index)
    got = take_shown(market, recorded, market, recorded + 2 * market[SIZE], quantity)
    _keep_best(market, side, index)
    return got


def is_within(side: int, index: int, limit: int) -> bool:
    """Say whether an order of `side` with this limit may trade at a price."""
    return index <= limit if side == 0 else index >= limit


def _keep_best(market: Numbers, side: int, index: int) -> None:
    best = market[BEST + side]
    if shown(market, side, index) > 0:
        market[BEST + side] = max(best, index) if side == 0 else min(best, index)
    elif index == best:
        market[BEST + side] = _next_level(market, side, index)


def _next_level(market: Sequence[int], side: int, index: int) -> int:
    if side == 0:
        while index >= 0 and shown(market, 0, index) == 0:
            index -= 1
    else:
        while index < market[SIZE] and shown(market, 1, index) == 0:
            index += 1
    return index
