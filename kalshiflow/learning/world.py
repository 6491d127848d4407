"""One segment played by one account: what the environments and the evaluation step through."""

from collections import Counter
from dataclasses import dataclass, field

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.action import Action, Mask, mask, plan
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.agent.reward import reward
from kalshiflow.learning.episodes import Segment
from kalshiflow.market.events import BookDelta, BookSnapshot
from kalshiflow.market.orders import Fill, Order
from kalshiflow.market.position import FLAT
from kalshiflow.market.units import CONTRACT, Cash, Quantity, cash_from_cents
from kalshiflow.simulator.latency import ConstantLatency
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.simulator.replay import Simulation

MILLISECOND = 1_000_000


class NoDecision(ValueError):
    """A segment in which nothing can be decided."""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The terms of an episode. `budget` is its whole cash; times are nanoseconds of market time."""

    budget: Cash = cash_from_cents(10_000)
    order_quantity: Quantity = Quantity(10 * CONTRACT)
    throttle: int = 250 * MILLISECOND
    latency: int = 50 * MILLISECOND
    fill_model: FillModel = FillModel.PESSIMISTIC

    def __post_init__(self) -> None:
        if not 0 <= self.latency < self.throttle:
            raise ValueError(
                f"latency {self.latency} must lie below the throttle {self.throttle}, "
                f"so that an order has arrived before the next decision"
            )


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step brought: `reward` in budgets, and whether and how the episode ended."""

    reward: float
    terminated: bool
    truncated: bool


@dataclass(slots=True)
class Tally:
    """What was done in an episode: `forbidden` choices became HOLD and stand in `actions` so."""

    actions: Counter[Action] = field(default_factory=Counter)
    forbidden: int = 0
    steps: int = 0


class World:
    """An episode over one segment. After `start`, each `step` goes to the next decision.

    A decision is due at the first change of the book after the throttle has passed, and at the
    first book with a market time. Money is the ledger's: `simulation.portfolio`.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.tally = Tally()

    def start(self, segment: Segment) -> None:
        """Begin an episode at the segment's first book.

        Raises `NoDecision` for a segment that never has a book and a market time.
        """
        config = self.config
        self.segment = segment
        self.simulation = Simulation(
            segment.market, config.budget, ConstantLatency(config.latency), config.fill_model
        )
        self.observer = MarketObserver(segment.market)
        self.account = MarketAccount(config.budget)
        self.tally = Tally()
        self.now = segment.starts_at
        self._events = segment.events
        self._cursor = 0
        self._fills = 0
        self._orders = 0
        if not self._advance(0):
            raise NoDecision(
                f"segment of {segment.ticker} from {segment.starts_at} has no book to decide on"
            )
        self.value = self._value()

    @property
    def profit(self) -> Cash:
        """Give what the account is worth above its budget."""
        return Cash(self.value - self.config.budget)

    @property
    def fills(self) -> list[Fill]:
        """Give the fills of the episode."""
        return self.simulation.fills

    def observation(self) -> list[float]:
        """Give the observation at this decision."""
        return self.observer.observe(self.account, self.now)

    def mask(self) -> Mask:
        """Give which actions are allowed at this decision."""
        return mask(self.observer, self.account, self.config.order_quantity)

    def step(self, action: int, allowed: Mask | None = None) -> StepResult:
        """Act (a forbidden action is HOLD) and go on to the next decision or the episode's end.

        `allowed` is `mask()` where the caller has it already.
        """
        quantity = self.config.order_quantity
        step = plan(action, allowed or self.mask(), self.observer, self.account, quantity, self.now)
        self.tally.steps += 1
        self.tally.actions[step.action] += 1
        self.tally.forbidden += step.is_forbidden
        for own in step.cancels:
            self.simulation.cancel(own.order_id, self.now)
        if step.intent is not None:
            intent = step.intent
            self._orders += 1
            order = Order(
                f"own-{self._orders}",
                self.segment.ticker,
                intent.side,
                intent.price,
                intent.quantity,
                intent.time_in_force,
            )
            self.simulation.send(order, self.now)
            self.account.order_sent(intent.quantity, self.now)
        before = self.value
        goes_on = self._advance(self.now + self.config.throttle)
        self.value = self._value()
        settled = self.simulation.is_settled
        gained = reward(before, self.value, self.config.budget)
        return StepResult(gained, terminated=settled, truncated=not goes_on and not settled)

    def _advance(self, due: int) -> bool:
        """Take in events up to the first change of the book at or after `due`, if there is one."""
        events, simulation, observer = self._events, self.simulation, self.observer
        cursor, end = self._cursor, len(self._events)
        while cursor < end:
            event = events[cursor]
            cursor += 1
            was_quiet = simulation.is_quiet
            published = simulation.receive(event)
            if not was_quiet or simulation.is_settled:
                self._keep_account()
            for public in published:
                observer.apply(public)
            if simulation.is_settled:
                break
            now = event.stamp.market_time
            if now >= due and observer.is_ready and isinstance(event, BookDelta | BookSnapshot):
                self._cursor = cursor
                self.now = now
                return True
        self._cursor = cursor
        self.now = events[cursor - 1].stamp.market_time
        return False

    def _keep_account(self) -> None:
        """Carry what the ledger now says over to the account that is observed."""
        simulation, account = self.simulation, self.account
        portfolio = simulation.portfolio
        for fill in simulation.fills[self._fills :]:
            account.order_filled(fill.quantity, portfolio.positions.get(fill.ticker, FLAT), fill.at)
        self._fills = len(simulation.fills)
        account.hold(portfolio.positions.get(self.segment.ticker, FLAT), self.now)
        account.reserved = portfolio.reserved
        account.own_bid = account.own_ask = None
        for order in portfolio.orders.values():
            since = simulation.resting_since[order.order_id]
            account.order_rests(
                OwnOrder(order.side, order.price, order.remaining, since, order.order_id)
            )
        self.observer.own_orders(account)

    def _value(self) -> Cash:
        portfolio = self.simulation.portfolio
        if not portfolio.positions:
            return portfolio.cash
        return portfolio.value({self.segment.ticker: self.observer.touch()})
