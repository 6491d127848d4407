"""What a fill costs: the exchange's trade fee, its rounding to the account's precision, rebates.

Source: Kalshi's fee schedule (effective 2026-07-07) and its page on fee rounding (2026-06-01).
"""

from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.listing import FeeTerms, FeeType
from kalshiflow.market.orders import Role
from kalshiflow.market.units import CASH_PER_CENT, DOLLAR, Cash, Price, Quantity, complement

CENTICENT = Cash(100)
WHOLE_CENT = CASH_PER_CENT
ORDER_CUSHION = Cash(2 * WHOLE_CENT)

# Until then all balances were whole cents (an earlier version of the page on fee rounding); its
# version of 2026-06-01 keeps those of direct members in centicents. The day between is not known.
CENTICENTS_SINCE = 1_780_272_000_000_000_000  # 2026-06-01 UTC, nanoseconds

# The fee on a trade is a share of 0.07 x multiplier x contracts x p x (1 - p): all of it for the
# taker, and for the maker these quarters of it. The table behind `flat` was never seen: both sides
# are taken to pay in full, and what is really paid is told by each fill.
_TAKER_QUARTERS = 4
_MAKER_QUARTERS = {
    FeeType.QUADRATIC: 0,
    FeeType.QUADRATIC_WITH_MAKER_FEES: 1,
    FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES: 2,
    FeeType.FLAT: 4,
}


@dataclass(frozen=True, slots=True)
class FillCost:
    """The parts of one fill's fee, and the order's new fee state.

    `accumulated` is what rounding has taken from the order and not yet given back; it goes into the
    order's next fill, whichever side of liquidity that one is on.
    """

    trade_fee: Cash
    rounding_fee: Cash
    rebate: Cash
    accumulated: Cash

    @property
    def net(self) -> Cash:
        """Give what the account pays, never below zero."""
        return Cash(self.trade_fee + self.rounding_fee - self.rebate)


def trade_fee(
    terms: FeeTerms, role: Role, price: Price, quantity: Quantity, quantum: Cash = CENTICENT
) -> Cash:
    """Give the fee model's amount for a trade at a YES price, rounded up to `quantum`."""
    taker_quarters, maker_quarters, denominator = fee_numbers(terms)
    quarters = taker_quarters if role == Role.TAKER else maker_quarters
    return Cash(quadratic_fee(price, quantity, quarters, denominator, quantum))


def fee_numbers(terms: FeeTerms) -> tuple[int, int, int]:
    """Give the taker's quarters, the maker's, and the denominator, as `quadratic_fee` wants them.

    The quarters hold the numerator of the multiplier.
    """
    numerator, denominator = terms.multiplier.numerator, terms.multiplier.denominator
    return (
        _TAKER_QUARTERS * numerator,
        _MAKER_QUARTERS[terms.fee_type] * numerator,
        denominator,
    )


def fits_63_bits(terms: FeeTerms, quantity: int) -> bool:
    """Say whether compiled code, whose whole numbers wrap, can work out the fee on a quantity."""
    largest = 7 * max(fee_numbers(terms)[:2]) * quantity * (DOLLAR // 2) ** 2
    return largest < 2**63


def fill_cost(
    accumulated: Cash,
    terms: FeeTerms,
    role: Role,
    side: Side,
    price: Price,
    quantity: Quantity,
    *,
    quantum: Cash = CENTICENT,
    precision: Cash = CENTICENT,
) -> FillCost:
    """Give the cost of an order's next fill.

    `accumulated` is the order's fee state (zero before its first fill), `quantum` what trade fees
    are rounded up to, and `precision` what the account's balance is kept in: $0.0001 for direct
    members of the exchange, $0.01 for others.
    """
    charged = trade_fee(terms, role, price, quantity, quantum)
    notional = price * quantity
    # A seller from flat is paid (p - 1) x q, not p x q: whole cents less, so the rounding is equal.
    revenue = -notional if side == Side.BID else notional
    rounding, rebate, left = rounding_step(accumulated, revenue, charged, precision)
    return FillCost(charged, Cash(rounding), Cash(rebate), Cash(left))


def worst_case_fee(terms: FeeTerms, price: Price, quantity: Quantity) -> Cash:
    """Give the most that an order may pay in fees: the taker's at its limit price, and two cents.

    The two cents stand for what rounding adds, which is below two hundredths of a cent per fill for
    a direct member: enough for a hundred fills of one order (an account kept in whole cents may pay
    up to a cent on each). A fill at a better price may be charged more, but gains more by its price
    while the multiplier is below 14.
    """
    return Cash(trade_fee(terms, Role.TAKER, price, quantity) + ORDER_CUSHION)


def quadratic_fee(
    price: Price, quantity: int, quarters: int, denominator: int, quantum: int
) -> int:
    """Give 0.07 x quarters/4 x contracts x p x (1 - p) / denominator, rounded up to `quantum`.

    Plain integers: price in 1/10000 dollar and quantity in 1/100 contract give 1/1000000 dollar.
    """
    numerator = 7 * quarters * quantity * price * complement(price)
    step = 4_000_000 * denominator * quantum
    return -(-numerator // step) * quantum


def balance_precision(at: int) -> int:
    """Give what a direct member's balance was kept in at a time (UTC nanoseconds).

    With whole cents the fees of an order come to what they were when they were rounded up to a cent
    per order, but for the last rebate.
    """
    return CENTICENT if at >= CENTICENTS_SINCE else WHOLE_CENT


def rounding_step(
    accumulated: int, revenue: int, charged: int, precision: int
) -> tuple[int, int, int]:
    """Give the rounding fee, the rebate and the order's new accumulated rounding.

    `revenue` is signed (negative for a buyer) and `charged` is the trade fee. The change of balance
    is floored to `precision`; what the floor took accumulates, and is given back in whole cents
    once it exceeds one. No fill's fee is ever negative, so a rebate that would make it so waits for
    a later fill of the order.
    """
    rounding = (revenue - charged) % precision
    accumulated += rounding
    if accumulated <= WHOLE_CENT:
        return rounding, 0, accumulated
    due = (accumulated - 1) // WHOLE_CENT
    payable = (charged + rounding) // WHOLE_CENT
    rebate = min(due, payable) * WHOLE_CENT
    return rounding, rebate, accumulated - rebate
