"""The terms on which episodes are played, for learning and for judging alike."""

from dataclasses import dataclass

from kalshiflow.agent.reward import RiskTerms
from kalshiflow.market.units import CONTRACT, Cash, Quantity, cash_from_cents
from kalshiflow.simulator.overlay import FillModel

MILLISECOND = 1_000_000


class NoDecision(ValueError):
    """A segment in which nothing can be decided."""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The terms of an episode, in the library's units.

    `budget` is its whole cash in microdollars (`cash_from_cents(10_000)` is $100), `order_quantity`
    counts hundredths of contracts (`10 * CONTRACT` is ten), and times are nanoseconds of market
    time (`250 * MILLISECOND`). Anything but whole numbers raises `TypeError`, and a number that
    cannot be `ValueError`.

    With `latencies`, measured ones, each decision's commands take one of them instead of `latency`.
    An episode is cut off at its first decision at or after `longest`; 0 is no limit. `risk` are the
    weights of what is taken from the reward besides money.
    """

    budget: Cash = cash_from_cents(10_000)
    order_quantity: Quantity = Quantity(10 * CONTRACT)
    throttle: int = 250 * MILLISECOND
    latency: int = 50 * MILLISECOND
    fill_model: FillModel = FillModel.PESSIMISTIC
    longest: int = 0
    latencies: tuple[int, ...] = ()
    risk: RiskTerms = RiskTerms()

    def __post_init__(self) -> None:
        numbers = (self.budget, self.order_quantity, self.throttle, self.longest, *self.delays())
        if not all(isinstance(number, int) for number in numbers):
            raise TypeError(f"budget, quantity and times are whole numbers of their units: {self}")
        if type(self.fill_model) is not FillModel:
            models = ", ".join(f"FillModel.{model.name}" for model in FillModel)
            raise TypeError(f"fill_model is one of {models}, not {self.fill_model!r}")
        if self.budget <= 0 or self.order_quantity <= 0:
            raise ValueError(f"budget and order quantity must be above zero: {self}")
        if min(self.throttle, self.longest, *self.delays()) < 0:
            raise ValueError(f"times must not be below zero: {self}")

    def terms(self) -> list[int]:
        """Give the terms as `lanes.layout` has them."""
        delays = len(self.delays())
        return [
            self.budget, self.order_quantity, self.throttle, self.longest, self.fill_model, delays,
        ]  # fmt: skip

    def delays(self) -> tuple[int, ...]:
        """Give for how long commands are on their way, one of these for each decision."""
        return self.latencies or (self.latency,)
