"""Facts about the trader, told on the bus after they are true. Times are UTC nanoseconds."""

from dataclasses import dataclass

from kalshiflow.market.orders import Fill
from kalshiflow.market.portfolio import Position
from kalshiflow.market.units import Cash
from trader.decide import Decision
from trader.lifecycle import Transition
from trader.orders import TrackedOrder


@dataclass(frozen=True, slots=True)
class StateMoved:
    """The trader went from one state to another."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class InitializationStep:
    """A step of starting began, was done or failed."""

    step: str
    status: str
    details: str
    at: int


@dataclass(frozen=True, slots=True)
class ComponentChanged:
    """A part of the trader became `healthy`, `degraded` or `failed`."""

    component: str
    status: str
    details: str
    at: int


@dataclass(frozen=True, slots=True)
class BookChanged:
    """A market's book changed: market data, of which an observer needs the latest only."""

    ticker: str


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """The policy chose; `result` says what became of the choice."""

    decision: Decision
    result: str


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """One of our orders is in another state, or filled further."""

    order: TrackedOrder
    at: int


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """A fill of ours is in the ledger; `position` and `cash` are what it left."""

    fill: Fill
    position: Position
    cash: Cash


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Our account was squared with the exchange's; `drift` is what had to be corrected."""

    reason: str
    drift: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """Another policy decides from now on."""

    version: str
    fingerprint: str
    at: int


MarketData = BookChanged
Event = (
    StateMoved
    | InitializationStep
    | ComponentChanged
    | BookChanged
    | DecisionMade
    | OrderChanged
    | OrderFilled
    | Reconciled
    | PolicyChanged
)
