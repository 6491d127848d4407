"""A random walk of several accounts over the floor, compared with the plain model at each step."""

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from plain_exchange import PlainExchange, PlainGroup, PlainMarket, PlainOrder

from kalshiflow.market.events import Side
from kalshiflow.market.fees import ORDER_CUSHION
from kalshiflow.market.listing import (
    CENT_GRID,
    FeeTerms,
    FeeType,
    Market,
    PriceGrid,
    decode_grid,
)
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.facts import Fact, Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.messages import SelfTrade

SECOND = 1_000_000_000
MAKER_FEES = FeeType.QUADRATIC_WITH_MAKER_FEES
MARKETS: dict[str, tuple[PriceGrid, FeeTerms, int]] = {  # with the price that things go on around
    "CENT": (CENT_GRID, FeeTerms(MAKER_FEES), 5_000),
    "TAPER": (
        decode_grid([(0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)]),
        FeeTerms(),
        1_000,
    ),
    "DECI": (decode_grid([(0, 10_000, 10)]), FeeTerms(MAKER_FEES, Fraction(1, 2)), 9_950),
}
DEPOSITS = (10_000_000_000, 300_000_000, 60_000_000, 20_000_000, 10_000_000_000)
SPREAD = 4  # steps of the grid around the middle
MOST_RESTING = 60


class FloorWalk:
    """`step()` does one random thing to the floor and to the model, and compares them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = SECOND
        self.facts: list[Fact] = []
        self.floor = Floor(Identifiers(seed), Accounts(), self.facts.append)
        self.accounts = [
            self.floor.accounts.open(
                Account(f"u{n}", Cash(cash), key_id=f"k{n}", is_house=n == len(DEPOSITS) - 1)
            )
            for n, cash in enumerate(DEPOSITS)
        ]
        for ticker, (grid, fees, _) in MARKETS.items():
            market = Market(ticker, "E", "t", grid=grid, fees=fees)
            self.floor.list_market(market, MatchingBook(ticker, grid))
        self.plain = PlainExchange(
            {
                ticker: PlainMarket(frozenset(grid.prices), fees)
                for ticker, (grid, fees, _) in MARKETS.items()
            }
        )
        self.orders: dict[str, tuple[PlainOrder, OrderRecord]] = {}
        self.counts: dict[str, int] = {}
        self.reasons: set[str] = set()
        self._ids = 0
        self._moves: list[tuple[float, Callable[[], str]]] = [
            (50, self._place),
            (16, self._amend),
            (5, self._decrease),
            (12, self._cancel),
            (0.4, self._cancel_all),
            (6, self._pass_time),
            (2.5, self._group),
            (0.6, self._pause_or_resume),
        ]

    def step(self) -> None:
        self.facts.clear()
        self.plain.trades, self.plain.ended = [], []
        weights = [weight for weight, _ in self._moves]
        if not all(market.is_active for market in self.plain.markets.values()):
            weights[-1] *= 10
        (_, move) = self.rng.choices(self._moves, weights)[0]
        what = move()
        if len(self.plain.line) > MOST_RESTING:
            what += ", and " + self._cancel(self.plain.line[0])
        self.counts[what] = self.counts.get(what, 0) + 1
        self._compare()

    # --- moves ---------------------------------------------------------------------------------

    def _place(self) -> str:
        who, new = self._who(), self._new_order()
        if new.group_id and self.plain.groups[new.group_id].owner != who:
            new = replace(new, group_id="")
        why = self._why_not_place(who, new)
        known = set(self.orders)
        record = self._try(lambda: self.floor.place(self.accounts[who], new, self.now), why)
        if record is None:
            assert set(self.orders) == known
            return f"place: {why}"
        name = record.order.order_id
        self.plain.place(name, who, new)
        placed = [*self.plain.line, *self.plain.ended]
        self.orders[name] = next(order for order in placed if order.name == name), record
        return f"place {new.time_in_force.name}"

    def _amend(self) -> str:
        order = self._any_order()
        if order is None:
            return "nothing to amend"
        amendment = self._amendment(order)
        why = self._why_not_amend(order, amendment)
        owner = self.accounts[order.owner]
        done = self._try(lambda: self.floor.amend(owner, order.name, amendment, self.now), why)
        if done is None:
            return f"amend: {why}"
        self.plain.amend(order, amendment)
        return "amend"

    def _decrease(self) -> str:
        order = self._any_order()
        if order is None:
            return "nothing to decrease"
        left = self.rng.choice((0, order.left, self.rng.randint(0, order.left)))
        terms = {"to": Quantity(left)}
        if left < order.left and self.rng.random() < 0.5:
            terms = {"by": Quantity(order.left - left)}
        self.floor.decrease(self.accounts[order.owner], order.name, self.now, **terms)
        self.plain.decrease(order, left)
        return "decrease"

    def _cancel(self, order: PlainOrder | None = None) -> str:
        order = order or self._any_order()
        if order is None:
            return "nothing to cancel"
        left = order.left
        assert self.floor.cancel(self.accounts[order.owner], order.name, self.now)[1] == left
        self.plain.end(order, "")
        return "cancel"

    def _cancel_all(self) -> str:
        who = self._who()
        self.floor.cancel_all(self.accounts[who], self.now)
        for order in [o for o in self.plain.line if o.owner == who]:
            self.plain.end(order, "")
        return "cancel all"

    def _pass_time(self) -> str:
        self.now += self.rng.choice((1, 2, 5, 7, 14, 20)) * SECOND
        self.floor.agenda.run(self.now)
        self.plain.pass_time(self.now)
        return "pass time"

    def _group(self) -> str:
        if len(self.plain.groups) < 4:
            who, limit = self._who(), Quantity(self.rng.randint(500, 4_000))
            group = self.floor.groups.create(self.accounts[who], limit, self.now)
            self.plain.groups[group.group_id] = PlainGroup(who, limit)
            return "create a group"
        group_id, plain = self.rng.choice(list(self.plain.groups.items()))
        owner, groups = self.accounts[plain.owner], self.floor.groups
        what = self.rng.choice(("reset", "reset", "trigger", "limit", "delete"))
        if what == "reset":
            groups.reset(owner, group_id, self.now)
            plain.is_triggered, plain.fills = False, []
        elif what == "trigger":
            groups.trigger(owner, group_id, self.now)
            self.plain.trigger(group_id)
        elif what == "limit":
            plain.limit = self.rng.randint(100, 4_000)
            groups.set_limit(owner, group_id, Quantity(plain.limit), self.now)
            if self.plain.filled_in(plain) > plain.limit:
                self.plain.trigger(group_id)
        else:
            groups.delete(owner, group_id, self.now)
            self.plain.trigger(group_id)
            del self.plain.groups[group_id]
        return f"{what} a group"

    def _pause_or_resume(self) -> str:
        paused = [t for t, market in self.plain.markets.items() if not market.is_active]
        ticker = self.rng.choice(paused or list(MARKETS))
        market = self.plain.markets[ticker]
        market.is_active = not market.is_active
        if not market.is_active:
            self.floor.lifecycle.deactivate(ticker, self.now)
            return "pause"
        self.floor.lifecycle.reactivate(ticker, self.now)
        for order in [o for o in self.plain.line if o.new.ticker == ticker]:
            self.plain.end(order, "HaltCancel")
        return "resume"

    def _try(self, act: Callable[[], OrderRecord], why: str) -> OrderRecord | None:
        refusal, done = "", None
        try:
            done = act()
        except Refused as refused:
            refusal = type(refused).__name__
        assert refusal == why
        assert not refusal or not self.facts
        return done

    # --- what should be refused ----------------------------------------------------------------

    def _why_not_place(self, who: int, new: NewOrder) -> str:
        plain, market = self.plain, self.plain.markets[new.ticker]
        if not market.is_active:
            return "MarketInactive"
        if new.group_id and plain.groups[new.group_id].is_triggered:
            return "InvalidOrder"
        if new.client_order_id and (who, new.client_order_id) in plain.used_ids:
            return "OrderAlreadyExists"
        if new.price not in market.prices:
            return "InvalidPrice"
        if new.reduce_only:
            closable = plain.closable(who, new.ticker, new.side)
            if not closable:
                return "InvalidOrder"
            new = replace(new, quantity=Quantity(min(new.quantity, closable)))
        trial = PlainOrder("", who, new, new.price, new.quantity, None, "", left=new.quantity)
        if new.post_only and plain.meets(trial, new.price):
            return "InvalidOrder"
        if new.time_in_force is TimeInForce.FOK and not plain.fills_whole(who, new):
            return "NotFilled"
        before, _ = plain.reserve(who, new.ticker)
        line = [
            (o.new.side, o.price, o.left)
            for o in plain.line
            if o.owner == who and o.new.ticker == new.ticker
        ]
        after, _ = plain.reserve(who, new.ticker, [*line, (new.side, new.price, new.quantity)])
        needed = after - before + ORDER_CUSHION if after > before else 0
        is_covered = not needed or needed <= self.accounts[who].portfolio.available
        return "" if is_covered else "InsufficientBalance"

    def _why_not_amend(self, order: PlainOrder, amendment: Amendment) -> str:
        plain, new = self.plain, order.new
        market = plain.markets[new.ticker]
        if not market.is_active:
            return "MarketInactive"
        if amendment.ticker != new.ticker:
            return "TickerMismatch"
        if amendment.side != new.side:
            return "SideMismatch"
        if amendment.client_order_id not in {"", order.client_id}:
            return "ClientIdMismatch"
        updated = amendment.updated_client_order_id
        if updated and (order.owner, updated) in plain.used_ids:
            return "OrderAlreadyExists"
        if amendment.price not in market.prices:
            return "InvalidPrice"
        if amendment.quantity <= order.filled:
            return "InvalidOrderSize"
        left = plain.amended_total(order, amendment) - order.filled
        line = [o for o in plain.line if o.owner == order.owner and o.new.ticker == new.ticker]
        if left > order.left:
            line.append(line.pop(line.index(order)))
        terms = [
            (o.new.side, amendment.price if o is order else o.price, left if o is order else o.left)
            for o in line
        ]
        cost, cushions = plain.reserve(order.owner, new.ticker)
        new_cost, new_cushions = plain.reserve(order.owner, new.ticker, terms)
        if new_cost <= cost and new_cost + new_cushions <= cost + cushions:
            return ""
        portfolio = self.accounts[order.owner].portfolio
        free = portfolio.available + portfolio.reserved_in(new.ticker)
        return "" if new_cost + new_cushions <= free else "InsufficientBalance"

    # --- random terms ----------------------------------------------------------------------------

    def _who(self) -> int:
        return self.rng.randrange(len(self.accounts))

    def _any_order(self) -> PlainOrder | None:
        """Give a resting order of a market that is open to changes of it."""
        return self.rng.choice(self.plain.line) if self.plain.line else None

    def _price(self, ticker: str) -> Price:
        grid, _, middle = MARKETS[ticker]
        if self.rng.random() < 0.02:
            return Price(middle + 3)
        at = grid.index(Price(middle)) + self.rng.randint(-SPREAD, SPREAD)
        return grid.prices[min(max(at, 0), len(grid) - 1)]

    def _new_id(self, owner: int) -> str:
        if self.rng.random() < 0.03:
            used = sorted(name for who, name in self.plain.used_ids if who == owner and name)[:5]
            return self.rng.choice(used or [""])
        self._ids += 1
        return f"c{self._ids}" if self.rng.random() < 0.5 else ""

    def _new_order(self) -> NewOrder:
        rng = self.rng
        ticker = rng.choice(list(MARKETS))
        time_in_force = rng.choices(list(TimeInForce), (6, 1, 1))[0]
        is_timed = time_in_force is TimeInForce.GTC and rng.random() < 0.2
        self._ids += 1
        return NewOrder(
            ticker,
            rng.choice(list(Side)),
            self._price(ticker),
            Quantity(rng.randint(1, rng.choice((300, 2_000, 2_000, 6_000)))),
            time_in_force,
            client_order_id=f"c{self._ids}" if rng.random() < 0.5 else "",
            post_only=time_in_force is TimeInForce.GTC and rng.random() < 0.15,
            reduce_only=rng.random() < 0.3,
            self_trade=rng.choice(list(SelfTrade)),
            expires_at=self.now + rng.randint(1, 30) * SECOND if is_timed else None,
            group_id=rng.choice(list(self.plain.groups)) if self._wants_group() else "",
            cancel_on_pause=rng.random() < 0.1,
        )

    def _wants_group(self) -> bool:
        return bool(self.plain.groups) and self.rng.random() < 0.4

    def _amendment(self, order: PlainOrder) -> Amendment:
        rng, new = self.rng, order.new
        amendment = Amendment(
            new.ticker,
            new.side,
            Price(order.price) if rng.random() < 0.4 else self._price(new.ticker),
            Quantity(
                rng.choice(
                    (
                        order.filled + order.left,
                        order.filled + rng.randint(0, rng.choice((2, 2, 12)) * order.left),
                    )
                )
            ),
            order.client_id if rng.random() < 0.5 else "",
            self._new_id(order.owner) if rng.random() < 0.3 else "",
            self.now + rng.randint(1, 30) * SECOND if rng.random() < 0.3 else None,
        )
        if rng.random() > 0.04:
            return amendment
        wrong: dict[str, object] = rng.choice(
            ({"ticker": "OTHER"}, {"side": new.side.other}, {"client_order_id": "other"})
        )
        return replace(amendment, **wrong)

    # --- comparing -------------------------------------------------------------------------------

    def _compare(self) -> None:
        self._compare_trades()
        self._compare_orders()
        for ticker in MARKETS:
            self._compare_book(ticker)
        self._compare_money()

    def _compare_trades(self) -> None:
        told = [(f.ticker, f.price, f.quantity) for f in self.facts if isinstance(f, Traded)]
        assert told == [trade[:3] for trade in self.plain.trades]

    def _compare_orders(self) -> None:
        for order in (*self.plain.line, *self.plain.ended):
            plain, record = self.orders[order.name]
            assert plain is order
            assert (record.status, record.reason) == (order.status, order.reason)
            assert (record.remaining, record.filled) == (order.left, order.filled)
            assert (record.order.price, record.order.quantity) == (order.price, order.total)
            assert record.order.client_order_id == order.client_id
            self.reasons.add(order.reason)
        for order in self.plain.ended:
            assert self.floor.find_order(order.name) is None
            del self.orders[order.name]
        assert len(self.orders) == len(self.plain.line)

    def _compare_book(self, ticker: str) -> None:
        matching = self.floor.market(ticker).matching
        book = matching.book
        assert book.best_bid_index < book.best_ask_index
        for side in Side:
            queues: dict[int, list[tuple[str, int]]] = {}
            for order in self.plain.queue:
                if (order.new.ticker, order.new.side) == (ticker, side):
                    queues.setdefault(order.price, []).append((order.name, order.left))
            levels = {price: sum(left for _, left in queue) for price, queue in queues.items()}
            assert dict(book.levels(side)) == levels
            for price, queue in queues.items():
                found = [(o.order_id, o.remaining) for o in matching.queue(side, Price(price))]
                assert found == queue
                ahead = sum(left for _, left in queue[:-1])
                assert matching.ahead(queue[-1][0]) == ahead

    def _compare_money(self) -> None:
        assert self.floor.accounts.assets() == sum(DEPOSITS)
        for who, account in enumerate(self.accounts):
            portfolio = account.portfolio
            assert portfolio.available >= 0
            assert portfolio.cash == self.plain.cash(who, DEPOSITS[who], portfolio.fees_paid)
            assert list(portfolio.orders) == [o.name for o in self.plain.line if o.owner == who]
            total = 0
            for ticker in MARKETS:
                assert portfolio.held(ticker) == self.plain.held.get((who, ticker), 0)
                cost, cushions = self.plain.reserve(who, ticker)
                reserved = portfolio.reserved_in(ticker)
                # Rounding may have used cushions up, of an account that has nothing else left.
                least = cost if DEPOSITS[who] < 1_000_000_000 else cost + cushions
                assert least <= reserved <= cost + cushions
                total += reserved
            assert total == portfolio.reserved
        for ticker in MARKETS:
            longs = sum(max(account.portfolio.held(ticker), 0) for account in self.accounts)
            assert self.floor.market(ticker).open_interest == longs
