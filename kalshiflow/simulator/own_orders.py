"""Our own orders in the book of `state`: a short list in order of arrival."""

from collections.abc import Sequence

from kalshiflow.simulator.state import (
    ORDER_INDEX,
    ORDER_NUMBER,
    ORDER_REMAINING,
    ORDER_ROUNDING,
    ORDER_SIDE,
    ORDER_SINCE,
    ORDER_SIZE,
    RESTING,
    Numbers,
    order_at,
)

NO_SLOT = -1


def add_order(market: Numbers, number: int, side: int, index: int, quantity: int, at: int) -> int:
    """Put an order last, and give its slot; who sends orders sees to it that there is room."""
    slot = market[RESTING]
    order = order_at(slot)
    market[order + ORDER_NUMBER] = number
    market[order + ORDER_SIDE] = side
    market[order + ORDER_INDEX] = index
    market[order + ORDER_REMAINING] = quantity
    market[order + ORDER_SINCE] = at
    market[order + ORDER_ROUNDING] = 0
    market[RESTING] = slot + 1
    return slot


def drop_order(market: Numbers, slot: int) -> None:
    """Take an order out; the ones behind it move up."""
    last = market[RESTING] - 1
    for position in range(order_at(slot), order_at(last)):
        market[position] = market[position + ORDER_SIZE]
    market[RESTING] = last


def slot_of(market: Sequence[int], number: int) -> int:
    """Give the slot of a resting order by its number, or NO_SLOT."""
    for slot in range(market[RESTING]):
        if market[order_at(slot) + ORDER_NUMBER] == number:
            return slot
    return NO_SLOT


def best_slot(market: Sequence[int], side: int) -> int:
    """Give the slot of the order of a side that trades first: best price, then first to arrive."""
    best = NO_SLOT
    best_index = 0
    for slot in range(market[RESTING]):
        order = order_at(slot)
        if market[order + ORDER_SIDE] != side:
            continue
        index = market[order + ORDER_INDEX]
        is_better = index > best_index if side == 0 else index < best_index
        if best == NO_SLOT or is_better:
            best = slot
            best_index = index
    return best
