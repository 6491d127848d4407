"""Pauses of the whole exchange: what they forbid, what they pull, and when they end."""

import pytest
from life_scene import BID, NOW, Scene

from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.refusals import ExchangePaused, ImpossibleMove, TradingPaused


def test_a_trading_pause_lets_orders_be_cancelled_only_and_pulls_those_that_asked_for_it() -> None:
    scene = Scene()
    stays, pulled = scene.order(BID, 4000), scene.order(BID, 4100, cancel_on_pause=True)
    gone = scene.order(BID, 3900)

    scene.life.pause_trading(NOW)

    assert (pulled.status, pulled.reason) == ("canceled", "HaltCancel")
    with pytest.raises(TradingPaused):
        scene.order(BID, 4000)
    scene.cancel(gone)
    scene.life.resume_trading(NOW)
    assert stays.status == "resting"
    scene.order(BID, 4000)
    assert scene.steps() == []


def test_an_exchange_pause_forbids_cancels_too_and_ends_by_itself_at_its_time() -> None:
    scene = Scene()
    record = scene.order(BID, 4000)

    scene.life.pause_exchange(NOW, resumes_at=NOW + 60 * SECOND)

    assert scene.floor.exchange.resumes_at == NOW + 60 * SECOND
    with pytest.raises(ExchangePaused):
        scene.cancel(record)
    with pytest.raises(ExchangePaused):
        scene.order(BID, 4000)
    with pytest.raises(ImpossibleMove, match="the exchange is paused"):
        scene.life.resume_trading(NOW)
    scene.floor.agenda.run(NOW + 60 * SECOND)
    assert (scene.floor.exchange.is_active, scene.floor.exchange.is_trading) == (True, True)
    assert scene.floor.exchange.resumes_at is None
    scene.cancel(record)


def test_an_order_expires_through_a_pause_of_the_exchange() -> None:
    scene = Scene()
    record = scene.order(BID, 4000, expires_at=NOW + SECOND)
    scene.life.pause_exchange(NOW)

    scene.floor.agenda.run(NOW + SECOND)

    assert record.reason == "ExpiryCancel"


def test_a_pause_that_was_ended_by_hand_is_not_ended_again() -> None:
    scene = Scene()
    scene.life.pause_trading(NOW, resumes_at=NOW + 60 * SECOND)
    scene.life.resume_trading(NOW)
    scene.life.pause_trading(NOW)

    scene.floor.agenda.run(NOW + 60 * SECOND)

    assert not scene.floor.exchange.is_trading
    with pytest.raises(ImpossibleMove, match="paused already"):
        scene.life.pause_trading(NOW)


@pytest.mark.parametrize("first", ["pause_trading", "pause_exchange"])
def test_a_pause_that_another_one_followed_ends_with_that_one_only(first: str) -> None:
    scene = Scene()
    end = NOW + 60 * SECOND
    getattr(scene.life, first)(NOW, resumes_at=end)
    if first == "pause_trading":
        scene.life.pause_exchange(NOW, resumes_at=end)
    else:
        scene.life.resume_exchange(NOW)
        scene.life.pause_trading(NOW, resumes_at=end)

    scene.floor.agenda.run(end)

    exchange = scene.floor.exchange
    assert (exchange.is_active, exchange.is_trading, exchange.resumes_at) == (True, True, None)


@pytest.mark.parametrize("pause", ["pause_trading", "pause_exchange"])
def test_a_pause_that_would_end_before_it_begins_is_none(pause: str) -> None:
    scene = Scene()
    record = scene.order(BID, 4000, cancel_on_pause=True)

    with pytest.raises(ImpossibleMove, match="would end before it begins"):
        getattr(scene.life, pause)(NOW, resumes_at=NOW)

    assert (scene.floor.exchange.is_trading, record.status) == (True, "resting")
