"""How a market ends, and paying its positions: ledgers, settlement rows, and who is told."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kalshiflow.market.listing import Market, MarketResult
from kalshiflow.market.position import Position
from kalshiflow.market.settlement import SettlementError, settlement_value
from kalshiflow.market.units import NO_CASH, Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import Account, Activity, SettlementRecord
from kalshiflow.venue.floor.facts import Fact, PositionChanged
from kalshiflow.venue.floor.refusals import InvalidOutcome


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a market ends. `value` is what YES is paid; only scalar and void ones need it."""

    result: MarketResult
    value: Price | None = None


def checked(outcome: Outcome) -> Outcome:
    """Give an outcome as it is told, with its value; raises `InvalidOutcome`.

    A void market is told as a scalar one: Kalshi's bodies have no word of their own for it.
    """
    try:
        value = settlement_value(outcome.result, outcome.value)
    except SettlementError as problem:
        raise InvalidOutcome(str(problem)) from None
    told = MarketResult.SCALAR if outcome.result is MarketResult.VOID else outcome.result
    return Outcome(told, value)


def pay_positions(
    accounts: Iterable[Account],
    market: Market,
    value: Price,
    now: int,
    publish: Callable[[Fact], None],
) -> None:
    """Pay every account's position in a market at `value`: YES is paid that, NO one dollar less it.

    Only what is held at the end is paid and gets a row. Nothing is rounded and no fee is taken, so
    every pair of YES and NO brings the dollar that was paid for it.
    """
    for account in accounts:
        held = account.portfolio.positions.get(market.ticker)
        if held is None or not held.quantity:
            continue
        revenue = account.portfolio.settle(market.ticker, value)
        if account.is_house:
            continue
        account.settlements.append(_row(market, value, held, revenue, now))
        account.activity.setdefault(market.ticker, Activity()).updated_at = now
        publish(PositionChanged(account, market.ticker))


def _row(market: Market, value: Price, held: Position, revenue: Cash, now: int) -> SettlementRecord:
    is_yes = held.quantity > 0
    quantity = Quantity(abs(held.quantity))
    return SettlementRecord(
        ticker=market.ticker,
        event_ticker=market.event_ticker,
        result=market.result,
        value=value,
        yes_quantity=quantity if is_yes else Quantity(0),
        no_quantity=Quantity(0) if is_yes else quantity,
        yes_cost=held.cost if is_yes else NO_CASH,
        no_cost=NO_CASH if is_yes else held.cost,
        revenue=revenue,
        fees=held.fees,
        at=now,
    )
