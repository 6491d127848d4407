"""What the policy sees of a simulated market: what is published, and its own orders and account."""

from collections.abc import Sequence

from kalshiflow.agent.seen import (
    hide_order,
    hold,
    order_filled,
    see_change,
    see_snapshot,
    see_status,
    see_trade,
    show_order,
)
from kalshiflow.learning.lanes.layout import TOLD_FILLS, Floats, Numbers
from kalshiflow.market.flat import DELTA, OWN_DELTA, SNAPSHOT, TRADE
from kalshiflow.market.units import Price
from kalshiflow.simulator.own_orders import NO_SLOT, best_slot
from kalshiflow.simulator.state import (
    COST,
    FEES,
    FILL_QUANTITY,
    FILL_ROOM,
    FILLS_COUNT,
    ORDER_INDEX,
    ORDER_REMAINING,
    ORDER_SINCE,
    POSITION,
    REALISED,
    RESERVED,
    fill_at,
    order_at,
)
from kalshiflow.simulator.told import (
    COUNT,
    ROW_AT,
    ROW_INDEX,
    ROW_KIND,
    ROW_QUANTITY,
    ROW_SIDE,
    ROW_SIZE,
    ROWS,
)


def see_told(seen: Numbers, flows: Floats, prices: Sequence[Price], told: Numbers) -> bool:
    """Take in what the simulator has told, and say whether the book changed by it."""
    is_change = False
    row = ROWS
    for _ in range(told[COUNT]):
        kind, side, index = told[row + ROW_KIND], told[row + ROW_SIDE], told[row + ROW_INDEX]
        quantity, at = told[row + ROW_QUANTITY], told[row + ROW_AT]
        if kind in (DELTA, OWN_DELTA):
            see_change(seen, flows, prices, side, index, quantity, kind == OWN_DELTA, at)
            is_change = True
        elif kind == TRADE:
            see_trade(seen, flows, prices, side, index, quantity, at)
        elif kind == SNAPSHOT:
            see_snapshot(seen, flows, prices, told, quantity, at)
            is_change = True
        elif index >= 0:
            see_status(seen, index)
        row += ROW_SIZE
    told[COUNT] = 0
    return is_change


def see_own(lane: Numbers, seen: Numbers, market: Sequence[int], at: int) -> None:
    """Carry what our orders and the ledger have become over to what is seen."""
    fills = market[FILLS_COUNT]
    for number in range(max(lane[TOLD_FILLS], fills - market[FILL_ROOM]), fills):
        order_filled(seen, market[fill_at(market, number) + FILL_QUANTITY])
    lane[TOLD_FILLS] = fills
    hold(
        seen,
        market[POSITION],
        market[COST],
        market[REALISED],
        market[FEES],
        market[RESERVED],
        at,
    )
    for side in range(2):
        slot = best_slot(market, side)
        if slot == NO_SLOT:
            hide_order(seen, side)
        else:
            order = order_at(slot)
            remaining, since = market[order + ORDER_REMAINING], market[order + ORDER_SINCE]
            show_order(seen, side, market[order + ORDER_INDEX], remaining, since)
