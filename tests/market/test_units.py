"""Exact conversions of prices, quantities and cash, both ways."""

import ast
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalshiflow.market
from kalshiflow.market.units import (
    DOLLAR,
    Cash,
    Price,
    Quantity,
    UnitError,
    cash_from_cents,
    cash_from_dollars,
    cash_to_dollars,
    complement,
    floor_cash,
    notional,
    price_from_cents,
    price_from_dollars,
    price_to_dollars,
    quantity_from_contracts,
    quantity_to_contracts,
)

EVERY_PRICE = [Price(value) for value in range(DOLLAR + 1)]
PRICES = st.integers(0, DOLLAR).map(Price)
QUANTITIES = st.integers(-(10**10), 10**10).map(Quantity)


def test_every_price_is_written_with_four_decimals_and_read_back() -> None:
    for price in EVERY_PRICE:
        text = price_to_dollars(price)

        assert Decimal(text) == Decimal(price) / 10_000
        assert len(text) == len("0.0000")
        assert price_from_dollars(text) == price


def test_every_price_reads_the_same_with_fewer_decimals() -> None:
    for price in EVERY_PRICE:
        text = price_to_dollars(price)
        while text.endswith("0") and not text.endswith(".0"):
            text = text[:-1]
            assert price_from_dollars(text) == price


def test_every_whole_cent_is_a_price() -> None:
    for cents in range(101):
        assert price_from_cents(cents) == price_from_dollars(f"{Decimal(cents) / 100:.2f}")


@pytest.mark.parametrize("cents", [-1, 101])
def test_cents_outside_the_dollar_are_refused(cents: int) -> None:
    with pytest.raises(UnitError, match=str(cents)):
        price_from_cents(cents)


@given(QUANTITIES)
def test_a_quantity_is_written_with_two_decimals_and_read_back(quantity: Quantity) -> None:
    text = quantity_to_contracts(quantity)

    assert Decimal(text) == Decimal(quantity) / 100
    assert text[-3] == "."
    assert quantity_from_contracts(text) == quantity


@given(st.integers(-(10**15), 10**15).map(Cash))
def test_cash_is_written_with_six_decimals_and_read_back(cash: Cash) -> None:
    text = cash_to_dollars(cash)

    assert Decimal(text) == Decimal(cash) / 1_000_000
    assert text[-7] == "."
    assert cash_from_dollars(text) == cash


@given(st.integers(-(10**12), 10**12).map(Cash), st.integers(1, 6))
def test_cash_is_never_written_with_too_few_decimals(cash: Cash, places: int) -> None:
    exact = Decimal(cash) / 1_000_000
    if exact == round(exact, places):
        assert Decimal(cash_to_dollars(cash, places)) == exact
    else:
        with pytest.raises(UnitError, match=str(cash)):
            cash_to_dollars(cash, places)


@pytest.mark.parametrize("places", [0, 7])
def test_cash_has_one_to_six_decimals(places: int) -> None:
    with pytest.raises(UnitError, match="can be had"):
        cash_to_dollars(Cash(0), places)


@given(PRICES, QUANTITIES)
def test_a_price_times_a_quantity_is_exactly_cash(price: Price, quantity: Quantity) -> None:
    dollars = Decimal(price_to_dollars(price)) * Decimal(quantity_to_contracts(quantity))

    assert Decimal(cash_to_dollars(notional(price, quantity))) == dollars


def test_whole_cents_are_cash() -> None:
    assert cash_to_dollars(cash_from_cents(1234)) == "12.340000"


@pytest.mark.parametrize(
    ("cash", "floored"), [(19_999, 10_000), (20_000, 20_000), (-1, -10_000), (-10_000, -10_000)]
)
def test_cash_is_floored_towards_minus_infinity(cash: int, floored: int) -> None:
    assert floor_cash(Cash(cash), Cash(10_000)) == floored


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", ".5", ".50", "1.", "+0.5", " 0.5", "0,5", "1e-2", "0x1", "٠.٥", "nan"],
)
def test_what_is_no_decimal_number_is_refused(text: str) -> None:
    for read in (price_from_dollars, quantity_from_contracts, cash_from_dollars):
        with pytest.raises(UnitError) as refused:
            read(text)
        assert repr(text) in str(refused.value)


def test_a_text_of_thousands_of_digits_is_refused_unread() -> None:
    for read in (price_from_dollars, quantity_from_contracts, cash_from_dollars):
        for text in ("9" * 5000, "9" * 5000 + ".00"):
            with pytest.raises(UnitError, match="characters is no amount"):
                read(text)


def test_more_decimals_than_the_unit_has_are_refused() -> None:
    with pytest.raises(UnitError, match="at most 4 decimals"):
        price_from_dollars("0.12345")
    with pytest.raises(UnitError, match="at most 2 decimals"):
        quantity_from_contracts("0.123")
    with pytest.raises(UnitError, match="at most 6 decimals"):
        cash_from_dollars("0.1234567")


@pytest.mark.parametrize("text", ["-0.0100", "1.0001", "56"])
def test_a_price_outside_the_dollar_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="outside 0 to 1 dollar"):
        price_from_dollars(text)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [("-54.00", -5400), ("0.01", 1), ("10", 1000), ("1406474.86", 140_647_486), ("0.1", 10)],
)
def test_quantities_read_as_the_exchange_writes_them(text: str, quantity: int) -> None:
    assert quantity_from_contracts(text) == quantity


def test_the_complement_of_every_price_makes_a_dollar_with_it() -> None:
    for price in EVERY_PRICE:
        assert price + complement(price) == DOLLAR
        assert complement(complement(price)) == price


def test_a_price_is_taken_from_a_dollar_in_one_function_only() -> None:
    folder = Path(kalshiflow.market.__file__).parent
    places = [
        (path.name, function.name)
        for path in sorted(folder.glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and _is_dollar(node.left)
    ]

    assert places == [("units.py", "complement")]


def _is_dollar(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in {100, 10_000, 1_000_000}
    return isinstance(node, ast.Name) and node.id in {"DOLLAR", "CASH_PER_DOLLAR"}
