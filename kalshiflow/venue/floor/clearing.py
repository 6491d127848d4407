"""What a match means for the accounts in it: fees, ledgers, cumulative figures, and who is told."""

from collections.abc import Callable

from kalshiflow.market.events import Side
from kalshiflow.market.fees import balance_precision, fill_cost
from kalshiflow.market.orders import Fill, Role
from kalshiflow.market.units import Cash, Price, Quantity, complement
from kalshiflow.venue.floor.accounts import Accounts, OrderRecord
from kalshiflow.venue.floor.facts import Fact, Filled, OrderChanged, PositionChanged, Traded
from kalshiflow.venue.floor.groups import OrderGroups
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.messages import Matched, Passed, Removed


class Clearing:
    """Books matches and removals. `records` are the open orders, shared with the floor."""

    def __init__(
        self,
        ids: Identifiers,
        accounts: Accounts,
        groups: OrderGroups,
        records: dict[str, OrderRecord],
        publish: Callable[[Fact], None],
    ) -> None:
        self._ids = ids
        self._groups = groups
        self._accounts = accounts
        self._records = records
        self._publish = publish

    def settle(self, listed: ListedMarket, match: Matched) -> None:
        """Book a match on both sides, and tell of it unless it is part of a recorded trade."""
        trade = traded_of(match, match.trade_id or self._ids.next("trade"))
        if match.trade_id is None:
            self.tell_trade(listed, trade)
        opened = sides = 0
        for order_id, role in ((match.maker_id, Role.MAKER), (match.taker_id, Role.TAKER)):
            if order_id is not None:
                opened += self._fill(listed, self._records[order_id], role, trade)
                sides += 1
        # A side that is no order of ours is taken to open where ours opens, and to close with it.
        listed.open_interest = Quantity(max(0, listed.open_interest + opened // sides))

    def _fill(self, listed: ListedMarket, record: OrderRecord, role: Role, trade: Traded) -> int:
        """Book one side of a trade; give the contracts that it opened less those it closed."""
        account, order = record.owner, record.order
        terms = listed.market.fees
        cost = fill_cost(
            record.accumulated,
            terms,
            role,
            order.side,
            trade.price,
            trade.quantity,
            precision=Cash(max(account.precision, balance_precision(trade.at))),
        )
        fill = Fill(
            trade.trade_id,
            order.order_id,
            order.ticker,
            order.side,
            trade.price,
            trade.quantity,
            role,
            cost.net,
            trade.at,
            order.client_order_id,
        )
        step = account.portfolio.apply_fill(fill)
        self._accounts.fees_collected = Cash(self._accounts.fees_collected + cost.net)
        paid = Cash(_unit_price(order.side, trade.price) * trade.quantity)
        record.count_fill(fill, paid, cost.accumulated)
        if record.group_id:
            self._groups.count(record, trade.quantity, trade.at)
        if not account.is_house:
            account.fills.append(fill)
            account.count_traded(order.ticker, trade.quantity, paid, trade.at)
            self._publish(Filled(record, fill, step.position.quantity))
            self._publish(PositionChanged(account, order.ticker))
        if role is Role.MAKER:
            self.tell(record)
            self.forget_if_ended(record)
        return step.opened - step.closed

    def tell_trade(self, listed: ListedMarket, trade: Traded) -> None:
        """Count a trade in its market's figures, and tell of it."""
        listed.count(trade)
        self._publish(trade)

    def remove(self, event: Removed) -> None:
        """Free what a removed remainder had reserved, and tell its owner."""
        record = self._records[event.order_id]
        record.owner.portfolio.reduce(event.order_id, event.quantity)
        record.count_removal(event.quantity, event.reason.value, event.at)
        self.tell(record)
        self.forget_if_ended(record)

    def forget_if_ended(self, record: OrderRecord) -> None:
        """Drop an order from the open ones once nothing of it remains."""
        if not record.remaining:
            self._records.pop(record.order.order_id, None)
            if record.group_id:
                self._groups.leave(record)

    def tell(self, record: OrderRecord) -> None:
        """Tell an order's owner of its new state."""
        if not record.owner.is_house:
            self._publish(OrderChanged(record))


def traded_of(match: Matched | Passed, trade_id: str) -> Traded:
    """Give a match as the public hears of it."""
    return Traded(match.ticker, trade_id, match.price, match.quantity, match.taker_side, match.at)


def _unit_price(side: Side, price: Price) -> int:
    """Give what one unit of an order's outcome costs: YES for a bid, NO for an ask."""
    return price if side == Side.BID else complement(price)
