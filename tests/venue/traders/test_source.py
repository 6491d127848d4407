"""The agenda of all traders: lives of markets and their successors, and how busy it all is."""

from dataclasses import replace
from statistics import fmean

import pytest

from kalshiflow.market.events import Side
from kalshiflow.market.listing import MarketResult, MarketStatus
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Accounts
from kalshiflow.venue.floor.facts import EventListed, Fact, LifecycleChanged, LifecycleKind, Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.traders.habits import PRESETS, Habits
from kalshiflow.venue.traders.listings import synthetic_listings
from kalshiflow.venue.traders.synthetic import RECORD_START, SyntheticSource


class Lived:
    """A synthetic exchange of sixteen markets after so many seconds of market time."""

    def __init__(self, habits: Habits, lifetime: float, seconds: int) -> None:
        self.facts: list[Fact] = []
        self.floor = Floor(Identifiers(7), Accounts(), self.facts.append)
        listings = synthetic_listings(16, 7, RECORD_START, lifetime)
        self.source = SyntheticSource(self.floor, listings, 7, RECORD_START, habits, lifetime)
        self.run(seconds)

    def run(self, seconds: int) -> None:
        end = RECORD_START + seconds * SECOND
        while True:
            at, timer = self.source.next_at(), self.floor.agenda.next_at()
            assert at is not None
            if min(at, timer or at) > end:
                return
            if timer is not None and timer <= at:
                self.floor.agenda.run(timer)
            else:
                self.source.step()

    def of(self, kind: type) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@pytest.fixture(scope="module")
def lived() -> Lived:
    return Lived(PRESETS["lively"], lifetime=120.0, seconds=290)


def since_start(at: int) -> float:
    return (at - RECORD_START) / SECOND


def test_events_close_one_after_the_other_and_another_follows_each_at_once(lived):
    listed = [(fact.event.ticker, since_start(fact.at)) for fact in lived.of(EventListed)]

    assert listed == [
        ("SYN-7-E03", 60.0),
        ("SYN-7-E04", 120.0),
        ("SYN-7-E05", 180.0),
        ("SYN-7-E06", 240.0),
    ]
    created = [f.ticker for f in lived.of(LifecycleChanged) if f.kind is LifecycleKind.CREATED]
    assert created == [f"SYN-7-{number}" for number in range(17, 49)]


def test_the_successors_are_traded_and_quoted_on_both_sides(lived):
    alive = [listed for listed in lived.floor.markets() if listed.is_open]

    assert [listed.market.ticker for listed in alive] == [f"SYN-7-{n}" for n in range(33, 49)]
    assert all(None not in listed.touch() for listed in alive)
    assert {f"SYN-7-{n}" for n in range(17, 33)} <= {fact.ticker for fact in lived.of(Traded)}


def test_what_has_closed_changes_no_more_and_is_settled_yes_or_no(lived):
    closed = [listed for listed in lived.floor.markets() if not listed.is_open]
    close_times = {listed.market.ticker: listed.market.close_time for listed in closed}
    late = [
        fact
        for fact in lived.of(LevelChanged)
        if fact.ticker in close_times and fact.at > close_times[fact.ticker] and fact.change > 0
    ]

    assert late == []
    for listed in closed:
        assert not any(listed.matching.book.levels(side) for side in Side)
        if since_start(listed.market.close_time) + 70 < 290:
            assert listed.market.status is MarketStatus.FINALIZED
    results = {m.market.result for m in closed if m.market.status is MarketStatus.FINALIZED}
    assert results == {MarketResult.YES, MarketResult.NO}


def test_the_result_goes_by_the_last_value(lived):
    last: dict[MarketResult, list[float]] = {MarketResult.YES: [], MarketResult.NO: []}
    for listed in lived.floor.markets():
        if listed.market.result is not MarketResult.UNKNOWN:
            value = lived.source.traders[listed.market.ticker].value.now
            last[listed.market.result].append(value)

    assert len(last[MarketResult.YES]) + len(last[MarketResult.NO]) == 32
    assert fmean(last[MarketResult.YES]) > fmean(last[MarketResult.NO])


def test_a_settled_market_leaves_nobody_a_position_and_takes_no_cash(lived):
    finalized = {
        listed.market.ticker
        for listed in lived.floor.markets()
        if listed.market.status is MarketStatus.FINALIZED
    }
    accounts = list(lived.floor.accounts)
    ended = [a for a in accounts if finalized & set(a.portfolio.positions)]
    held = [a.portfolio.held(t) for a in ended for t in finalized & set(a.portfolio.positions)]

    assert len(finalized) >= 16
    assert set(held) == {0}


def test_without_a_lifetime_nothing_follows_for_thirty_days():
    floor = Floor(Identifiers(7), Accounts(), lambda _: None)
    listings = synthetic_listings(9, 7, RECORD_START)
    SyntheticSource(floor, listings, 7, RECORD_START, PRESETS["lively"])
    days = [since_start(market.close_time) / 86_400 for market in listings.markets]

    assert days == [30.0 + number for number in range(9)]
    assert len(listings.events) == 2


@pytest.mark.parametrize("name", ["lively", "real"])
def test_activity_is_the_book_changes_a_second_over_all_markets(name):
    changes: list[int] = []

    def hear(fact: Fact) -> None:
        if isinstance(fact, LevelChanged):
            changes.append(fact.at)

    floor = Floor(Identifiers(7), Accounts(), hear)
    habits = replace(PRESETS[name], activity=20.0)
    source = SyntheticSource(
        floor, synthetic_listings(300, 7, RECORD_START), 7, RECORD_START, habits
    )
    changes.clear()
    while source.next_at() < RECORD_START + 500 * SECOND:
        source.step()

    assert len(changes) / 500 == pytest.approx(20.0, rel=0.15)


@pytest.mark.parametrize("name", ["lively", "real"])
def test_one_seed_gives_one_exchange_with_lifetimes_too(name):
    def facts() -> list[str]:
        return [repr(fact) for fact in Lived(PRESETS[name], lifetime=60.0, seconds=90).facts]

    assert facts() == facts()
