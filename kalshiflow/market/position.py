"""What one account holds in one market, and how a fill or a settlement changes it."""

from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.units import DOLLAR, NO_CASH, Cash, Price, Quantity, complement


@dataclass(frozen=True, slots=True)
class Position:
    """Contracts held, signed: YES above zero, NO below.

    `cost` is what those now held were bought for (never negative), `realised` the profit on those
    closed or settled, before fees; `fees` are all net fees paid in the market.
    """

    quantity: Quantity = Quantity(0)
    cost: Cash = NO_CASH
    realised: Cash = NO_CASH
    fees: Cash = NO_CASH


FLAT = Position()


@dataclass(frozen=True, slots=True)
class PositionStep:
    """A position after a fill or settlement, and what it did to cash (before fees)."""

    position: Position
    cash_change: Cash
    realised: Cash
    closed: Quantity
    opened: Quantity


def fill_position(
    position: Position, side: Side, price: Price, quantity: Quantity, fee: Cash = NO_CASH
) -> PositionStep:
    """Give the position after a fill at a YES price.

    A bid buys YES; where NO is held it first closes that, as a pair of both is worth one dollar. An
    ask closes YES, then buys NO at 1 - p. `fee` is added to the position's fees, not to the cash.
    """
    new_quantity, cost, cash_change, realised, closed = fill_step(
        position.quantity, position.cost, side, price, quantity
    )
    after = Position(
        Quantity(new_quantity),
        Cash(cost),
        Cash(position.realised + realised),
        Cash(position.fees + fee),
    )
    opened = Quantity(quantity - closed)
    return PositionStep(after, Cash(cash_change), Cash(realised), Quantity(closed), opened)


def settle_position(position: Position, value: Price) -> PositionStep:
    """Give the position after its market settled at `value`: YES is paid that, NO 1 - value."""
    if not 0 <= value <= DOLLAR:
        raise ValueError(f"settlement value {value} is outside 0 to {DOLLAR}")
    payout = settlement_payout(position.quantity, value)
    realised = Cash(payout - position.cost)
    after = Position(realised=Cash(position.realised + realised), fees=position.fees)
    closed = Quantity(abs(position.quantity))
    return PositionStep(after, Cash(payout), realised, closed, Quantity(0))


def fill_step(
    held: int, cost: int, side: int, price: Price, quantity: int
) -> tuple[int, int, int, int, int]:
    """Give the new holding and its cost, the change of cash, the realised profit, what was closed.

    Plain integers in the units of the ledger. At a partial close the released cost is rounded down
    and the rest stays, so that profits add up exactly.
    """
    if side == Side.BID:
        closable, unit = max(-held, 0), price
        after = held + quantity
    else:
        closable, unit = max(held, 0), complement(price)
        after = held - quantity
    closed = min(quantity, closable)
    spent = unit * (quantity - closed)
    if not closed:
        return after, cost + spent, -spent, 0, 0
    received = complement(unit) * closed
    # cost x closed / held, in parts: the product alone would not fit 63 bits.
    released = cost // closable * closed + cost % closable * closed // closable
    return after, cost - released + spent, received - spent, received - released, closed


def settlement_payout(held: int, value: Price) -> int:
    """Give what a signed holding is paid: YES at `value`, NO at one dollar less `value`."""
    return held * value if held >= 0 else -held * complement(value)
