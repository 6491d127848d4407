"""Squaring our account with the exchange's, whatever happened while nobody listened."""

from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from kalshiflow.agent.action import Action
from kalshiflow.market.events import Side
from kalshiflow.market.orders import OrderState, TimeInForce
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.store import trading
from trader.reconcile import differences

TICKER = "KXFOO-26NOV20-T50"
BIDS = [("0.4000", "50.00")]
ASKS = [("0.4400", "60.00")]
integration = pytest.mark.integration


@pytest.fixture
async def rig(make_trader):
    async with make_trader() as made:
        yield made


async def decide_and_send(rig, frames):
    rig.trader.desk.take(frames.snapshot(BIDS, ASKS))
    rig.trader.desk.decide_due()
    sender = rig.trader.sender
    await sender.do(sender._jobs.get_nowait())
    sender._idle.set()


def test_equal_accounts_have_no_differences():
    ledger = Portfolio(Cash(98_018_600))

    assert differences(ledger, Cash(98_018_600), {}) == ()


def test_differences_name_both_figures():
    ledger = Portfolio(Cash(98_018_600))

    assert differences(ledger, Cash(98_018_700), {"T": Quantity(-300)}) == (
        "cash: ours 98.018600, exchange 98.018700",
        "T: ours 0.00, exchange -3.00",
    )


@integration
async def test_the_first_squaring_takes_over_what_is_held_and_is_no_drift(
    rig, exchange, resting_order
):
    exchange.rest(resting_order("before"))
    exchange.fill("before", 1_000)

    squared = await rig.trader.reconciler.square()

    ledger = rig.trader.accounts.ledger
    assert squared.drift == ()
    assert (ledger.cash, ledger.held(TICKER)) == (exchange.portfolio.cash, 1_000)
    assert ledger.positions[TICKER].cost == 4_000_000
    assert ledger.positions[TICKER].fees == 0  # this run's
    assert rig.trader.accounts.market(TICKER).position.quantity == 1_000


@integration
async def test_a_fill_that_the_socket_never_brought_is_found(
    rig, exchange, frames, act, scripted, clock
):
    await rig.trader.reconciler.square()
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    await decide_and_send(rig, frames)
    clock.seconds += 10
    exchange.fill("order-1", 1_000)

    squared = await rig.trader.reconciler.square()

    assert (squared.fills_found, squared.drift) == (1, ())
    assert rig.trader.accounts.ledger.cash == exchange.portfolio.cash
    await rig.trader.journal.flush()
    (fill,) = await trading.fills_of_run(rig.store, rig.run_id)
    assert fill.client_order_id == next(iter(rig.trader.outcomes.orders)).client_order_id


@integration
async def test_our_resting_orders_are_cancelled_before_anything_is_compared(
    rig, exchange, frames, act, scripted
):
    await rig.trader.reconciler.square()
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    await decide_and_send(rig, frames)

    squared = await rig.trader.reconciler.square()

    assert exchange.orders["order-1"].state is OrderState.CANCELLED
    assert squared.available == exchange.portfolio.cash
    assert rig.trader.accounts.ledger.reserved == 0


@integration
async def test_an_order_that_the_exchange_ended_unheard_is_read(
    rig, exchange, frames, act, scripted
):
    await rig.trader.reconciler.square()
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    await decide_and_send(rig, frames)
    exchange._cancel("order-1")

    squared = await rig.trader.reconciler.square()

    assert squared.drift == ()
    assert rig.trader.outcomes.orders.open() == []


@integration
async def test_an_order_that_landed_after_it_was_given_up_on_is_cancelled(
    rig, exchange, frames, act, scripted, resting_order
):
    await rig.trader.reconciler.square()
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    exchange.faults.append("refused")
    await decide_and_send(rig, frames)
    ours = next(iter(rig.trader.outcomes.orders)).client_order_id
    exchange.rest(resting_order("late", client_order_id=str(ours)))

    squared = await rig.trader.reconciler.square()

    assert exchange.orders["late"].state is OrderState.CANCELLED
    assert (squared.drift, squared.foreign_orders) == ((), 0)


@integration
async def test_an_order_that_is_not_ours_is_left_alone_and_accounted_for(
    rig, exchange, resting_order
):
    exchange.rest(resting_order("by-hand"))

    squared = await rig.trader.reconciler.square()

    assert exchange.orders["by-hand"].state is OrderState.RESTING
    assert (squared.drift, squared.foreign_orders) == ((), 1)
    assert rig.trader.accounts.ledger.cash == exchange.portfolio.cash


@integration
async def test_what_differs_to_the_end_is_told_and_adopted(rig, exchange, clock):
    await rig.trader.reconciler.square()
    exchange.portfolio.deposit(Cash(5_000_000))

    squared = await rig.trader.reconciler.square()

    assert squared.drift == ("cash: ours 1000.000000, exchange 1005.000000",)
    assert rig.trader.accounts.ledger.cash == Cash(1_005_000_000)
    assert clock.seconds >= 2.0  # it was read again and again before it was believed
    assert (await rig.trader.reconciler.square()).drift == ()


@integration
async def test_an_order_that_a_crash_left_resting_is_cancelled_and_closed_in_the_journal(
    rig, exchange, resting_order, clock
):
    from trader.leftovers import close_leftovers

    earlier, ours = uuid4(), uuid4()
    lost = UUID(int=7)
    await trading.start_run(rig.store, trading.Run(earlier, "local", "exchange", {}, clock.now()))
    for key in (ours, lost):
        await trading.record_intent(
            rig.store,
            trading.OrderRow(
                key, earlier, uuid4(), TICKER, Side.BID, Price(4_000), Quantity(1_000),
                TimeInForce.GTC, OrderState.PENDING, clock.now(), clock.now(),
            ),
        )  # fmt: skip
    exchange.rest(resting_order("left", client_order_id=str(ours)))
    exchange.fill("left", 300)

    exchange.blind = 2  # reads lag: at first the list shows neither

    closed = await close_leftovers(
        rig.store, rig.trader._client, rig.run_id, clock.now(), sleep=clock.sleep
    )

    assert closed == 2
    assert exchange.orders["left"].state is OrderState.CANCELLED
    rows = {row.client_order_id: row for row in await trading.orders_of_run(rig.store, earlier)}
    assert (rows[ours].state, rows[ours].filled) == (OrderState.CANCELLED, 300)
    assert (rows[lost].state, rows[lost].error) == (
        OrderState.REJECTED,
        "it never reached the exchange",
    )
    assert await trading.open_orders(rig.store) == []


@integration
async def test_fills_that_never_come_are_given_up_on_and_the_market_decides_again(
    rig, exchange, frames, act, scripted
):
    await rig.trader.reconciler.square()
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    await decide_and_send(rig, frames)
    order = next(iter(rig.trader.outcomes.orders))
    rig.trader.outcomes.orders.told(
        order.client_order_id, "order-1", OrderState.RESTING, Quantity(300)
    )
    assert rig.trader.outcomes.late_fills(10.0) == []
    assert [late.order_id for late in rig.trader.outcomes.late_fills(13.1)] == ["order-1"]
    assert rig.trader.outcomes.orders.must_wait(TICKER)

    squared = await rig.trader.reconciler.square()

    assert squared.drift == ()
    assert not rig.trader.outcomes.orders.must_wait(TICKER)


@integration
async def test_ten_refusals_in_a_row_hold_the_trader_until_a_person_resumes(
    rig, exchange, frames, act, scripted, clock
):
    await rig.trader.reconciler.square()
    act(rig.trader, scripted(*[Action.BUY_YES_LIMIT] * 20))
    exchange.faults.extend(["refused"] * 20)
    rig.trader.desk.take(frames.snapshot(BIDS, ASKS))
    sender = rig.trader.sender
    for number in range(10):
        assert rig.trader.conductor.may_send() is None, number
        clock.seconds += 1
        rig.trader.desk.take(frames.delta("bid", "0.3900", "1.00"))
        rig.trader.desk.decide_due()
        await sender.do(sender._jobs.get_nowait())

    assert rig.trader.conductor.may_send().startswith(
        "paused (risk): 10 orders in a row were refused, the last: HTTP 400: insufficient_balance"
    )
    rig.trader.commands._obey(SimpleNamespace(command="resume", who="me", why="it is fixed"))
    assert rig.trader.conductor.holds == {}

    for _ in range(10):
        assert rig.trader.conductor.holds == {}
        rig.trader.outcomes.rejected(next(iter(rig.trader.outcomes.orders)).client_order_id, "no")

    assert "risk" in rig.trader.conductor.holds  # a resumed trader is held again
