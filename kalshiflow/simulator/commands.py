"""Commands on their way to the exchange: they arrive in the order in which they were sent."""

from collections.abc import Sequence

from kalshiflow.simulator.own_orders import NO_SLOT, slot_of
from kalshiflow.simulator.state import (
    CANCEL,
    COMMAND_ARRIVES,
    COMMAND_INDEX,
    COMMAND_KIND,
    COMMAND_NUMBER,
    COMMAND_QUANTITY,
    COMMAND_SIDE,
    COMMAND_SIZE,
    COMMANDS,
    COMMANDS_AT,
    ORDER_ROOM,
    PLACE,
    PLACE_AND_NEVER_REST,
    RESTING,
    SENT,
    SIZE,
    Numbers,
)


def send_order(market: Numbers, side: int, index: int, quantity: int, arrives_at: int) -> int:
    """Send a limit order; gives its number, or 0 where it cannot be or there is no room for it."""
    return _send(market, PLACE, side, index, quantity, arrives_at)


def send_taker(market: Numbers, side: int, index: int, quantity: int, arrives_at: int) -> int:
    """Send an order of which nothing comes to rest (immediate or cancel)."""
    return _send(market, PLACE_AND_NEVER_REST, side, index, quantity, arrives_at)


def send_cancel(market: Numbers, number: int, arrives_at: int) -> None:
    """Send a cancel; nothing is sent where the order has ended or has a cancel under way."""
    for place in range(market[COMMANDS]):
        command = command_at(place)
        is_cancel = market[command + COMMAND_KIND] == CANCEL
        if is_cancel and market[command + COMMAND_NUMBER] == number:
            return
    if is_alive(market, number):
        _add(market, CANCEL, number, 0, 0, 0, arrives_at)


def is_alive(market: Sequence[int], number: int) -> bool:
    """Say whether an order rests or is on its way."""
    for place in range(market[COMMANDS]):
        if market[command_at(place) + COMMAND_NUMBER] == number:
            return True
    return slot_of(market, number) != NO_SLOT


def in_flight(market: Sequence[int]) -> int:
    """Give how many commands are under way."""
    return market[COMMANDS]


def withdraw(market: Numbers, number: int) -> bool:
    """Take back an order that is still on its way; gives whether it was."""
    for place in range(market[COMMANDS]):
        command = command_at(place)
        is_order = market[command + COMMAND_KIND] != CANCEL
        if is_order and market[command + COMMAND_NUMBER] == number:
            drop_command(market, place)
            forget_cancel(market, number)
            return True
    return False


def next_arrival(market: Sequence[int]) -> int:
    """Give when the next command arrives; there must be one."""
    return market[COMMANDS_AT + COMMAND_ARRIVES]


def next_number(market: Sequence[int]) -> int:
    """Give the number of the order that the next command is about."""
    return market[COMMANDS_AT + COMMAND_NUMBER]


def command_at(place: int) -> int:
    """Give the position of a command, by its place in the order of arrival."""
    return COMMANDS_AT + place * COMMAND_SIZE


def drop_command(market: Numbers, place: int) -> None:
    """Take a command out; the ones behind it move up."""
    last = market[COMMANDS] - 1
    for position in range(command_at(place), command_at(last)):
        market[position] = market[position + COMMAND_SIZE]
    market[COMMANDS] = last


def forget_cancel(market: Numbers, number: int) -> None:
    """Forget the cancel of an order that has ended, if there is one: it would do nothing."""
    for place in range(market[COMMANDS]):
        command = command_at(place)
        is_cancel = market[command + COMMAND_KIND] == CANCEL
        if is_cancel and market[command + COMMAND_NUMBER] == number:
            drop_command(market, place)
            return


def _send(market: Numbers, kind: int, side: int, index: int, quantity: int, arrives_at: int) -> int:
    if quantity <= 0 or index < 0 or index >= market[SIZE]:
        return 0
    if market[RESTING] + _orders_under_way(market) >= ORDER_ROOM:
        return 0
    market[SENT] += 1
    _add(market, kind, market[SENT], side, index, quantity, arrives_at)
    return market[SENT]


def _orders_under_way(market: Sequence[int]) -> int:
    count = 0
    for place in range(market[COMMANDS]):
        if market[command_at(place) + COMMAND_KIND] != CANCEL:
            count += 1
    return count


def _add(
    market: Numbers, kind: int, number: int, side: int, index: int, quantity: int, arrives_at: int
) -> None:
    place = market[COMMANDS]
    command = command_at(place)
    if place > 0:  # commands of one sender do not overtake each other
        arrives_at = max(arrives_at, market[command_at(place - 1) + COMMAND_ARRIVES])
    market[command + COMMAND_ARRIVES] = arrives_at
    market[command + COMMAND_KIND] = kind
    market[command + COMMAND_NUMBER] = number
    market[command + COMMAND_SIDE] = side
    market[command + COMMAND_INDEX] = index
    market[command + COMMAND_QUANTITY] = quantity
    market[COMMANDS] = place + 1
