"""What a market's end pays: ledgers, rows and what is told, on cases and over random portfolios."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.listing import FeeTerms, FeeType, Market, MarketResult, MarketStatus
from kalshiflow.market.units import CONTRACT, DOLLAR, Cash, Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Account, Accounts, SettlementRecord
from kalshiflow.venue.floor.facts import Fact, LifecycleChanged, LifecycleKind, PositionChanged
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.refusals import MarketInactive, Refused
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook

BID, ASK = Side.BID, Side.ASK
YES, NO, SCALAR, VOID = MarketResult.YES, MarketResult.NO, MarketResult.SCALAR, MarketResult.VOID
TICKERS = ("KXA-B-C", "KXA-B-D")
TICKER, OTHER = TICKERS
START_CASH = Cash(1_000_000_000)
NOW, LATER = 100 * SECOND, 200 * SECOND


@dataclass
class Scene:
    """A floor with two markets, three clients and a house account."""

    facts: list[Fact] = field(default_factory=list)
    floor: Floor = field(init=False)
    accounts: list[Account] = field(init=False)

    def __post_init__(self) -> None:
        self.floor = Floor(Identifiers(1), Accounts(), self.facts.append)
        terms = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES)
        for ticker in TICKERS:
            market = Market(ticker, "KXA-B", "t", fees=terms, close_time=1_000 * SECOND)
            self.floor.list_market(market, MatchingBook(ticker))
        self.accounts = [
            self.floor.accounts.open(Account(name, START_CASH, key_id=name)) for name in "xyz"
        ]
        self.accounts.append(self.floor.accounts.open(Account("h", START_CASH, is_house=True)))

    def order(self, who: int, side: Side, cents: int, quantity: int, ticker: str = TICKER) -> None:
        new = NewOrder(ticker, side, Price(cents * 100), Quantity(quantity))
        self.floor.place(self.accounts[who], new, NOW)

    def settle(self, result: MarketResult, value: int | None = None, ticker: str = TICKER) -> None:
        told = None if value is None else Price(value)
        self.floor.lifecycle.determine(ticker, result, NOW, told)
        self.floor.lifecycle.settle(ticker, LATER)

    def cash(self) -> list[int]:
        return [account.portfolio.cash for account in self.accounts]


@pytest.mark.parametrize(
    ("result", "told", "value", "recorded"),
    [(YES, None, 10_000, YES), (NO, None, 0, NO), (SCALAR, 2_525, 2_525, SCALAR),
     (VOID, 5_000, 5_000, SCALAR)],
)  # fmt: skip
def test_yes_is_paid_the_value_and_no_the_rest_of_the_dollar(
    result: MarketResult, told: int | None, value: int, recorded: MarketResult
) -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 1_250)
    scene.order(1, BID, 40, 1_250)
    before = scene.cash()

    scene.settle(result, told)

    paid = [after - cash for after, cash in zip(scene.cash(), before, strict=True)]
    assert paid == [(DOLLAR - value) * 1_250, value * 1_250, 0, 0]
    seller, buyer = scene.accounts[0], scene.accounts[1]
    assert seller.settlements == [
        SettlementRecord(
            ticker=TICKER,
            event_ticker="KXA-B",
            result=recorded,
            value=Price(value),
            yes_quantity=Quantity(0),
            no_quantity=Quantity(1_250),
            yes_cost=Cash(0),
            no_cost=Cash(6_000 * 1_250),
            revenue=Cash((DOLLAR - value) * 1_250),
            fees=seller.portfolio.fees_paid,
            at=LATER,
        )
    ]
    (row,) = buyer.settlements
    assert (row.yes_quantity, row.yes_cost, row.no_quantity, row.no_cost) == (
        1_250,
        4_000 * 1_250,
        0,
        0,
    )
    assert buyer.portfolio.realised == (value - 4_000) * 1_250


def test_a_settlement_flattens_positions_tells_their_owners_and_then_everybody() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 300)
    scene.order(1, BID, 40, 100)
    scene.order(3, BID, 40, 100)
    scene.floor.lifecycle.determine(TICKER, YES, NOW)
    scene.facts.clear()

    scene.floor.lifecycle.settle(TICKER, LATER)

    assert scene.facts == [
        PositionChanged(scene.accounts[0], TICKER),
        PositionChanged(scene.accounts[1], TICKER),
        LifecycleChanged(TICKER, LifecycleKind.SETTLED, LATER),
    ]
    assert [account.portfolio.held(TICKER) for account in scene.accounts] == [0, 0, 0, 0]
    assert scene.accounts[1].activity[TICKER].updated_at == LATER
    house = scene.accounts[3]
    assert house.portfolio.cash == START_CASH - house.portfolio.fees_paid + (10_000 - 4_000) * 100
    assert house.settlements == []


def test_who_holds_nothing_at_the_end_gets_no_row() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 100)
    scene.order(1, BID, 40, 100)
    scene.order(0, BID, 50, 100)
    scene.order(1, ASK, 50, 100)

    scene.settle(YES)

    assert [account.settlements for account in scene.accounts] == [[], [], [], []]


def test_what_rests_is_cancelled_before_the_result_and_nothing_stays_reserved() -> None:
    scene = Scene()
    scene.order(0, BID, 40, 100)

    scene.floor.lifecycle.determine(TICKER, NO, NOW)

    (record,) = scene.accounts[0].orders.values()
    assert (record.status, record.reason) == ("canceled", "CloseCancel")
    assert scene.accounts[0].portfolio.available == START_CASH
    with pytest.raises(MarketInactive):
        scene.order(0, BID, 40, 100)


def test_one_market_that_settles_leaves_the_others_alone() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 100, OTHER)
    scene.order(1, BID, 40, 100, OTHER)

    scene.settle(YES)

    assert scene.floor.market(OTHER).market.status is MarketStatus.ACTIVE
    assert scene.accounts[1].portfolio.held(OTHER) == 100


@dataclass(frozen=True)
class Placing:
    who: int
    ticker: str
    side: Side
    cents: int
    quantity: int


placings = st.builds(
    Placing,
    who=st.integers(0, 3),
    ticker=st.sampled_from(TICKERS),
    side=st.sampled_from(Side),
    cents=st.integers(1, 99),
    quantity=st.integers(1, 20 * CONTRACT),
)
outcomes = st.one_of(
    st.sampled_from([(YES, None), (NO, None)]),
    st.tuples(st.sampled_from([SCALAR, VOID]), st.integers(0, DOLLAR)),
)


@settings(max_examples=100, deadline=None)
@given(script=st.lists(placings, max_size=40), ends=st.tuples(outcomes, outcomes))
def test_settled_at_any_value_all_cash_is_what_it_was_less_fees_and_the_rows_say_who_got_it(
    script: list[Placing], ends: tuple[tuple[MarketResult, int | None], ...]
) -> None:
    scene = Scene()
    for placing in script:
        try:
            scene.order(placing.who, placing.side, placing.cents, placing.quantity, placing.ticker)
        except Refused:
            continue
    before = scene.cash()
    realised_before = {a.user_id: a.portfolio.realised for a in scene.accounts}

    for ticker, (result, value) in zip(TICKERS, ends, strict=True):
        scene.settle(result, value, ticker)

    after = scene.cash()
    assert sum(after) + scene.floor.accounts.fees_collected == START_CASH * len(scene.accounts)
    assert scene.floor.resting() == ()
    for account, had, has in zip(scene.accounts, before, after, strict=True):
        portfolio = account.portfolio
        assert [portfolio.held(ticker) for ticker in TICKERS] == [0, 0]
        assert (portfolio.reserved, portfolio.orders) == (0, {})
        assert portfolio.cash == START_CASH + portfolio.realised - portfolio.fees_paid
        if not account.is_house:
            assert sum(row.revenue for row in account.settlements) == has - had
            gained = sum(row.revenue - row.yes_cost - row.no_cost for row in account.settlements)
            assert gained == portfolio.realised - realised_before[account.user_id]
