"""The same orders at the venue that replays a recording and in the simulator, to be compared."""

import json
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from outcome import Outcome

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.orders import Order, TimeInForce
from kalshiflow.market.units import Cash, Quantity
from kalshiflow.simulator.latency import ConstantLatency
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.simulator.replay import Simulation
from kalshiflow.venue.build import Relay, build_venue
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.floor.facts import BookReplaced, Fact, Traded
from kalshiflow.venue.floor.refusals import InsufficientBalance, MarketInactive
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.keys import ClientKey
from kalshiflow.venue.log import VenueLog
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.orders_log import OrderLog
from kalshiflow.venue.replay.capture import Capture, TimedEvent

RICH = Cash(10**13)
MILLISECOND = 1_000_000
RESTING_AT_MOST, UNDER_WAY_AT_MOST = 4, 4  # in one market: eight is what a simulation has room for


@dataclass(frozen=True, slots=True)
class Command:
    """An order, or the cancel of the one of this name: when it came, and after which frame."""

    at: int
    after_frame: int
    ticker: str
    name: str
    order: Order | None = None


class Client:
    """Sends random orders and cancels to a venue that replays a capture at the speed of life."""

    def __init__(
        self,
        capture: Capture,
        model: FillModel,
        key: ClientKey,
        log: Path,
        *,
        cash: Cash = RICH,
        seed: int = 1,
    ) -> None:
        self.commands: list[Command] = []
        self.outcome = Outcome()
        self._capture = capture
        self._rng = random.Random(seed)
        self._elapsed = 0
        relay = Relay()
        config = VenueConfig(capture=Path("recording"), cash=cash, fill_model=model)
        self._venue = build_venue(
            config, key, lambda: self._elapsed, recording=capture, relay=relay
        )
        self._log = VenueLog(log)
        relay.taps.append(OrderLog(self._log, self._venue).hear)
        relay.publish = self._hear
        self._account = self._venue.floor.accounts.with_keys()[0]
        self._times: dict[str, list[int]] = {}
        for timed in capture.events:
            self._times.setdefault(timed.event.ticker, []).append(timed.at)
        self._under_way: Counter[tuple[str, int]] = Counter()

    def trade(self, orders: int) -> None:
        """Send so many orders at random moments of the recording, and let it come to its end."""
        self._venue.clock.begin()
        rng, events = self._rng, self._capture.events
        moments = sorted(rng.sample(range(len(events) * 9 // 10), orders))
        with closing(self._log):
            for number, place in enumerate(moments):
                self._wait_until(events[place].at + rng.choice((0, 0, 1, 30)) * MILLISECOND)
                ticker = self._quiet(events[place].event.ticker)
                self._order(ticker, f"o{number}")
                if rng.random() < 0.15:
                    self._cancel(ticker)
            self._wait_until(self._capture.end + MILLISECOND)
        for fill in self._account.fills:
            self.outcome.add(fill, fill.client_order_id)

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, LevelChanged):
            self.outcome.tell_change(fact.ticker, fact.side, fact.price, fact.change, fact.at)
        elif isinstance(fact, Traded):
            trade = fact.ticker, fact.taker_side, fact.price, fact.quantity, fact.at
            self.outcome.tell_trade(*trade)
        elif isinstance(fact, BookReplaced):
            book = self._venue.floor.market(fact.ticker).matching.book
            bids, asks = (tuple(book.levels(side)) for side in Side)
            self.outcome.tell_book(fact.ticker, bids, asks, fact.at)

    def _wait_until(self, at: int) -> None:
        self._elapsed = max(self._elapsed, at - self._venue.clock.start)
        self._venue.catch_up()

    def _quiet(self, ticker: str) -> str:
        """Give a market, at best this one, with room: to its simulation all that is sent between
        two of its events is under way at once. Where none has room, wait for the next event.
        """
        while True:
            for found in (ticker, *self._rng.sample(list(self._times), len(self._times))):
                stretch = found, bisect_right(self._times[found], self._venue.clock.now())
                if self._under_way[stretch] < UNDER_WAY_AT_MOST:
                    self._under_way[stretch] += 1
                    return found
            now = self._venue.clock.now()
            self._wait_until(next(timed.at for timed in self._capture.events if timed.at > now))

    def _order(self, ticker: str, name: str) -> None:
        rng = self._rng
        listed = self._venue.floor.market(ticker)
        grid, book = listed.market.grid, listed.matching.book
        bid, ask = book.best_bid_index, book.best_ask_index
        near = rng.choice((bid, bid, ask, ask, (bid + ask) // 2, rng.randrange(len(grid))))
        price = grid.prices[min(max(near + rng.randint(-2, 2), 0), len(grid) - 1)]
        side, life = rng.choice(list(Side)), rng.choice((TimeInForce.GTC,) * 4 + (TimeInForce.IOC,))
        quantity = Quantity(rng.choice((rng.randint(1, 900), 100 * rng.randint(1, 80))))
        while len(self._resting(ticker)) >= RESTING_AT_MOST:
            self._cancel(ticker)
        self._note(Order(name, ticker, side, price, quantity, life), ticker, name)
        try:
            self._venue.place(
                self._account,
                NewOrder(ticker, side, price, quantity, life, client_order_id=name),
            )
        except (InsufficientBalance, MarketInactive):
            self.outcome.refused += 1

    def _cancel(self, ticker: str) -> None:
        resting = self._resting(ticker)
        if resting:
            order = self._rng.choice(resting)
            self._note(None, ticker, order.client_order_id)
            self._venue.cancel(self._account, order.order_id)

    def _resting(self, ticker: str) -> list[Order]:
        orders = self._account.portfolio.orders.values()
        return [order for order in orders if order.ticker == ticker]

    def _note(self, order: Order | None, ticker: str, name: str) -> None:
        now, frame = self._venue.clock.now(), self._venue.position()
        self.commands.append(Command(now, frame, ticker, name, order))


def simulated(
    capture: Capture, model: FillModel, commands: Sequence[Command], cash: Cash = RICH
) -> Outcome:
    """Send each market's commands to a simulation of it, without latency; give what was filled."""
    outcome = Outcome()
    for market in capture.markets:
        simulation = Simulation(
            market, cash, ConstantLatency(0), model, has_trades=capture.has_trades
        )
        own = [command for command in commands if command.ticker == market.ticker]
        sent = 0
        for timed in capture.events:
            if timed.event.ticker != market.ticker:
                continue
            while sent < len(own) and own[sent].after_frame < timed.frame_no:
                _send(simulation, own[sent])
                sent += 1
            _hear(simulation.receive(_dated(timed)), outcome)
        for command in own[sent:]:
            _send(simulation, command)
        last = _nothing(market.ticker, capture.end + 60_000 * MILLISECOND)
        _hear(simulation.receive(last), outcome)
        for fill in simulation.fills:
            outcome.add(fill, fill.order_id)
        outcome.refused += simulation.rejected
    return outcome


def logged_frames(log: Path) -> Mapping[str, int]:
    """Give after which frame each order was accepted, by its client's name, as the log tells."""
    frames: dict[str, int] = {}
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        frames.setdefault(entry["client_order_id"], entry["after_frame"])
    return frames


def _hear(published: Sequence[MarketEvent], outcome: Outcome) -> None:
    """Add what was published with an event; where that told the whole book, its changes are in it."""
    told = {event.stamp.market_time for event in published if isinstance(event, BookSnapshot)}
    for event in published:
        at = event.stamp.market_time
        if isinstance(event, BookSnapshot):
            outcome.tell_book(event.ticker, event.bids, event.asks, at)
        elif isinstance(event, BookDelta) and at not in told:
            outcome.tell_change(event.ticker, event.side, event.price, event.change, at)
        elif isinstance(event, PublicTrade):
            trade = event.ticker, event.taker_side, event.price, event.quantity, at
            outcome.tell_trade(*trade)


def _send(simulation: Simulation, command: Command) -> None:
    if command.order is None:
        simulation.cancel(command.name, command.at)
    else:
        simulation.send(command.order, command.at)


def _dated(timed: TimedEvent) -> MarketEvent:
    """Give an event at the time at which the venue lets it happen."""
    event = timed.event
    return event._replace(stamp=event.stamp._replace(market_time=timed.at))


def _nothing(ticker: str, at: int) -> MarketEvent:
    """Give an event of which nothing follows but that what was sent before arrives."""
    return MarketStatusChanged(ticker, "metadata_updated", Stamp(0, at, at, TimeSource.EXCHANGE))
