"""Fills of our own orders: booked, kept in the log, and told as the exchange publishes them."""

from collections.abc import Sequence

from kalshiflow.market.flat import ACTIVE, DELTA, OWN_DELTA, TRADE
from kalshiflow.market.units import Price
from kalshiflow.simulator.commands import forget_cancel
from kalshiflow.simulator.ledger import book_fill, charge, reserve_anew
from kalshiflow.simulator.levels import is_within
from kalshiflow.simulator.own_orders import NO_SLOT, best_slot, drop_order
from kalshiflow.simulator.state import (
    COMMANDS,
    FILL_AT,
    FILL_FEE,
    FILL_INDEX,
    FILL_INFERRED,
    FILL_NUMBER,
    FILL_QUANTITY,
    FILL_ROLE,
    FILL_ROOM,
    FILL_SIDE,
    FILLS_COUNT,
    MAKER,
    ORDER_INDEX,
    ORDER_NUMBER,
    ORDER_REMAINING,
    ORDER_SIDE,
    STATUS,
    Numbers,
    fill_at,
    order_at,
)
from kalshiflow.simulator.told import tell


def fill_order(
    market: Numbers,
    prices: Sequence[Price],
    slot: int,
    index: int,
    quantity: int,
    role: int,
    is_inferred: int,
    at: int,
) -> None:
    """Fill an own order at a price; it is dropped with its last contract."""
    order = order_at(slot)
    side, price = market[order + ORDER_SIDE], prices[index]
    fee = charge(market, order, price, quantity, role, at)
    book_fill(market, side, price, quantity, fee)
    _keep_fill(market, slot, index, quantity, role, fee, is_inferred, at)
    market[order + ORDER_REMAINING] -= quantity
    if market[order + ORDER_REMAINING] == 0:
        end_order(market, slot)
    reserve_anew(market, prices)


def meet(
    market: Numbers,
    prices: Sequence[Price],
    slot: int,
    reached: int,
    is_told: bool,
    is_inferred: int,
    at: int,
    told: Numbers,
) -> int:
    """Fill a resting order, at its own price, by what reaches it of a taker; gives what it filled.

    `is_told` says that the public has heard of the trade. While nothing may trade, the order is
    taken off instead.
    """
    if market[STATUS] != ACTIVE:
        take_off(market, prices, slot, at, told)
        return 0
    order = order_at(slot)
    side, index = market[order + ORDER_SIDE], market[order + ORDER_INDEX]
    quantity = min(reached, market[order + ORDER_REMAINING])
    fill_order(market, prices, slot, index, quantity, MAKER, is_inferred, at)
    if not is_told:
        tell(told, TRADE, 1 - side, index, quantity, at)
    tell(told, DELTA, side, index, -quantity, at)
    return quantity


def meet_reached(
    market: Numbers,
    prices: Sequence[Price],
    taker_side: int,
    limit: int,
    quantity: int,
    at: int,
    told: Numbers,
) -> int:
    """Fill own orders that a taker of `quantity` with this limit reaches; gives what they took.

    Best price first, then in order of arrival.
    """
    left = quantity
    while left > 0:
        slot = best_slot(market, 1 - taker_side)
        if slot == NO_SLOT:
            break
        index = market[order_at(slot) + ORDER_INDEX]
        if not is_within(taker_side, index, limit):
            break
        left -= meet(market, prices, slot, left, False, 0, at, told)
    return quantity - left


def take_off(market: Numbers, prices: Sequence[Price], slot: int, at: int, told: Numbers) -> None:
    """Take a resting order out of the book, and tell its level."""
    order = order_at(slot)
    side, index = market[order + ORDER_SIDE], market[order + ORDER_INDEX]
    tell(told, OWN_DELTA, side, index, -market[order + ORDER_REMAINING], at)
    end_order(market, slot)
    reserve_anew(market, prices)


def end_order(market: Numbers, slot: int) -> None:
    """Drop an order and the cancel that may be under way for it."""
    if market[COMMANDS] > 0:
        forget_cancel(market, market[order_at(slot) + ORDER_NUMBER])
    drop_order(market, slot)


def _keep_fill(
    market: Numbers,
    slot: int,
    index: int,
    quantity: int,
    role: int,
    fee: int,
    is_inferred: int,
    at: int,
) -> None:
    if market[FILL_ROOM] > 0:
        fill = fill_at(market, market[FILLS_COUNT])
        market[fill + FILL_SIDE] = market[order_at(slot) + ORDER_SIDE]
        market[fill + FILL_INDEX] = index
        market[fill + FILL_QUANTITY] = quantity
        market[fill + FILL_ROLE] = role
        market[fill + FILL_FEE] = fee
        market[fill + FILL_AT] = at
        market[fill + FILL_INFERRED] = is_inferred
        market[fill + FILL_NUMBER] = market[order_at(slot) + ORDER_NUMBER]
    market[FILLS_COUNT] += 1
