"""From frames to decisions, orders and the ledger, on a real journal and without a socket."""

import asyncio

import pytest

from kalshiflow.agent.action import Action
from kalshiflow.market.orders import OrderState
from kalshiflow.market.units import Cash
from kalshiflow.store import trading

TICKER = "KXFOO-26NOV20-T50"
BIDS = [("0.4000", "50.00")]
ASKS = [("0.4400", "60.00")]
pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(make_trader):
    async with make_trader() as made:
        yield made


@pytest.fixture
def desk(rig):
    return rig.trader.desk


async def work_off(rig):
    """Let the sender do what waits, one job after the other."""
    sender = rig.trader.sender
    while sender.waiting:
        await sender.do(sender._jobs.get_nowait())


def adopt(rig, dollars=1_000):
    rig.trader.accounts.adopt(Cash(dollars * 1_000_000), {}, 0)


async def test_a_decision_is_made_at_the_first_change_after_the_throttle(
    rig, desk, frames, clock, act, scripted
):
    policy = scripted()
    act(rig.trader, policy)
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.take(frames.delta("bid", "0.3900", "5.00"))
    desk.decide_due()
    clock.seconds += 0.2
    desk.take(frames.delta("bid", "0.3900", "5.00"))
    desk.decide_due()
    assert rig.trader.counts.decisions == 1

    clock.seconds += 0.05
    desk.decide_due()
    assert rig.trader.counts.decisions == 1  # the time has come, a change has not
    desk.take(frames.delta("bid", "0.3900", "5.00"))
    desk.decide_due()

    assert rig.trader.counts.decisions == 2


async def test_a_burst_is_applied_whole_and_decided_upon_once(
    rig, desk, frames, clock, act, scripted
):
    policy = scripted()
    act(rig.trader, policy)
    desk.take(frames.snapshot(BIDS, ASKS))
    for _ in range(40):
        clock.seconds += 1
        desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()

    assert rig.trader.counts.decisions == 1
    assert rig.trader.data.counts.deltas == 40
    assert desk.data.observers[TICKER].book.bids[38] == 4_000


async def test_the_order_of_a_decision_is_committed_sent_and_filled(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    ledger = rig.trader.accounts.ledger
    assert ledger.reserved > 4_400_000  # from the moment of the decision

    await work_off(rig)
    order_id = next(iter(exchange.orders))
    desk.take(frames.fill(exchange.fill(order_id, 1_000)))
    await rig.trader.journal.flush()

    rows = await trading.orders_of_run(rig.store, rig.run_id)
    assert [(row.state, row.filled, row.price, row.order_id) for row in rows] == [
        (OrderState.FILLED, 1_000, 4_400, order_id)
    ]
    assert ledger.held(TICKER) == 1_000
    assert ledger.cash == exchange.portfolio.cash
    assert ledger.reserved == 0


async def test_a_fill_that_comes_twice_counts_once(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await work_off(rig)
    fill = exchange.fill(next(iter(exchange.orders)), 1_000)
    desk.take(frames.fill(fill))
    desk.take(frames.fill(fill))

    assert rig.trader.accounts.ledger.cash == exchange.portfolio.cash
    assert rig.trader.counts.fills == 1


async def test_a_market_whose_order_is_not_answered_takes_no_decision(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT, Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    clock.seconds += 1
    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()
    assert (rig.trader.counts.decisions, rig.trader.counts.deferred) == (1, 1)

    await work_off(rig)
    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()

    assert rig.trader.counts.decisions == 2


async def test_a_later_action_cancels_the_resting_order_before_it_places(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT, Action.BUY_NO_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await work_off(rig)
    clock.seconds += 1
    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()
    exchange.requests.clear()
    await work_off(rig)

    assert [request.split()[0] for request in exchange.requests] == ["DELETE", "POST"]
    assert [order.state for order in exchange.orders.values()] == [
        OrderState.CANCELLED,
        OrderState.RESTING,
    ]
    assert len(rig.trader.accounts.ledger.orders) == 1


async def test_an_order_is_cancelled_at_the_first_decision_after_its_lifetime(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await work_off(rig)
    for _ in range(2):
        clock.seconds += 3
        desk.take(frames.delta("bid", "0.3900", "1.00"))
        desk.decide_due()
        await work_off(rig)

    assert [order.state for order in exchange.orders.values()] == [OrderState.CANCELLED]
    assert rig.trader.accounts.ledger.reserved == 0


async def test_an_order_that_was_filled_meanwhile_is_not_replaced(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT, Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await work_off(rig)
    clock.seconds += 1
    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()
    fill = exchange.fill("order-1", 400)
    await work_off(rig)
    desk.take(frames.fill(fill))

    assert list(exchange.orders) == ["order-1"]
    assert rig.trader.counts.dropped == 1
    assert rig.trader.accounts.ledger.held(TICKER) == 400
    assert rig.trader.accounts.ledger.reserved == 0


async def test_a_stale_book_takes_no_decisions_until_its_snapshot(
    rig, desk, frames, clock, act, scripted
):
    act(rig.trader, scripted())
    desk.take(frames.snapshot(BIDS, ASKS))
    frames.skip(1)
    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()
    assert rig.trader.counts.decisions == 0
    assert desk.snapshots_due(0.0) == [TICKER]
    assert desk.snapshots_due(9.0) == []
    assert desk.snapshots_due(10.0) == [TICKER]

    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()

    assert rig.trader.counts.decisions == 1
    assert rig.trader.data.counts.gaps == 1


async def test_a_book_that_cannot_be_true_is_stale(rig, desk, frames, act, scripted):
    act(rig.trader, scripted())
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.take(frames.delta("bid", "0.4000", "-51.00"))
    desk.decide_due()

    assert (rig.trader.counts.decisions, rig.trader.data.counts.bad) == (0, 1)
    assert desk.snapshots_due(0.0) == [TICKER]


async def test_a_forbidden_action_is_hold_and_counted(rig, desk, frames, act, scripted):
    act(rig.trader, scripted(Action.SELL_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await rig.trader.journal.flush()

    (row,) = await trading.decisions_of_run(rig.store, rig.run_id)
    assert (row.action, row.forbidden, row.reason) == (0, True, "SELL_YES_LIMIT is forbidden")
    assert rig.trader.counts.forbidden == 1
    assert rig.trader.sender.waiting == 0


async def test_risk_turns_an_order_that_cash_does_not_cover_into_hold(
    rig, desk, frames, act, scripted
):
    adopt(rig, dollars=1)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()

    assert rig.trader.counts.refused == 1
    assert rig.trader.counts.actions[Action.HOLD] == 1
    assert rig.trader.sender.waiting == 0


@pytest.mark.parametrize("reason", ["not acting", "held", "squaring", "disconnected"])
async def test_no_decision_is_made_while_something_forbids_it(
    rig, desk, frames, act, scripted, reason
):
    if reason != "not acting":
        act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    if reason == "held":
        rig.trader.conductor.hold("person", "lunch")
    if reason == "squaring":
        rig.trader.conductor.want_squaring("doubt")
    if reason == "disconnected":
        rig.trader.link.is_up = False
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()

    assert rig.trader.counts.decisions == 0


async def test_an_order_decided_before_a_pause_is_not_sent_after_it(
    rig, desk, frames, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    rig.trader.conductor.hold("person", "lunch")
    await work_off(rig)

    assert exchange.posts() == []
    assert rig.trader.accounts.ledger.reserved == 0
    assert rig.trader.accounts.market(TICKER).own_bid is None


async def test_an_order_that_waited_too_long_is_not_sent(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    clock.seconds += 2.1
    await work_off(rig)

    assert exchange.posts() == []
    assert rig.trader.counts.dropped == 1


async def test_decisions_do_not_wait_for_an_exchange_that_does_not_answer(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    answer = asyncio.Event()

    async def hang(_order):
        await answer.wait()

    rig.trader.sender._route.create = hang
    desk.take(frames.snapshot(BIDS, ASKS))
    worker = asyncio.ensure_future(rig.trader.sender.run())
    desk.decide_due()
    await asyncio.sleep(0)
    clock.seconds += 1

    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()

    assert rig.trader.counts.deferred == 1
    worker.cancel()


async def test_settlement_pays_the_position_out(rig, desk, frames, clock, act, scripted, exchange):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await work_off(rig)
    desk.take(frames.fill(exchange.fill("order-1", 1_000)))
    cash = rig.trader.accounts.ledger.cash
    for event_type, more in (("determined", {"result": "yes"}), ("settled", {})):
        desk.take(
            frames("market_lifecycle_v2", 9, market_ticker=TICKER, event_type=event_type, **more)
        )

    ledger = rig.trader.accounts.ledger
    assert ledger.cash == cash + 10 * 1_000_000
    assert ledger.held(TICKER) == 0
    assert rig.trader.accounts.market(TICKER).position.quantity == 0


async def test_a_policy_that_gives_no_numbers_stops_deciding_and_is_told(
    rig, desk, frames, clock, act
):
    from kalshiflow.agent.policy import PolicyRejected

    class Broken:
        def act(self, _observation, _mask):
            raise PolicyRejected("scores are not finite")

    act(rig.trader, Broken())
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()

    assert rig.trader.slot.current is None
    assert rig.trader.slot.problem == "version 7 was refused: scores are not finite"
    assert rig.trader.conductor.may_send() == (
        "no promoted policy: holding (version 7 was refused: scores are not finite)"
    )


async def test_a_frame_of_ours_that_cannot_be_read_has_the_account_squared(rig, desk, frames):
    desk.take(frames("fill", trade_id="t"))

    assert "fill frame could not be read" in rig.trader.conductor._wanted


async def test_a_gap_before_a_frame_of_ours_has_the_account_squared(rig, desk, frames):
    desk.take(frames("user_order", 9, order_id="one"))
    frames.skip(9)
    assert "did not come" not in (rig.trader.conductor._wanted or "")
    rig.trader.conductor._wanted = None

    desk.take(frames("user_order", 9, order_id="two"))

    assert rig.trader.conductor._wanted == "a frame before a user_order did not come"


async def test_an_order_that_is_being_sent_when_the_trader_pauses_has_it_squared(
    rig, desk, frames, act, scripted
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    await rig.trader.stop_orders()
    assert rig.trader.conductor._wanted is None
    desk.decide_due()

    await rig.trader.stop_orders()

    assert rig.trader.conductor._wanted == "orders were under way"


async def test_late_news_of_an_older_order_does_not_hide_the_one_that_rests(
    rig, desk, frames, clock, act, scripted, exchange
):
    adopt(rig)
    act(rig.trader, scripted(Action.BUY_YES_LIMIT, Action.BUY_YES_LIMIT))
    desk.take(frames.snapshot(BIDS, ASKS))
    desk.decide_due()
    await work_off(rig)
    clock.seconds += 1
    desk.take(frames.delta("bid", "0.3900", "1.00"))
    desk.decide_due()
    await work_off(rig)
    own = rig.trader.accounts.market(TICKER).own_bid
    assert own.since == clock.now()

    rig.trader.outcomes.told(exchange.orders["order-1"])

    assert rig.trader.accounts.market(TICKER).own_bid == own
