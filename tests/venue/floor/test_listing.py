"""Series, events and markets that are listed, or described anew, while the exchange runs."""

from dataclasses import replace

import pytest
from life_scene import BID, NOW, TICKER, Scene

from kalshiflow.market.listing import Event, Market, MarketStatus, Series
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.facts import EventListed, LifecycleChanged, LifecycleKind
from kalshiflow.venue.floor.refusals import ImpossibleMove
from kalshiflow.venue.floor.requests import NewOrder


def test_a_market_listed_while_it_runs_is_told_of_opens_and_trades() -> None:
    scene = Scene()
    event, series = Event("KXN-1", "KXN", "New"), Series("KXN", "N", "Any")
    new = Market("KXN-1-A", "KXN-1", "A", open_time=NOW + SECOND, close_time=NOW + 9 * SECOND)

    scene.life.list_event(event, NOW, series)
    listed = scene.life.list_market(new, NOW)

    assert scene.facts == [
        EventListed(event, NOW),
        LifecycleChanged("KXN-1-A", LifecycleKind.CREATED, NOW),
    ]
    assert (scene.life.events, scene.life.series) == ([event], [series])
    assert (listed.market.status, listed.details.created_at) == (MarketStatus.INITIALIZED, NOW)
    scene.floor.agenda.run(NOW + SECOND)
    order = NewOrder("KXN-1-A", BID, Price(4000), Quantity(100))
    assert scene.floor.place(scene.accounts[0], order, NOW + SECOND).status == "resting"
    scene.floor.agenda.run(NOW + 9 * SECOND)
    assert listed.market.status is MarketStatus.CLOSED


def test_a_ticker_is_listed_once_and_a_market_closes_after_it_opened() -> None:
    scene = Scene()
    new = Market("KXN", "KX", "n", close_time=NOW)

    with pytest.raises(ImpossibleMove, match="is listed already"):
        scene.life.list_market(replace(new, ticker=TICKER), NOW)
    with pytest.raises(ImpossibleMove, match="would close before it opens"):
        scene.life.list_market(new, NOW)
    assert scene.facts == []


def test_new_details_are_told_by_what_changed_of_what_kalshi_tells() -> None:
    scene = Scene()
    before = scene.floor.market(TICKER).details

    scene.life.change_details(TICKER, replace(before, rules_primary="r"), NOW)
    assert scene.facts == []
    assert scene.floor.market(TICKER).described_at == NOW
    scene.life.change_details(TICKER, replace(before, floor_strike=5.5, yes_sub_title="y"), NOW)

    assert scene.facts == [
        LifecycleChanged(
            TICKER, LifecycleKind.METADATA_UPDATED, NOW, ("floor_strike", "yes_sub_title")
        )
    ]
