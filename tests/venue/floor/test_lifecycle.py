"""Markets' lives step by step: what each step does to orders, what it tells, what it forbids."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from life_scene import ASK, BID, CLOSE, DECI, NOW, TICKER, Scene

from kalshiflow.market.listing import Market, MarketResult, MarketStatus
from kalshiflow.market.units import Price
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.facts import LifecycleKind
from kalshiflow.venue.floor.lifecycle import DETERMINED_AFTER, SWEEP_AFTER, Lifecycle, Outcome
from kalshiflow.venue.floor.listed import Details
from kalshiflow.venue.floor.refusals import (
    ImpossibleMove,
    InvalidOutcome,
    MarketInactive,
    OrderNotFound,
)


def test_a_market_opens_at_its_open_time_and_no_frame_tells_of_it() -> None:
    early = Market(
        TICKER,
        "KXA-B",
        "t",
        status=MarketStatus.INITIALIZED,
        open_time=200 * SECOND,
        close_time=CLOSE,
    )
    scene = Scene(market=early)
    with pytest.raises(MarketInactive):
        scene.order(BID, 4000)

    scene.floor.agenda.run(200 * SECOND)

    assert scene.status is MarketStatus.ACTIVE
    assert scene.steps() == []
    scene.order(BID, 4000)


def test_a_paused_market_takes_no_orders_lets_what_rests_be_cancelled_and_resumes_empty() -> None:
    scene = Scene()
    mine, other = scene.order(BID, 4000), scene.order(BID, 4100)

    scene.life.deactivate(TICKER, NOW)

    assert scene.status is MarketStatus.INACTIVE
    with pytest.raises(MarketInactive):
        scene.order(BID, 4000)
    scene.cancel(mine)
    assert other.status == "resting"

    scene.life.reactivate(TICKER, NOW + SECOND)

    assert scene.status is MarketStatus.ACTIVE
    assert (other.status, other.reason, other.updated_at) == (
        "canceled",
        "HaltCancel",
        NOW + SECOND,
    )
    assert scene.floor.resting() == ()
    assert scene.accounts[0].portfolio.reserved == 0
    assert scene.steps() == [LifecycleKind.DEACTIVATED, LifecycleKind.ACTIVATED]
    scene.order(BID, 4000)


def test_a_close_forbids_everything_at_once_and_cancels_what_rests_shortly_after() -> None:
    scene = Scene()
    record = scene.order(BID, 4000)

    scene.floor.agenda.run(CLOSE)

    assert scene.status is MarketStatus.CLOSED
    assert record.status == "resting"
    with pytest.raises(MarketInactive):
        scene.cancel(record, CLOSE)
    with pytest.raises(MarketInactive):
        scene.order(ASK, 4000, CLOSE)

    scene.floor.agenda.run(CLOSE + SWEEP_AFTER)

    assert (record.status, record.reason) == ("canceled", "CloseCancel")
    assert record.updated_at == CLOSE + SWEEP_AFTER
    with pytest.raises(MarketInactive):
        scene.cancel(record, CLOSE + SWEEP_AFTER)
    assert scene.steps() == []


def test_an_order_that_expires_right_after_the_close_ends_by_its_expiry() -> None:
    scene = Scene()
    record = scene.order(BID, 4000, expires_at=CLOSE + SWEEP_AFTER // 2)

    scene.floor.agenda.run(CLOSE + SWEEP_AFTER)

    assert record.reason == "ExpiryCancel"


def test_a_market_closes_early_only_where_it_may_and_says_when() -> None:
    scene = Scene(details=Details(can_close_early=False))
    with pytest.raises(ImpossibleMove, match="cannot close early"):
        scene.life.close_early(TICKER, NOW)
    assert scene.status is MarketStatus.ACTIVE

    scene = Scene()
    scene.life.close_early(TICKER, NOW)

    assert scene.status is MarketStatus.CLOSED
    assert scene.floor.market(TICKER).market.close_time == NOW
    assert scene.steps() == [LifecycleKind.CLOSE_DATE_UPDATED]
    scene.floor.agenda.run(CLOSE)  # the old close time brings nothing more
    assert scene.steps() == [LifecycleKind.CLOSE_DATE_UPDATED]


def test_a_moved_close_comes_at_its_new_time_and_not_at_the_old_one() -> None:
    scene = Scene()

    scene.life.move_close(TICKER, CLOSE + 50 * SECOND, NOW)
    scene.floor.agenda.run(CLOSE)
    assert scene.status is MarketStatus.ACTIVE
    scene.floor.agenda.run(CLOSE + 50 * SECOND)

    assert scene.status is MarketStatus.CLOSED
    assert scene.steps() == [LifecycleKind.CLOSE_DATE_UPDATED]


def test_a_closed_market_whose_close_moves_into_the_future_is_open_again_and_empty() -> None:
    scene = Scene()
    record = scene.order(BID, 4000)
    scene.life.outcome_of = lambda ticker: Outcome(MarketResult.YES)
    scene.life.close_early(TICKER, NOW)
    scene.facts.clear()

    scene.life.move_close(TICKER, CLOSE, NOW + SECOND // 2)
    scene.floor.agenda.run(NOW + DETERMINED_AFTER + SWEEP_AFTER)

    assert scene.status is MarketStatus.ACTIVE  # the outcome of the first close was dropped
    assert record.reason == "CloseCancel"
    assert scene.steps() == [LifecycleKind.CLOSE_DATE_UPDATED, LifecycleKind.ACTIVATED]
    later = scene.order(BID, 4000, NOW + SECOND)
    scene.floor.agenda.run(CLOSE)
    assert (scene.status, later.status) == (MarketStatus.CLOSED, "resting")


def test_an_outcome_that_is_known_is_determined_after_the_close_and_paid_after_the_timer() -> None:
    scene = Scene(details=Details(settlement_timer_seconds=30))
    scene.life.outcome_of = {TICKER: Outcome(MarketResult.NO)}.get

    scene.floor.agenda.run(CLOSE + DETERMINED_AFTER)

    market, details = scene.floor.market(TICKER).market, scene.floor.market(TICKER).details
    assert (market.status, market.result, market.settlement_value) == ("determined", "no", 0)
    assert details.determined_at == CLOSE + DETERMINED_AFTER
    scene.floor.agenda.run(CLOSE + DETERMINED_AFTER + 30 * SECOND - 1)
    assert scene.status is MarketStatus.DETERMINED
    scene.floor.agenda.run(CLOSE + DETERMINED_AFTER + 30 * SECOND)
    assert scene.status is MarketStatus.FINALIZED
    assert scene.floor.market(TICKER).details.settled_at == CLOSE + DETERMINED_AFTER + 30 * SECOND
    assert scene.steps() == [LifecycleKind.DETERMINED, LifecycleKind.SETTLED]


def test_a_disputed_result_is_not_paid_until_another_timer_ran() -> None:
    scene = Scene(details=Details(settlement_timer_seconds=60))
    scene.life.determine(TICKER, MarketResult.YES, NOW)
    scene.life.dispute(TICKER, NOW + 10 * SECOND)
    scene.floor.agenda.run(NOW + 60 * SECOND)
    assert scene.status is MarketStatus.DISPUTED

    scene.life.determine(TICKER, MarketResult.NO, NOW + 70 * SECOND)

    assert scene.status is MarketStatus.AMENDED
    scene.floor.agenda.run(NOW + 130 * SECOND)
    assert scene.status is MarketStatus.FINALIZED
    assert scene.floor.market(TICKER).market.result is MarketResult.NO


def test_a_void_market_is_told_as_a_scalar_one_at_its_value() -> None:
    scene = Scene()
    with pytest.raises(InvalidOutcome, match="has no settlement value"):
        scene.life.determine(TICKER, MarketResult.VOID, NOW)
    assert scene.status is MarketStatus.ACTIVE

    scene.life.determine(TICKER, MarketResult.VOID, NOW, Price(3700))

    market = scene.floor.market(TICKER).market
    assert (market.result, market.settlement_value) == (MarketResult.SCALAR, 3700)


STEPS: dict[str, Callable[[Lifecycle], None]] = {
    "opened": lambda life: life.activate(TICKER, NOW),
    "paused": lambda life: life.deactivate(TICKER, NOW),
    "resumed": lambda life: life.reactivate(TICKER, NOW),
    "closed": lambda life: life.close(TICKER, NOW),
    "another close time": lambda life: life.move_close(TICKER, CLOSE + 1, NOW),
    "another price grid": lambda life: life.change_grid(TICKER, DECI, NOW),
    "determined": lambda life: life.determine(TICKER, MarketResult.YES, NOW),
    "disputed": lambda life: life.dispute(TICKER, NOW),
    "settled": lambda life: life.settle(TICKER, NOW),
}
ALLOWED: dict[MarketStatus, set[str]] = {
    MarketStatus.INITIALIZED: {
        "opened", "closed", "determined", "another close time", "another price grid",
    },
    MarketStatus.ACTIVE: {
        "paused", "closed", "determined", "another close time", "another price grid",
    },
    MarketStatus.INACTIVE: {
        "resumed", "closed", "determined", "another close time", "another price grid",
    },
    MarketStatus.CLOSED: {"determined", "another close time", "another price grid"},
    MarketStatus.DETERMINED: {"disputed", "settled"},
    MarketStatus.DISPUTED: {"determined"},
    MarketStatus.AMENDED: {"disputed", "settled"},
    MarketStatus.FINALIZED: set(),
}  # fmt: skip


@pytest.mark.parametrize("status", MarketStatus)
def test_each_stage_of_life_allows_its_own_steps_and_refuses_the_others(
    status: MarketStatus,
) -> None:
    for step, take in STEPS.items():
        scene = Scene()
        listed = scene.floor.market(TICKER)
        listed.market = replace(
            listed.market, status=status, result=MarketResult.YES, settlement_value=Price(10_000)
        )
        if step in ALLOWED[status]:
            take(scene.life)
            continue
        before = listed.market
        with pytest.raises(ImpossibleMove, match=f"{TICKER} is {status} and cannot .*{step}"):
            take(scene.life)
        assert (listed.market, scene.facts) == (before, [])


def test_a_cancelled_order_is_not_found_again() -> None:
    scene = Scene()
    record = scene.order(BID, 4000)
    scene.life.deactivate(TICKER, NOW)
    scene.cancel(record)

    with pytest.raises(OrderNotFound):
        scene.cancel(record)


def test_a_market_that_never_opened_waits_for_its_open_time_when_its_close_is_taken_back() -> None:
    scene = Scene()
    new = Market("KXN", "KX", "n", open_time=CLOSE, close_time=2 * CLOSE)
    listed = scene.life.list_market(new, NOW)
    scene.life.close_early("KXN", NOW)

    scene.life.move_close("KXN", 2 * CLOSE, NOW + SECOND)

    assert listed.market.status is MarketStatus.INITIALIZED
    scene.floor.agenda.run(CLOSE)
    assert listed.market.status is MarketStatus.ACTIVE


def test_what_a_first_close_had_planned_is_not_done_after_a_second_one() -> None:
    scene = Scene()
    scene.life.outcome_of = lambda ticker: Outcome(MarketResult.YES)
    scene.life.close_early(TICKER, NOW)
    again = NOW + 2 * SECOND
    scene.life.move_close(TICKER, again, NOW + SECOND // 2)
    record = scene.order(BID, 4000, NOW + SECOND // 2)

    scene.floor.agenda.run(NOW + SWEEP_AFTER)
    assert record.status == "resting"
    scene.floor.agenda.run(again + DETERMINED_AFTER - 1)
    assert (scene.status, record.reason) == (MarketStatus.CLOSED, "CloseCancel")
    scene.floor.agenda.run(again + DETERMINED_AFTER)
    assert scene.status is MarketStatus.DETERMINED


def test_an_amended_result_is_paid_after_its_own_timer_and_not_the_first_ones() -> None:
    scene = Scene(details=Details(settlement_timer_seconds=60))
    scene.life.determine(TICKER, MarketResult.YES, NOW)
    scene.life.dispute(TICKER, NOW + SECOND)
    scene.life.determine(TICKER, MarketResult.NO, NOW + 20 * SECOND)

    scene.floor.agenda.run(NOW + 80 * SECOND - 1)
    assert scene.status is MarketStatus.AMENDED
    scene.floor.agenda.run(NOW + 80 * SECOND)

    assert scene.status is MarketStatus.FINALIZED
