"""One account's ledger for one market on the flat list: `market.Portfolio` by the same rules.

Tests hold the two equal over any sequence of orders, fills and settlements.
"""

from collections.abc import Sequence

from kalshiflow.market.fees import CENTICENT, balance_precision, quadratic_fee, rounding_step
from kalshiflow.market.position import fill_step, settlement_payout
from kalshiflow.market.reserve import (
    closable_by,
    opening_base,
    opening_quantity,
    reserve_needed,
    reserve_total,
)
from kalshiflow.market.units import Price
from kalshiflow.simulator.state import (
    CASH,
    COST,
    FEE_DENOMINATOR,
    FEES,
    MAKER_QUARTERS,
    ORDER_INDEX,
    ORDER_REMAINING,
    ORDER_ROUNDING,
    ORDER_SIDE,
    POSITION,
    REALISED,
    RESERVED,
    RESTING,
    SETTLED,
    TAKER,
    TAKER_QUARTERS,
    Numbers,
    order_at,
)


def can_place(
    market: Sequence[int], prices: Sequence[Price], side: int, index: int, quantity: int
) -> bool:
    """Say whether free cash covers an order that comes last; one that only closes always may."""
    before = 0
    for slot in range(market[RESTING]):
        order = order_at(slot)
        if market[order + ORDER_SIDE] == side:
            before += market[order + ORDER_REMAINING]
    free_to_close = max(closable_by(side, market[POSITION]) - before, 0)
    needed = reserve_needed(
        side,
        prices[index],
        opening_quantity(quantity, free_to_close),
        market[TAKER_QUARTERS],
        market[FEE_DENOMINATOR],
    )
    return needed == 0 or needed <= market[CASH] - market[RESERVED]


def reserve_anew(market: Numbers, prices: Sequence[Price]) -> None:
    """Share out the closing quantity in order of arrival, and add up what is reserved."""
    base = openers = 0
    left_bids = closable_by(0, market[POSITION])
    left_asks = closable_by(1, market[POSITION])
    for slot in range(market[RESTING]):
        order = order_at(slot)
        side, remaining = market[order + ORDER_SIDE], market[order + ORDER_REMAINING]
        opening = opening_quantity(remaining, left_bids if side == 0 else left_asks)
        if side == 0:
            left_bids -= remaining - opening
        else:
            left_asks -= remaining - opening
        if opening > 0:
            openers += 1
            base += opening_base(
                side,
                prices[market[order + ORDER_INDEX]],
                opening,
                market[TAKER_QUARTERS],
                market[FEE_DENOMINATOR],
            )
    market[RESERVED] = reserve_total(base, openers, market[CASH])


def charge(market: Numbers, order: int, price: Price, quantity: int, role: int, at: int) -> int:
    """Give the net fee of an order's next fill, and keep the order's rounding."""
    quarters = market[TAKER_QUARTERS] if role == TAKER else market[MAKER_QUARTERS]
    charged = quadratic_fee(price, quantity, quarters, market[FEE_DENOMINATOR], CENTICENT)
    revenue = price * quantity if market[order + ORDER_SIDE] == 1 else -price * quantity
    rounding, rebate, kept = rounding_step(
        market[order + ORDER_ROUNDING], revenue, charged, balance_precision(at)
    )
    market[order + ORDER_ROUNDING] = kept
    return charged + rounding - rebate


def book_fill(market: Numbers, side: int, price: Price, quantity: int, fee: int) -> None:
    """Book a fill; what is reserved is shared out anew after it."""
    held, cost, cash_change, realised, _ = fill_step(
        market[POSITION], market[COST], side, price, quantity
    )
    market[POSITION] = held
    market[COST] = cost
    market[CASH] += cash_change - fee
    market[REALISED] += realised
    market[FEES] += fee


def settle(market: Numbers, value: Price) -> None:
    """Pay the position at what its market settled at; no order may rest any more."""
    payout = settlement_payout(market[POSITION], value)
    market[CASH] += payout
    market[REALISED] += payout - market[COST]
    market[POSITION] = 0
    market[COST] = 0
    market[RESERVED] = 0
    market[SETTLED] = 1
