"""A venue put together from its configuration, without servers."""

import time
from collections.abc import Callable, Iterator

from kalshiflow.venue.clock import SECOND, VenueClock
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import Catalogue, Venue
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.facts import Fact, OrderChanged
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.keys import NAME, ClientKey
from kalshiflow.venue.limits import tier_of
from kalshiflow.venue.replay.capture import Capture, load_capture
from kalshiflow.venue.replay.session import load_session
from kalshiflow.venue.replay.source import CaptureSource
from kalshiflow.venue.replay.tape import Tape
from kalshiflow.venue.traders.habits import habits_named
from kalshiflow.venue.traders.listings import synthetic_listings
from kalshiflow.venue.traders.synthetic import SyntheticSource
from kalshiflow.venue.websocket.hub import Hub


class Relay:
    """Passes facts to the hub once there is one: what happens before concerns nobody.

    `taps` hear of clients' orders, before the hub does.
    """

    def __init__(self) -> None:
        self.publish: Callable[[Fact], None] | None = None
        self.taps: list[Callable[[OrderChanged], None]] = []

    def __call__(self, fact: Fact) -> None:
        """Pass on one fact."""
        if self.publish is None:
            return
        if isinstance(fact, OrderChanged):
            for tap in self.taps:
                tap(fact)
        self.publish(fact)


async def recording_of(config: VenueConfig) -> Capture | None:
    """Read the recording that a configuration names, if it names one."""
    if config.recorded is not None:
        return await load_session(config.recorded)
    return None if config.capture is None else load_capture(config.capture)


def build_venue(
    config: VenueConfig,
    key: ClientKey | None,
    monotonic: Callable[[], int] = time.monotonic_ns,
    *,
    recording: Capture | None = None,
    relay: Relay | None = None,
) -> Venue:
    """Make a venue without servers; `key` opens one account, `monotonic` drives its clock.

    `recording` is the one that the configuration names; a capture file need not be read before.
    """
    ids = Identifiers(config.seed)
    accounts = Accounts()
    if key is not None:
        user_id = ids.of("user", NAME)
        tier = tier_of(config.tier).name
        accounts.open(
            Account(user_id, config.cash, key_id=key.key_id, public_key=key.public_key, tier=tier)
        )
    relay = relay or Relay()
    floor = Floor(ids, accounts, relay)

    # Not the bare floor's: a replay's books may lag.
    def find_market(ticker: str) -> ListedMarket | None:
        return venue.floor.find_market(ticker)

    def markets() -> Iterator[ListedMarket]:
        return venue.floor.markets()

    hub = Hub(
        find_market,
        floor.find_order,
        markets,
        trade_seq=config.trade_seq,
        market_limit=config.market_limit,
    )
    if recording is None and config.capture is not None:
        recording = load_capture(config.capture)
    if recording is not None:
        venue = _replay(config, floor, hub, recording, monotonic, relay)
        return venue
    venue = _synthetic(config, floor, hub, monotonic)
    if not config.hold:
        venue.clock.begin()
    relay.publish = hub.publish
    return venue


def _synthetic(config: VenueConfig, floor: Floor, hub: Hub, monotonic: Callable[[], int]) -> Venue:
    start = config.start
    if start is None:
        start = int(time.time()) * SECOND
    listings = synthetic_listings(config.markets, config.seed, start, config.lifetime)
    habits = habits_named(config.habits, config.lag, config.activity)
    source = SyntheticSource(floor, listings, config.seed, start, habits, config.lifetime)
    clock = VenueClock(start, config.speed, monotonic)
    return Venue(clock, floor, hub, source, Catalogue((listings.series,), listings.events))


def _replay(
    config: VenueConfig,
    floor: Floor,
    hub: Hub,
    recording: Capture,
    monotonic: Callable[[], int],
    relay: Relay,
) -> Venue:
    begin_at = recording.cut(config.begin)
    source = CaptureSource(floor, recording, begin_at, config.fill_model)
    clock = VenueClock(source.next_at() or recording.end, config.speed, monotonic)
    listed = {market.ticker: floor.market(market.ticker) for market in recording.markets}
    tape = Tape(source, hub, listed)
    relay.publish = tape.publish
    catalogue = Catalogue(recording.series, recording.events_listed)
    return Venue(clock, floor, hub, source, catalogue, tape)
