"""Orders whose answer never came: found, or sent again, and never twice."""

from dataclasses import replace

import pytest

from kalshiflow.agent.action import Action
from kalshiflow.market.orders import OrderState
from kalshiflow.market.units import Cash, Price
from kalshiflow.store import trading
from kalshiflow.store.errors import StoreUnavailable
from trader.sending import IntentMismatch

BIDS = [("0.4000", "50.00")]
ASKS = [("0.4400", "60.00")]
pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(make_trader, act, scripted, frames):
    async with make_trader() as made:
        trader = made.trader
        trader.accounts.adopt(Cash(1_000_000_000), {}, 0)
        act(trader, scripted(Action.BUY_YES_LIMIT))
        trader.desk.take(frames.snapshot(BIDS, ASKS))
        trader.desk.decide_due()
        made.job = trader.sender._jobs.get_nowait()
        yield made


def state_of(rig):
    return rig.trader.outcomes.orders[rig.job.place.client_order_id].state


async def journalled(rig):
    await rig.trader.journal.flush()
    (row,) = await trading.orders_of_run(rig.store, rig.run_id)
    return row


async def test_the_intent_is_committed_before_the_order_is_sent(rig, exchange):
    seen = []
    inner = rig.trader.sender._route.create

    async def look_first(order):
        seen.extend(await trading.orders_of_run(rig.store, rig.run_id))
        return await inner(order)

    rig.trader.sender._route.create = look_first
    await rig.trader.sender.do(rig.job)

    assert [(row.client_order_id, row.state) for row in seen] == [
        (rig.job.place.client_order_id, OrderState.PENDING)
    ]
    assert len(exchange.posts()) == 1


async def test_an_order_that_landed_without_an_answer_is_found_and_not_sent_again(rig, exchange):
    exchange.faults.append("landed")

    await rig.trader.sender.do(rig.job)

    assert len(exchange.posts()) == 1
    assert state_of(rig) is OrderState.RESTING
    assert (await journalled(rig)).order_id == "order-1"


async def test_an_order_that_is_shown_late_is_still_found(rig, exchange, clock):
    exchange.faults.append("landed")
    exchange.blind = 3

    await rig.trader.sender.do(rig.job)

    assert len(exchange.posts()) == 1
    assert state_of(rig) is OrderState.RESTING
    assert clock.seconds >= 1.5


async def test_an_order_that_never_arrived_is_sent_again_under_the_same_id(rig, exchange, clock):
    exchange.faults.append("lost")

    await rig.trader.sender.do(rig.job)

    assert len(exchange.posts()) == 2
    (order,) = exchange.orders.values()
    assert order.client_order_id == str(rig.job.place.client_order_id)
    assert state_of(rig) is OrderState.RESTING
    assert clock.seconds >= 2.0  # absent is believed after two seconds and two full reads


async def test_a_second_try_that_meets_the_first_is_the_same_order(rig, exchange):
    exchange.faults.append("landed")
    exchange.blind = 5  # so late that the order is taken for absent

    await rig.trader.sender.do(rig.job)

    assert len(exchange.posts()) == 2
    assert len(exchange.orders) == 1
    assert state_of(rig) is OrderState.RESTING


async def test_another_order_under_our_id_ends_the_process(rig, exchange, resting_order):
    exchange.faults.append("lost")
    ours = str(rig.job.place.client_order_id)
    exchange.rest(resting_order("theirs", price=4_300, client_order_id=ours))

    with pytest.raises(IntentMismatch, match="was not what we intended"):
        await rig.trader.sender.do(rig.job)


async def test_an_order_under_our_id_that_is_older_than_the_intent_ends_the_process(
    rig, exchange, resting_order
):
    exchange.faults.append("lost")
    ours = str(rig.job.place.client_order_id)
    exchange.rest(resting_order("old", price=4_400, client_order_id=ours))
    exchange.orders["old"] = replace(
        exchange.orders["old"], created_at=rig.job.place.market_time - 60_000_000_000
    )

    with pytest.raises(IntentMismatch):
        await rig.trader.sender.do(rig.job)


async def test_an_unknown_order_is_not_sent_again_once_orders_are_forbidden(rig, exchange):
    exchange.faults.append("lost")
    inner = rig.trader.sender._route.search

    async def pause_while_searching(order):
        rig.trader.conductor.hold("person", "lunch")
        return await inner(order)

    rig.trader.sender._route.search = pause_while_searching
    await rig.trader.sender.do(rig.job)

    assert len(exchange.posts()) == 1
    assert state_of(rig) is OrderState.REJECTED
    assert "given up on" in rig.trader.conductor._wanted


async def test_a_refusal_gives_the_cash_back_and_is_written_down(rig, exchange):
    exchange.faults.append("refused")

    await rig.trader.sender.do(rig.job)

    assert rig.trader.accounts.ledger.reserved == 0
    row = await journalled(rig)
    assert (row.state, row.error) == (
        OrderState.REJECTED,
        "HTTP 400: insufficient_balance insufficient_balance",
    )


async def test_an_exchange_that_cannot_be_reached_has_no_order(rig, exchange):
    exchange.is_down = True

    await rig.trader.sender.do(rig.job)

    assert state_of(rig) is OrderState.REJECTED
    assert "was not sent" in (await journalled(rig)).error


async def test_without_the_database_no_order_is_sent_and_the_trader_is_held(rig, exchange):
    async def away(_order):
        rig.trader.journal.mark_lost("the database is away")
        raise StoreUnavailable

    rig.trader.journal.intend = away
    await rig.trader.sender.do(rig.job)

    assert exchange.posts() == []
    assert rig.trader.accounts.ledger.reserved == 0
    assert rig.trader.conductor.holds == {"database": "the database is away"}
    assert rig.trader.conductor.may_send() is not None


async def test_cancels_are_sent_without_the_database(rig, exchange):
    await rig.trader.sender.do(rig.job)
    rig.trader.journal.mark_lost("the database is away")

    await rig.trader.sender.cancel_resting()

    assert exchange.orders["order-1"].state is OrderState.CANCELLED
    assert rig.trader.accounts.ledger.reserved == 0


async def test_a_cancel_that_finds_nothing_learns_how_the_order_ended(rig, exchange, frames):
    await rig.trader.sender.do(rig.job)
    fill = exchange.fill("order-1", 1_000)

    await rig.trader.sender.cancel_resting()
    assert rig.trader.outcomes.orders.must_wait(rig.job.ticker)
    rig.trader.desk.take(frames.fill(fill))

    assert state_of(rig) is OrderState.FILLED
    assert rig.trader.outcomes.orders.open() == []
    assert rig.trader.accounts.ledger.cash == exchange.portfolio.cash


async def test_a_price_better_than_the_limit_gives_the_rest_of_the_reservation_back(
    rig, exchange, frames
):
    await rig.trader.sender.do(rig.job)
    rig.trader.desk.take(frames.fill(exchange.fill("order-1", 1_000, Price(4_200))))

    assert rig.trader.accounts.ledger.reserved == 0
    assert rig.trader.accounts.ledger.available == exchange.portfolio.available
