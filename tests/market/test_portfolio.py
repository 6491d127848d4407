"""One account's ledger: what orders reserve, what fills and settlements pay, what it is worth."""

import pytest

from kalshiflow.market.events import Side
from kalshiflow.market.fees import ORDER_CUSHION, trade_fee, worst_case_fee
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Fill, Order, OrderError, OrderState, Role
from kalshiflow.market.portfolio import InsufficientCash, Portfolio, Position
from kalshiflow.market.units import NO_CASH, Cash, Price, Quantity, cash_from_dollars, complement

BID, ASK = Side.BID, Side.ASK
TERMS = FeeTerms()


def dollars(text: str) -> Cash:
    return cash_from_dollars(text)


def order(order_id: str, side: Side, price: int, quantity: int, ticker: str = "KX") -> Order:
    return Order(order_id, ticker, side, Price(price), Quantity(quantity))


def fill(
    order_id: str,
    side: Side,
    price: int,
    quantity: int,
    fee: Cash = NO_CASH,
    ticker: str = "KX",
    client_order_id: str = "",
) -> Fill:
    return Fill(
        "t",
        order_id,
        ticker,
        side,
        Price(price),
        Quantity(quantity),
        Role.TAKER,
        fee,
        0,
        client_order_id,
    )


def holding(side: Side, quantity: int, price: int = 5_000, cash: str = "100") -> Portfolio:
    account = Portfolio(dollars(cash))
    account.apply_fill(fill("earlier", side, price, quantity))
    return account


def reserve(side: Side, price: int, quantity: int) -> int:
    """What an order that opens `quantity` reserves, written out."""
    unit = price if side is BID else complement(Price(price))
    return unit * quantity + worst_case_fee(TERMS, Price(price), Quantity(quantity))


@pytest.mark.parametrize("side", Side)
def test_an_order_that_opens_reserves_notional_fee_and_two_cents(side: Side) -> None:
    account = Portfolio(dollars("100"))
    placed = order("o", side, 3_000, 1_000)

    assert account.reserve_needed(placed, TERMS) == reserve(side, 3_000, 1_000)
    account.place(placed, TERMS)

    assert account.reserved == reserve(side, 3_000, 1_000)
    assert account.cash == dollars("100")
    assert account.available == dollars("100") - account.reserved


def test_an_order_is_placed_when_free_cash_covers_it_to_the_last_unit() -> None:
    placed = order("o", BID, 5_000, 1_000)
    enough = Portfolio(Cash(reserve(BID, 5_000, 1_000)))
    short = Portfolio(Cash(reserve(BID, 5_000, 1_000) - 1))

    assert enough.can_place(placed, TERMS)
    enough.place(placed, TERMS)
    assert enough.available == 0

    assert not short.can_place(placed, TERMS)
    with pytest.raises(InsufficientCash, match="needs 5.195000 dollars, 5.194999 are available"):
        short.place(placed, TERMS)
    assert not short.orders
    assert short.reserved == 0


@pytest.mark.parametrize("side", Side)
def test_an_order_that_closes_reserves_nothing_even_with_no_cash(side: Side) -> None:
    account = holding(side, 1_000, cash="5")
    closing = order("o", side.other, 4_000, 1_000)
    assert account.available == 0

    assert account.can_place(closing, TERMS)
    account.place(closing, TERMS)

    assert account.reserved == 0


def test_closing_may_be_placed_when_free_cash_is_negative() -> None:
    account = Portfolio(Cash(-1))
    account.adopt(Cash(-1), {"KX": Position(Quantity(100), Cash(0))})

    assert account.can_place(order("o", ASK, 4_000, 100), TERMS)
    account.place(order("o", ASK, 4_000, 100), TERMS)

    assert list(account.orders) == ["o"]
    assert not account.can_place(order("p", ASK, 4_000, 100), TERMS)


def test_the_part_of_an_order_beyond_what_is_held_reserves() -> None:
    account = holding(BID, 400)

    account.place(order("o", ASK, 6_000, 1_000), TERMS)

    assert account.reserved == reserve(ASK, 6_000, 600)


def test_closing_quantity_is_granted_in_order_of_arrival() -> None:
    account = holding(BID, 1_000)
    account.place(order("first", ASK, 6_000, 700), TERMS)
    account.place(order("second", ASK, 4_000, 700), TERMS)
    account.place(order("third", ASK, 5_000, 100), TERMS)

    assert account.reserved == reserve(ASK, 4_000, 400) + reserve(ASK, 5_000, 100)


def test_a_cancel_hands_its_grant_to_the_next_in_line() -> None:
    account = holding(BID, 1_000)
    account.place(order("first", ASK, 6_000, 700), TERMS)
    account.place(order("second", ASK, 4_000, 700), TERMS)

    account.cancel("first")

    assert account.reserved == 0
    assert list(account.orders) == ["second"]


def test_a_fill_that_closes_turns_the_other_closing_orders_into_opening_ones() -> None:
    account = holding(BID, 1_000)
    account.place(order("first", ASK, 6_000, 1_000), TERMS)
    account.place(order("second", ASK, 4_000, 1_000), TERMS)

    account.apply_fill(fill("second", ASK, 4_000, 1_000))

    assert account.held("KX") == 0
    assert account.reserved == reserve(ASK, 6_000, 1_000)


def test_buying_more_turns_opening_orders_into_closing_ones() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("ask", ASK, 6_000, 1_000), TERMS)
    account.place(order("bid", BID, 4_000, 1_000), TERMS)

    account.apply_fill(fill("bid", BID, 4_000, 300))

    assert account.reserved == reserve(ASK, 6_000, 700) + reserve(BID, 4_000, 700)


def test_orders_of_other_markets_and_the_other_side_share_no_grant() -> None:
    account = holding(BID, 1_000)
    account.place(order("here", BID, 4_000, 100), TERMS)
    account.place(order("there", ASK, 6_000, 100, ticker="KY"), TERMS)

    assert account.reserved_in("KX") == reserve(BID, 4_000, 100)
    assert account.reserved_in("KY") == reserve(ASK, 6_000, 100)
    assert account.reserved_in("KZ") == 0
    assert account.reserved == account.reserved_in("KX") + account.reserved_in("KY")


def test_a_takers_fill_lowers_its_order_before_it_rests() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)
    fee = trade_fee(TERMS, Role.TAKER, Price(4_800), Quantity(400))

    account.apply_fill(fill("o", BID, 4_800, 400, fee))

    assert account.orders["o"].remaining == 600
    assert account.reserved == reserve(BID, 5_000, 600)
    assert account.cash == dollars("100") - 4_800 * 400 - fee
    assert account.fees_paid == account.positions["KX"].fees == fee


def test_a_filled_order_leaves_and_reserves_nothing() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)

    account.apply_fill(fill("o", BID, 5_000, 400))
    account.apply_fill(fill("o", BID, 5_000, 600))

    assert not account.orders
    assert account.reserved == 0
    assert account.positions["KX"] == Position(Quantity(1_000), dollars("5"))


def test_a_fill_of_an_unknown_order_changes_cash_and_position_only() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)

    account.apply_fill(fill("stranger", BID, 4_000, 100))

    assert account.orders["o"].remaining == 1_000
    assert account.reserved == reserve(BID, 5_000, 1_000)
    assert account.cash == dollars("99.60")


def test_a_fill_finds_its_order_by_the_client_order_id() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("mine-1", BID, 5_000, 1_000), TERMS)

    account.apply_fill(fill("theirs-1", BID, 5_000, 1_000, client_order_id="mine-1"))

    assert not account.orders


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(fill("o", BID, 5_000, 1_001), id="too much"),
        pytest.param(fill("o", ASK, 5_000, 1), id="other side"),
        pytest.param(fill("o", BID, 5_000, 1, ticker="KY"), id="other market"),
        pytest.param(fill("o", BID, 5_000, 0), id="nothing"),
        pytest.param(fill("o", BID, -1, 1), id="price below zero"),
        pytest.param(fill("o", BID, 10_001, 1), id="price above a dollar"),
    ],
)
def test_a_fill_that_cannot_be_changes_nothing(wrong: Fill) -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)
    reserved = account.reserved

    with pytest.raises(OrderError):
        account.apply_fill(wrong)

    assert account.orders["o"].remaining == 1_000
    assert (account.cash, account.reserved) == (dollars("100"), reserved)
    assert not account.positions


def test_rounding_is_paid_by_the_orders_own_cushion() -> None:
    account = Portfolio(Cash(reserve(BID, 5_000, 1_000)))
    account.place(order("o", BID, 5_000, 1_000), TERMS)

    account.apply_fill(
        fill("o", BID, 5_000, 1, trade_fee(TERMS, Role.TAKER, Price(5_000), Quantity(1)))
    )

    assert account.available == 0
    assert account.reserved < reserve(BID, 5_000, 999)
    assert account.reserved > reserve(BID, 5_000, 999) - ORDER_CUSHION


def test_a_used_cushion_is_filled_again_when_cash_comes_in() -> None:
    account = Portfolio(Cash(reserve(BID, 5_000, 1_000)))
    account.place(order("o", BID, 5_000, 1_000), TERMS)
    account.apply_fill(fill("o", BID, 5_000, 1, Cash(200)))

    account.deposit(dollars("1"))
    account.apply_fill(fill("o", BID, 5_000, 1, Cash(200)))

    assert account.reserved == reserve(BID, 5_000, 998)


def test_reducing_an_order_frees_its_part() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)
    account.apply_fill(fill("o", BID, 5_000, 100))

    account.reduce("o", Quantity(300))
    assert account.orders["o"].remaining == 600
    assert account.orders["o"].filled == 100
    assert account.reserved == reserve(BID, 5_000, 600)

    account.reduce("o", Quantity(600))
    assert not account.orders
    assert account.reserved == 0


@pytest.mark.parametrize("quantity", [0, -1, 1_001])
def test_an_order_is_not_reduced_by_nothing_or_more_than_remains(quantity: int) -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)

    with pytest.raises(OrderError, match="of 10.00 remaining"):
        account.reduce("o", Quantity(quantity))


def test_an_order_that_is_not_resting_can_neither_be_cancelled_nor_reduced() -> None:
    account = Portfolio(dollars("100"))

    with pytest.raises(OrderError, match="order o is not resting"):
        account.cancel("o")
    with pytest.raises(OrderError, match="order o is not resting"):
        account.reduce("o", Quantity(1))


def test_an_order_that_has_ended_or_rests_already_is_not_placed() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 100), TERMS)

    with pytest.raises(OrderError, match="order o has ended, or is resting already"):
        account.place(order("o", BID, 5_000, 100), TERMS)
    with pytest.raises(OrderError, match="order p has ended"):
        account.place(order("p", BID, 5_000, 100).moved_to(OrderState.CANCELLED), TERMS)


@pytest.mark.parametrize(
    ("side", "value", "payout"),
    [(BID, 10_000, "10"), (BID, 0, "0"), (BID, 3_301, "3.301")]
    + [(ASK, 10_000, "0"), (ASK, 0, "10"), (ASK, 3_301, "6.699")],
)
def test_settlement_pays_the_position_and_takes_the_markets_orders_off(
    side: Side, value: int, payout: str
) -> None:
    account = holding(side, 1_000)
    account.place(order("here", side, 4_000, 100), TERMS)
    account.place(order("there", BID, 4_000, 100, ticker="KY"), TERMS)
    before = account.cash

    assert account.settle("KX", Price(value)) == dollars(payout)

    assert account.cash == before + dollars(payout)
    assert account.held("KX") == 0
    assert account.realised == account.positions["KX"].realised == dollars(payout) - dollars("5")
    assert list(account.orders) == ["there"]
    assert account.reserved == reserve(BID, 4_000, 100)


def test_a_market_pays_once() -> None:
    account = holding(BID, 1_000)
    account.settle("KX", Price(10_000))

    assert account.settle("KX", Price(10_000)) == 0
    assert account.settle("never held", Price(10_000)) == 0
    assert account.cash == dollars("105")
    assert "never held" not in account.positions


def test_a_deposit_adds_cash_and_a_negative_one_is_refused() -> None:
    account = Portfolio()
    account.deposit(dollars("2.50"))

    assert account.available == dollars("2.50")
    with pytest.raises(ValueError, match="-1.000000"):
        account.deposit(dollars("-1"))


def test_adopting_takes_the_exchanges_truth_and_reserves_anew() -> None:
    account = holding(BID, 1_000)
    account.place(order("o", ASK, 6_000, 1_000), TERMS)
    truth = Position(Quantity(400), dollars("2"), realised=dollars("1"), fees=dollars("0.03"))

    account.adopt(dollars("50"), {"KX": truth})

    assert account.cash == dollars("50")
    assert account.positions == {"KX": truth}
    assert (account.realised, account.fees_paid) == (dollars("1"), dollars("0.03"))
    assert account.reserved == reserve(ASK, 6_000, 600)


def test_adopting_orders_replaces_the_resting_ones_even_beyond_free_cash() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("old", BID, 5_000, 100), TERMS)
    adopted = [(order("a", BID, 5_000, 100), TERMS), (order("b", ASK, 6_000, 50), TERMS)]

    account.adopt(dollars("0.10"), {}, adopted)

    assert list(account.orders) == ["a", "b"]
    base = reserve(BID, 5_000, 100) + reserve(ASK, 6_000, 50) - 2 * ORDER_CUSHION
    assert account.reserved == base
    assert account.available < 0


def test_value_is_cash_and_what_closing_at_the_touch_would_bring() -> None:
    account = Portfolio(dollars("100"))
    account.apply_fill(fill("a", BID, 5_000, 1_000, ticker="YES"))
    account.apply_fill(fill("b", ASK, 5_000, 1_000, ticker="NO"))
    touches = {"YES": (Price(4_000), Price(6_000)), "NO": (Price(4_500), Price(7_000))}

    assert account.market_value("YES", *touches["YES"]) == dollars("4")
    assert account.market_value("NO", *touches["NO"]) == dollars("3")
    assert account.value(touches) == dollars("90") + dollars("7")


def test_a_position_without_a_touch_to_close_at_is_worth_nothing() -> None:
    account = holding(BID, 1_000)

    assert account.value({"KX": (None, Price(6_000))}) == account.cash
    assert account.value({}) == account.cash
    assert account.market_value("not held", Price(4_000), Price(6_000)) == 0


def test_reserved_cash_is_part_of_the_value() -> None:
    account = Portfolio(dollars("100"))
    account.place(order("o", BID, 5_000, 1_000), TERMS)

    assert account.value({}) == dollars("100")
