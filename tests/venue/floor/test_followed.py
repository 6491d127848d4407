"""Recordings: the steps of lives that they tell of, and what they reach while nothing trades."""

from collections.abc import Callable

import pytest
from life_scene import ASK, BID, CLOSE, DECI, NOW, TICKER, Scene

from kalshiflow.market.events import MarketStatusChanged, Stamp, TimeSource
from kalshiflow.market.listing import MarketResult, MarketStatus
from kalshiflow.market.units import Price
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.listed import Details
from kalshiflow.venue.matching.recorded import RecordedBook


def recorded(event_type: str, **told: object) -> MarketStatusChanged:
    stamp = Stamp(1, NOW, NOW, TimeSource.RECEIVE)
    return MarketStatusChanged(TICKER, event_type, stamp, **told)  # type: ignore[arg-type]


def test_recorded_steps_move_the_market_and_tell_the_same() -> None:
    scene = Scene(details=Details(settlement_timer_seconds=1))
    script = [
        recorded("created"),
        recorded("deactivated"),
        recorded("activated"),
        recorded("price_level_structure_updated", grid=DECI),
        recorded("close_date_updated", close_time=CLOSE - SECOND),
        recorded("metadata_updated"),
        recorded("determined", result=MarketResult.YES),
        recorded("determined", result=MarketResult.NO),
        recorded("settled"),
    ]

    for event in script:
        scene.life.follow(event, NOW)
    scene.floor.agenda.run(CLOSE)

    market = scene.floor.market(TICKER).market
    assert (market.status, market.result) == (MarketStatus.FINALIZED, MarketResult.NO)
    assert (market.grid, market.close_time) == (DECI, CLOSE - SECOND)
    assert scene.steps() == [
        event.event_type for event in script if event.event_type != "metadata_updated"
    ]


def test_a_recorded_result_is_paid_only_when_the_recording_says_so() -> None:
    scene = Scene(details=Details(settlement_timer_seconds=1))
    scene.life.follow(recorded("determined", result=MarketResult.YES), NOW)

    scene.floor.agenda.run(CLOSE)

    assert scene.status is MarketStatus.DETERMINED


@pytest.mark.parametrize(
    "event",
    [
        recorded("activated"),
        recorded("settled"),
        recorded("something_new"),
        recorded("close_date_updated"),
        recorded("deactivated")._replace(ticker="KXOTHER"),
    ],
)
def test_a_recorded_step_that_cannot_be_taken_changes_nothing(event: MarketStatusChanged) -> None:
    scene = Scene()

    scene.life.follow(event, NOW)

    assert (scene.status, scene.facts) == (MarketStatus.ACTIVE, [])


@pytest.mark.parametrize("stage", [MarketStatus.ACTIVE, MarketStatus.DETERMINED])
def test_a_recorded_result_without_its_value_changes_nothing(stage: MarketStatus) -> None:
    scene = Scene()
    if stage is MarketStatus.DETERMINED:
        scene.life.determine(TICKER, MarketResult.YES, NOW)
    scene.facts.clear()

    scene.life.follow(recorded("determined", result=MarketResult.SCALAR), NOW)

    assert (scene.status, scene.facts) == (stage, [])


def test_a_recorded_result_ends_a_dispute() -> None:
    scene = Scene()
    scene.life.determine(TICKER, MarketResult.YES, NOW)
    scene.life.dispute(TICKER, NOW)

    scene.life.follow(recorded("determined", result=MarketResult.NO), NOW)

    assert scene.status is MarketStatus.AMENDED
    assert scene.floor.market(TICKER).market.result is MarketResult.NO


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (lambda life: life.deactivate(TICKER, NOW), "HaltCancel"),
        (lambda life: life.pause_trading(NOW), "HaltCancel"),
        (lambda life: life.pause_exchange(NOW), "HaltCancel"),
        (lambda life: life.close(TICKER, NOW), "CloseCancel"),
    ],
)
def test_what_a_recording_reaches_while_nothing_may_trade_is_taken_off(
    stop: Callable[[Lifecycle], None], reason: str
) -> None:
    book = RecordedBook(TICKER)
    scene = Scene(matching=book)
    reached, beyond = scene.order(BID, 4000), scene.order(BID, 3900)
    stop(scene.life)

    scene.floor.follow_recording(
        TICKER, NOW, lambda: book.recorded_delta(ASK, Price(4000), 500, NOW), is_whole=False
    )

    assert (reached.filled, reached.status, reached.reason) == (0, "canceled", reason)
    assert beyond.status == "resting"
    assert book.book.levels(ASK) == ((4000, 500),)
