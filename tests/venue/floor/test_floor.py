"""Orders, money and priority over several accounts, on cases and on random streams of operations."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, FeeTerms, FeeType, Market
from kalshiflow.market.orders import Role, TimeInForce
from kalshiflow.market.units import CONTRACT, DOLLAR, Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.facts import Fact, Filled, OrderChanged, Traded
from kalshiflow.venue.floor.floor import Floor, NewOrder
from kalshiflow.venue.floor.refusals import (
    InsufficientBalance,
    InvalidOrder,
    InvalidPrice,
    MarketInactive,
    MarketNotFound,
    OrderAlreadyExists,
    OrderNotFound,
    Refused,
)
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import (
    MatchingBook,
)
from kalshiflow.venue.matching.messages import (
    LevelChanged,
    SelfTrade,
)

BID, ASK = Side.BID, Side.ASK
SECOND = 1_000_000_000
TICKER = "KXA-B-C"
START_CASH = Cash(1_000 * 1_000_000)


@dataclass
class Scene:
    """A floor with one market, three accounts and everything that was told."""

    facts: list[Fact] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        self.floor = Floor(Identifiers(1), Accounts(), self.facts.append)
        terms = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES)
        market = Market(TICKER, "KXA-B", "t", fees=terms, close_time=1_000 * SECOND)
        self.floor.list_market(market, MatchingBook(TICKER, CENT_GRID))
        for name in "xyz":
            account = Account(name, START_CASH, key_id=name)
            self.accounts.append(self.floor.accounts.open(account))

    def order(self, who: int, side: Side, cents: int, contracts: int, **options: object) -> str:
        new = NewOrder(
            TICKER,
            side,
            Price(cents * 100),
            Quantity(contracts * CONTRACT),
            **options,  # type: ignore[arg-type]
        )
        return self.floor.place(self.accounts[who], new, now=SECOND).order.order_id

    def of(self, kind: type) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def test_a_trade_is_told_to_the_public_and_to_both_accounts() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 10)
    scene.facts.clear()

    scene.order(1, BID, 45, 4)

    trade = scene.of(Traded)[0]
    assert (trade.price, trade.quantity, trade.taker_side) == (4000, 400, BID)
    fills = {fact.fill.role: fact for fact in scene.of(Filled)}
    assert fills[Role.TAKER].position == 400
    assert fills[Role.MAKER].position == -400
    assert fills[Role.TAKER].fill.fee == 67_200  # 0.07 x 4 x 0.4 x 0.6, on the grid already
    assert fills[Role.MAKER].fill.fee == 16_800
    assert fills[Role.TAKER].fill.trade_id == fills[Role.MAKER].fill.trade_id == trade.trade_id
    assert [f.change for f in scene.of(LevelChanged)] == [-400]  # the maker's side only


def test_an_order_carries_cumulative_figures_over_its_fills() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 2)
    scene.order(0, ASK, 41, 3)

    order_id = scene.order(1, BID, 41, 10)

    record = scene.accounts[1].orders[order_id]
    assert (record.filled, record.remaining, record.status) == (500, 500, "resting")
    assert record.taker_cost == (4000 * 200 + 4100 * 300)
    assert record.average_price() == 4060
    assert record.taker_fees == sum(f.fill.fee for f in scene.of(Filled) if f.record is record)
    told = [fact.record for fact in scene.of(OrderChanged)]
    assert told.count(record) == 1  # one frame for the whole placing


def test_selling_from_flat_reserves_and_costs_the_complement() -> None:
    scene = Scene()
    scene.order(0, BID, 40, 10)

    scene.order(1, ASK, 40, 10)

    seller = scene.accounts[1].portfolio
    assert seller.held(TICKER) == -1000
    assert seller.cash == START_CASH - 6000 * 1000 - seller.fees_paid


def test_refusals_name_the_reason_and_change_nothing() -> None:
    scene = Scene()
    scene.order(0, ASK, 50, 1, client_order_id="once")
    scene.facts.clear()
    cases: list[tuple[type[Refused], str, dict]] = [
        (OrderAlreadyExists, "order already exists", {"who": 0, "client_order_id": "once"}),
        (InvalidOrder, "post only cross", {"who": 1, "post_only": True}),
        (InvalidOrder, "insufficient resting volume", {"time_in_force": TimeInForce.FOK}),
        (InsufficientBalance, "insufficient balance", {"contracts": 5000}),
        (InvalidOrder, "reduce only", {"reduce_only": True}),
    ]
    for refusal, words, options in cases:
        asked = {"who": 1, "side": BID, "cents": 50, "contracts": 2, **options}
        with pytest.raises(refusal, match=words):
            scene.order(**asked)
    with pytest.raises(InvalidPrice):
        scene.floor.place(
            scene.accounts[0], NewOrder(TICKER, BID, Price(5050), Quantity(100)), SECOND
        )
    with pytest.raises(MarketNotFound):
        scene.floor.place(scene.accounts[0], NewOrder("KXNO", BID, Price(50), Quantity(1)), SECOND)

    assert scene.facts == []


def test_a_client_order_id_stays_used_after_a_cancel() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 1, client_order_id="once")
    scene.floor.cancel(scene.accounts[0], order_id, SECOND)

    with pytest.raises(OrderAlreadyExists):
        scene.order(0, BID, 40, 1, client_order_id="once")
    scene.order(1, BID, 40, 1, client_order_id="once")  # another account's id is its own


def test_only_the_owner_cancels_and_only_once() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 7)

    with pytest.raises(OrderNotFound):
        scene.floor.cancel(scene.accounts[1], order_id, SECOND)
    record, left = scene.floor.cancel(scene.accounts[0], order_id, SECOND)
    assert (left, record.status) == (700, "canceled")
    assert scene.accounts[0].portfolio.available == START_CASH
    with pytest.raises(OrderNotFound):
        scene.floor.cancel(scene.accounts[0], order_id, SECOND)


def test_a_reduce_only_order_is_cut_to_the_position() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 3)
    scene.order(1, BID, 40, 3)

    order_id = scene.order(1, ASK, 60, 10, reduce_only=True)

    assert scene.accounts[1].orders[order_id].order.quantity == 300


def test_an_order_expires_at_its_time_and_says_so() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 1, expires_at=5 * SECOND)

    scene.floor.run_timers(4 * SECOND)
    assert scene.accounts[0].orders[order_id].status == "resting"
    assert scene.floor.next_timer() == 5 * SECOND
    scene.floor.run_timers(6 * SECOND)

    record = scene.accounts[0].orders[order_id]
    assert (record.status, record.reason, record.updated_at) == (
        "canceled",
        "ExpiryCancel",
        5 * SECOND,
    )


def test_a_market_that_closes_cancels_what_rests_and_takes_nothing_more() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 1)

    scene.floor.run_timers(1_000 * SECOND)

    assert scene.accounts[0].orders[order_id].reason == "CloseCancel"
    with pytest.raises(MarketInactive):
        scene.order(0, BID, 40, 1)


# --- random streams --------------------------------------------------------------------------


@dataclass(frozen=True)
class Placing:
    who: int
    side: Side
    cents: int
    quantity: int
    time_in_force: TimeInForce
    post_only: bool
    self_trade: SelfTrade


@dataclass(frozen=True)
class Cancelling:
    who: int
    which: int


placings = st.builds(
    Placing,
    who=st.integers(0, 2),
    side=st.sampled_from(Side),
    cents=st.integers(45, 55),
    quantity=st.integers(1, 5_000),
    time_in_force=st.sampled_from(TimeInForce),
    post_only=st.booleans(),
    self_trade=st.sampled_from(SelfTrade),
)
cancellings = st.builds(Cancelling, who=st.integers(0, 2), which=st.integers(0, 9))


class NaiveBook:
    """Price-time priority by looking at every order each time."""

    def __init__(self) -> None:
        self.orders: list[list] = []  # [order id, owner, side, price, remaining], in arrival order

    def best_for(self, side: Side, price: int) -> list | None:
        """Give the order that an order of this side at this price must meet next."""
        others = [
            order
            for order in self.orders
            if order[2] != side and (order[3] <= price if side == BID else order[3] >= price)
        ]
        sign = 1 if side == BID else -1
        return min(others, key=lambda order: sign * order[3], default=None)


def check_priority(naive: NaiveBook, scene: Scene, placing: Placing, taker: str) -> None:
    """Walk the told fills of one placing, and see that each met who was first in line."""
    owner = scene.accounts[placing.who].user_id
    for fact in scene.of(Filled):
        if fact.fill.role is not Role.MAKER:
            continue
        first = naive.best_for(placing.side, placing.cents * 100)
        while first is not None and first[1] == owner and placing.self_trade is SelfTrade.MAKER:
            naive.orders.remove(first)
            first = naive.best_for(placing.side, placing.cents * 100)
        assert first is not None
        assert first[0] == fact.fill.order_id
        assert first[3] == fact.fill.price
        first[4] -= fact.fill.quantity
        if not first[4]:
            naive.orders.remove(first)
    record = scene.accounts[placing.who].orders[taker]
    naive.orders = [order for order in naive.orders if scene.floor.find_order(order[0]) is not None]
    if record.remaining:
        naive.orders.append([taker, owner, placing.side, placing.cents * 100, record.remaining])


def check_books(scene: Scene, naive: NaiveBook) -> None:
    book = scene.floor.market(TICKER).matching.book
    assert book.best_bid is None or book.best_ask is None or book.best_bid < book.best_ask
    for side in Side:
        levels: dict[int, int] = {}
        for _, _, order_side, price, remaining in naive.orders:
            if order_side == side:
                levels[price] = levels.get(price, 0) + remaining
        assert dict(book.levels(side)) == levels


def check_money(scene: Scene) -> None:
    held = [account.portfolio.held(TICKER) for account in scene.accounts]
    assert sum(held) == 0
    cash = sum(account.portfolio.cash for account in scene.accounts)
    pairs = DOLLAR * sum(quantity for quantity in held if quantity > 0)
    deposits = sum(account.deposited for account in scene.accounts)
    assert cash + pairs + scene.floor.accounts.fees_collected == deposits
    for account in scene.accounts:
        assert account.portfolio.available >= 0
        resting = {o for o, record in account.orders.items() if record.remaining}
        assert resting == set(account.portfolio.orders)


@settings(max_examples=150, deadline=None)
@given(script=st.lists(st.one_of(placings, placings, cancellings), max_size=60))
def test_no_contract_or_cent_is_lost_and_the_first_in_line_is_always_served(
    script: list[Placing | Cancelling],
) -> None:
    scene, naive = Scene(), NaiveBook()
    for step in script:
        scene.facts.clear()
        account = scene.accounts[step.who]
        if isinstance(step, Cancelling):
            resting = list(account.portfolio.orders)
            if resting:
                gone = resting[step.which % len(resting)]
                scene.floor.cancel(account, gone, SECOND)
                naive.orders = [order for order in naive.orders if order[0] != gone]
        else:
            new = NewOrder(
                TICKER,
                step.side,
                Price(step.cents * 100),
                Quantity(step.quantity),
                step.time_in_force,
                post_only=step.post_only,
                self_trade=step.self_trade,
            )
            try:
                record = scene.floor.place(account, new, SECOND)
            except Refused:
                assert scene.facts == []
            else:
                check_priority(naive, scene, step, record.order.order_id)
        check_books(scene, naive)
        check_money(scene)
