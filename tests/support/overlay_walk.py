"""A random recording with random orders of ours in it, and what must hold of the two after each step."""

import random
from collections.abc import Callable
from dataclasses import replace

from kalshiflow.market.events import Levels, Side
from kalshiflow.market.listing import FeeTerms, FeeType, Market, PriceGrid
from kalshiflow.market.orders import Role, TimeInForce
from kalshiflow.market.units import DOLLAR, Cash, Quantity
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.entry import closable as closable_by
from kalshiflow.venue.floor.facts import Fact, Filled, Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.messages import LevelChanged, SelfTrade
from kalshiflow.venue.matching.recorded import RecordedBook

TICKER = "RECORDED"
DEPOSIT = Cash(100_000_000_000)
SPREAD = 8  # steps of the grid around the middle


class OverlayWalk:
    """`step()` lets the recording or one of our accounts do one random thing."""

    def __init__(
        self, seed: int, grid: PriceGrid, model: FillModel, *, has_trades: bool = True
    ) -> None:
        self.rng = random.Random(seed)
        self.grid = grid
        self.middle = len(grid) // 2
        self.facts: list[Fact] = []
        self.floor = Floor(Identifiers(seed), Accounts(), self.facts.append)
        self.accounts = [
            self.floor.accounts.open(Account(f"u{n}", DEPOSIT, key_id=f"k{n}")) for n in range(3)
        ]
        self.book = RecordedBook(TICKER, grid, model, has_trades=has_trades)
        self.has_trades = has_trades
        fees = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES)
        self.floor.list_market(Market(TICKER, "E", "t", grid=grid, fees=fees), self.book)
        self.recorded: dict[Side, dict[int, int]] = {side: {} for side in Side}
        self.told: dict[Side, dict[int, int]] = {side: {} for side in Side}
        self.records: dict[str, OrderRecord] = {}
        self.paid = dict.fromkeys((account.user_id for account in self.accounts), 0)
        self.taken = 0
        self.fills = {Role.MAKER: 0, Role.TAKER: 0}
        self.now = 0

    def step(self) -> None:
        self.facts.clear()
        self.now += 1
        moves: list[Callable[[], bool]] = [
            self._record_delta,
            self._record_snapshot,
            self._record_trade,
            self._place,
            self._amend,
            self._cancel,
        ]
        # The recording's own changes say whether the contracts taken may have become fewer.
        is_recorded = self.rng.choices(moves, (50, 2, 12 * self.has_trades, 20, 6, 5))[0]()
        self.records = {name: r for name, r in self.records.items() if r.remaining}
        self._check_book()
        self._check_fills(is_recorded=is_recorded)

    # --- the recording -------------------------------------------------------------------------

    def _record_delta(self) -> bool:
        side, index = self.rng.choice(list(Side)), self._index()
        levels = self.recorded[side]
        if self.rng.random() < 0.55 and levels:
            index = self.rng.choice(list(levels))
            change = -self.rng.choice((levels[index], self.rng.randint(1, levels[index])))
        elif self._would_cross(side, index):
            return True
        else:
            change = self.rng.randint(1, 1_500)
        levels[index] = levels.get(index, 0) + change
        if not levels[index]:
            del levels[index]
        price = self.grid.prices[index]
        self.floor.follow_recording(
            TICKER,
            self.now,
            lambda: self.book.recorded_delta(side, price, change, self.now),
            is_whole=False,
        )
        return True

    def _record_snapshot(self) -> bool:
        cut = self._index()
        for side in Side:
            indexes = {self._index() for _ in range(4)}
            beyond = {i for i in indexes if (i < cut if side == Side.BID else i >= cut)}
            self.recorded[side] = {index: self.rng.randint(1, 1_500) for index in beyond}
        bids, asks = self._levels(Side.BID), self._levels(Side.ASK)
        self.floor.follow_recording(
            TICKER,
            self.now,
            lambda: self.book.recorded_snapshot(bids, asks, self.now),
            is_whole=True,
        )
        return True

    def _record_trade(self) -> bool:
        rng, side = self.rng, self.rng.choice(list(Side))
        price, quantity = self.grid.prices[self._index()], Quantity(rng.randint(1, 1_500))
        self.floor.follow_recording(
            TICKER,
            self.now,
            lambda: self.book.recorded_trade("recorded", price, quantity, side, self.now),
            is_whole=False,
        )
        told = [fact for fact in self.facts if isinstance(fact, Traded)]
        assert sum(trade.quantity for trade in told) == quantity
        fills = [fact.fill for fact in self.facts if isinstance(fact, Filled)]
        assert sum(fill.quantity for fill in fills) <= quantity
        assert {fill.trade_id for fill in fills} <= {trade.trade_id for trade in told}
        return True

    def _levels(self, side: Side) -> Levels:
        return tuple(
            (self.grid.prices[index], Quantity(quantity))
            for index, quantity in sorted(self.recorded[side].items(), reverse=side == Side.BID)
        )

    def _would_cross(self, side: Side, index: int) -> bool:
        others = self.recorded[side.other]
        return any(other <= index if side == Side.BID else other >= index for other in others)

    def _index(self) -> int:
        return self.middle + self.rng.randint(-SPREAD, SPREAD)

    # --- our orders ----------------------------------------------------------------------------

    def _place(self) -> bool:
        rng = self.rng
        new = NewOrder(
            TICKER,
            rng.choice(list(Side)),
            self.grid.prices[self._index()],
            Quantity(rng.randint(1, 3_000)),
            rng.choice(list(TimeInForce)),
            reduce_only=rng.random() < 0.4,
            self_trade=rng.choice(list(SelfTrade)),
        )
        if new.time_in_force is TimeInForce.GTC:
            new = replace(new, post_only=rng.random() < 0.3)
        before = len(self.facts)
        try:
            record = self.floor.place(rng.choice(self.accounts), new, self.now)
        except Refused:
            assert len(self.facts) == before
            return False
        assert new.time_in_force is not TimeInForce.FOK or not record.removed
        self.records[record.order.order_id] = record
        return False

    def _amend(self) -> bool:
        record = self._any_record()
        if record is not None:
            order = record.order
            most = record.filled + 2 * record.remaining
            amendment = Amendment(
                TICKER,
                order.side,
                self.rng.choice((order.price, self.grid.prices[self._index()])),
                Quantity(self.rng.randint(record.filled + 1, most)),
            )
            self.floor.amend(record.owner, order.order_id, amendment, self.now)
        return False

    def _cancel(self) -> bool:
        record = self._any_record()
        if record is not None:
            left = Quantity(self.rng.randint(0, record.remaining))
            self.floor.decrease(record.owner, record.order.order_id, self.now, to=left)
        return False

    def _any_record(self) -> OrderRecord | None:
        return self.rng.choice(list(self.records.values())) if self.records else None

    # --- what must hold ------------------------------------------------------------------------

    def _check_book(self) -> None:
        book, overlay = self.book.book, self.book.overlay
        assert book.best_bid_index < book.best_ask_index
        own: dict[Side, dict[int, int]] = {side: {} for side in Side}
        for record in self.records.values():
            index = self.grid.index(record.order.price)
            levels = own[record.order.side]
            levels[index] = levels.get(index, 0) + record.remaining
            closable = closable_by(record.owner, TICKER, record.order.side)
            assert not record.order.reduce_only or record.remaining <= closable
            ahead = self.book.ahead(record.order.order_id)
            assert 0 <= ahead <= overlay.shown_at(record.order.side, index)
        self._hear()
        for side, shown in ((Side.BID, book.bids), (Side.ASK, book.asks)):
            recorded, taken = overlay.recorded[side], overlay.taken[side]
            for index in range(self.middle - SPREAD, self.middle + SPREAD + 1):
                assert recorded[index] == self.recorded[side].get(index, 0)
                assert 0 <= taken[index] <= recorded[index]
                expected = recorded[index] - taken[index] + own[side].get(index, 0)
                assert shown[index] == expected == self.told[side].get(index, 0)

    def _hear(self) -> None:
        for fact in self.facts:
            if isinstance(fact, LevelChanged):
                levels, index = self.told[fact.side], self.grid.index(fact.price)
                levels[index] = levels.get(index, 0) + fact.change
                assert levels[index] >= 0

    def _check_fills(self, *, is_recorded: bool) -> None:
        traded = sum(fact.quantity for fact in self.facts if isinstance(fact, Traded))
        ours = 0
        for fact in self.facts:
            if isinstance(fact, Filled):
                self._check_fill(fact)
                ours += fact.fill.quantity
        from_recording = 2 * traded - ours  # the other side of each trade that had only one of ours
        overlay = self.book.overlay
        taken = sum(map(sum, overlay.taken))
        if not is_recorded:
            assert taken == self.taken + from_recording
        self.taken = taken
        for account in self.accounts:
            portfolio = account.portfolio
            owed = max(-portfolio.held(TICKER), 0)
            paid = self.paid[account.user_id]
            assert portfolio.cash == DEPOSIT - paid - DOLLAR * owed - portfolio.fees_paid
            assert portfolio.available >= 0

    def _check_fill(self, fact: Filled) -> None:
        fill, order = fact.fill, fact.record.order
        sign = 1 if fill.side == Side.BID else -1
        assert sign * fill.price <= sign * order.price
        assert fill.role is Role.TAKER or fill.price == order.price
        assert not order.reduce_only or sign * fact.position <= 0
        self.paid[fact.record.owner.user_id] += sign * fill.price * fill.quantity
        self.fills[fill.role] += 1
