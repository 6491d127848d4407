"""Our commands as they arrive: an order takes what is shown, and what is left of it rests."""

from collections.abc import Sequence

from kalshiflow.market.flat import ACTIVE, OWN_DELTA, TRADE
from kalshiflow.market.units import Price
from kalshiflow.simulator.commands import command_at, drop_command, forget_cancel, next_arrival
from kalshiflow.simulator.fills import end_order, fill_order, take_off
from kalshiflow.simulator.ledger import can_place, reserve_anew
from kalshiflow.simulator.levels import is_within, shown, take_level
from kalshiflow.simulator.own_orders import NO_SLOT, add_order, best_slot, slot_of
from kalshiflow.simulator.queue import join
from kalshiflow.simulator.queues import take_ahead
from kalshiflow.simulator.state import (
    BEST,
    CANCEL,
    COMMAND_ARRIVES,
    COMMAND_INDEX,
    COMMAND_KIND,
    COMMAND_NUMBER,
    COMMAND_QUANTITY,
    COMMAND_SIDE,
    COMMANDS,
    ORDER_INDEX,
    ORDER_QUEUE,
    ORDER_REMAINING,
    ORDER_SIDE,
    PLACE_AND_NEVER_REST,
    REJECTED,
    RESTING,
    SETTLED,
    SIZE,
    STATUS,
    TAKER,
    Numbers,
    order_at,
)
from kalshiflow.simulator.told import tell


def obey_due(market: Numbers, prices: Sequence[Price], before: int, told: Numbers) -> None:
    """Obey the commands that arrive before a time; at the same time an event comes first."""
    while is_due(market, before):
        obey_next(market, prices, told)


def is_due(market: Sequence[int], before: int) -> bool:
    """Say whether a command arrives before a time."""
    return market[COMMANDS] > 0 and next_arrival(market) < before


def obey_next(market: Numbers, prices: Sequence[Price], told: Numbers) -> None:
    """Obey the command that arrives next."""
    command = command_at(0)
    at, kind = market[command + COMMAND_ARRIVES], market[command + COMMAND_KIND]
    number, side = market[command + COMMAND_NUMBER], market[command + COMMAND_SIDE]
    index, quantity = market[command + COMMAND_INDEX], market[command + COMMAND_QUANTITY]
    drop_command(market, 0)
    if kind == CANCEL:
        slot = slot_of(market, number)
        if slot != NO_SLOT:
            take_off(market, prices, slot, at, told)
        return
    is_open = market[STATUS] == ACTIVE and market[SETTLED] == 0
    if not is_open or not can_place(market, prices, side, index, quantity):
        market[REJECTED] += 1
        forget_cancel(market, number)
        return
    slot = add_order(market, number, side, index, quantity, at)
    reserve_anew(market, prices)
    may_rest = kind != PLACE_AND_NEVER_REST
    _enter(market, prices, slot, may_rest, at, told)


def _enter(
    market: Numbers,
    prices: Sequence[Price],
    slot: int,
    may_rest: bool,
    at: int,
    told: Numbers,
) -> None:
    orders = market[RESTING]
    meets_own = _sweep(market, prices, slot, at, told)
    if market[RESTING] < orders:  # it is filled
        return
    if meets_own or not may_rest:
        end_order(market, slot)
        reserve_anew(market, prices)
        return
    order = order_at(slot)
    side, index = market[order + ORDER_SIDE], market[order + ORDER_INDEX]
    join(market, order + ORDER_QUEUE, shown(market, side, index), at)
    tell(told, OWN_DELTA, side, index, market[order + ORDER_REMAINING], at)


def _sweep(market: Numbers, prices: Sequence[Price], slot: int, at: int, told: Numbers) -> bool:
    """Let an order take what is shown up to its limit, best level first.

    Gives whether it was stopped by our own order of the other side: at that one's price it takes
    what stands ahead of it, and what is left is to be cancelled (Kalshi's `taker_at_cross`).
    """
    order = order_at(slot)
    side, limit = market[order + ORDER_SIDE], market[order + ORDER_INDEX]
    other = 1 - side
    own = best_slot(market, other)
    stop = market[order_at(own) + ORDER_INDEX] if own != NO_SLOT else _beyond(market, other)
    left = market[order + ORDER_REMAINING]
    while left > 0:
        best = market[BEST + other]
        if is_within(side, stop, limit) and is_within(side, stop, best):
            if best == stop:
                _take(market, prices, slot, take_ahead(market, other, stop, left), stop, at, told)
            return True
        if best == _beyond(market, other) or not is_within(side, best, limit):
            return False
        got = take_level(market, other, best, left)
        left -= got
        _take(market, prices, slot, got, best, at, told)
    return False


def _take(
    market: Numbers,
    prices: Sequence[Price],
    slot: int,
    quantity: int,
    index: int,
    at: int,
    told: Numbers,
) -> None:
    if quantity == 0:
        return
    side = market[order_at(slot) + ORDER_SIDE]
    fill_order(market, prices, slot, index, quantity, TAKER, 0, at)
    tell(told, TRADE, side, index, quantity, at)
    tell(told, OWN_DELTA, 1 - side, index, -quantity, at)


def _beyond(market: Sequence[int], side: int) -> int:
    """Give the index of an empty side's best level: worse than any."""
    return -1 if side == 0 else market[SIZE]
