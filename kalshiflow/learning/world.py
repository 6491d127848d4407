"""One segment played by one account: what the Gymnasium environment and evaluations step through.

The object form of `lanes.lane`, interpreted on lists.
"""

from collections import Counter
from dataclasses import dataclass, field

from kalshiflow.agent.action import ACTION_COUNT, DECISION_SIZE, Mask, allow
from kalshiflow.agent.action_table import Action
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.layout import FLOWS_SIZE, SIZE, seen_size
from kalshiflow.agent.own import ask_touch, bid_touch
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.begin import begin
from kalshiflow.learning.lanes.joined import join
from kalshiflow.learning.lanes.lane import turn
from kalshiflow.learning.lanes.layout import (
    DONE_AT,
    ENDING,
    FILL_ROOM,
    GOES_ON,
    IMPOSSIBLE,
    LANE_SIZE,
    NOW,
    REFUSALS,
    SETTLED,
    STEPS,
    VALUE,
    market_size,
)
from kalshiflow.learning.world_config import MILLISECOND, NoDecision, WorldConfig
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill, Role
from kalshiflow.market.position import Position
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.simulator import state
from kalshiflow.simulator.told import told_size

__all__ = ["MILLISECOND", "NoDecision", "StepResult", "Tally", "World", "WorldConfig"]

_ROLES = {state.TAKER: Role.TAKER, state.MAKER: Role.MAKER}


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
    """An episode over one segment: after `start`, each `step` goes to the next decision.

    `fills` are those of the episode so far.
    """

    segment: Segment

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.fills: list[Fill] = []
        self._terms = config.terms()
        self._delays = config.delays()
        self._weights = config.risk.weights()
        self._lane = [0] * LANE_SIZE
        self._asked = [0] * max(DECISION_SIZE, ACTION_COUNT)
        self._flows = [0.0] * FLOWS_SIZE
        self._market: list[int] = []
        self._seen: list[int] = []

    def start(self, segment: Segment, seed: int = 0) -> None:
        """Begin an episode at the segment's first book; `seed` is that of drawn latencies.

        Raises `NoDecision` for a segment that never has an open market with a book.
        """
        if getattr(self, "segment", None) is not segment:
            self._load(segment)
        self.fills = []
        begin(
            self._lane, self._seen, self._flows, self._market, self._told, self._terms, self._row,
            seed,
        )  # fmt: skip
        self._turn(Action.HOLD, is_new=True)
        if self._lane[ENDING] != GOES_ON:
            raise NoDecision(
                f"segment of {segment.ticker} from {segment.starts_at} has no book to decide on"
            )

    def step(self, action: int) -> StepResult:
        """Act (a forbidden action is HOLD) and go on to the next decision or the episode's end."""
        gained = self._turn(action, is_new=False)
        self._keep_fills()
        ending = self._lane[ENDING]
        settled = ending == SETTLED
        return StepResult(gained, terminated=settled, truncated=ending != GOES_ON and not settled)

    @property
    def now(self) -> int:
        """Give the market time of this decision."""
        return self._lane[NOW]

    @property
    def value(self) -> Cash:
        """Give what the account is worth: at the end, what it brings."""
        return Cash(self._lane[VALUE])

    @property
    def profit(self) -> Cash:
        """Give what the account is worth above its budget."""
        return Cash(self._lane[VALUE] - self.config.budget)

    @property
    def cash(self) -> Cash:
        """Give the cash, what orders reserve included."""
        return Cash(self._market[state.CASH])

    @property
    def reserved(self) -> Cash:
        """Give the cash that orders reserve."""
        return Cash(self._market[state.RESERVED])

    @property
    def position(self) -> Position:
        """Give what is held."""
        market = self._market
        return Position(
            Quantity(market[state.POSITION]),
            Cash(market[state.COST]),
            Cash(market[state.REALISED]),
            Cash(market[state.FEES]),
        )

    @property
    def resting(self) -> int:
        """Give how many own orders rest in the book."""
        return self._market[state.RESTING]

    @property
    def rejected(self) -> int:
        """Give how many orders the exchange would have refused."""
        return self._market[state.REJECTED]

    def numbers(self) -> list[int]:
        """Give the numbers of the episode, see `lanes.layout`."""
        return list(self._lane)

    @property
    def tally(self) -> Tally:
        """Give what was done in the episode so far."""
        done = self._lane[DONE_AT : DONE_AT + ACTION_COUNT]
        actions = Counter({Action(number): count for number, count in enumerate(done) if count})
        return Tally(actions, self._lane[REFUSALS], self._lane[STEPS])

    def touch(self) -> tuple[Price | None, Price | None]:
        """Give the best bid and ask without one's own orders."""
        bid, ask = bid_touch(self._seen), ask_touch(self._seen)
        prices = self._prices
        return (
            Price(prices[bid]) if bid >= 0 else None,
            Price(prices[ask]) if ask < self._seen[SIZE] else None,
        )

    def observation(self) -> list[float]:
        """Give the observation at this decision."""
        out = [0.0] * OBSERVATION_SIZE
        observe(self._seen, self._flows, self._prices, self._lane[NOW], out)
        return out

    def mask(self) -> Mask:
        """Give which actions are allowed at this decision."""
        out = [0] * ACTION_COUNT
        allow(self._seen, self._prices, out)
        return tuple(value == 1 for value in out)

    def _load(self, segment: Segment) -> None:
        """Lay out the lists for a segment's market, and its events."""
        joined = join([segment])
        size = len(segment.market.grid)
        self.segment = segment
        self._prices = joined.grids[0].tolist()
        self._row = joined.segments[0].tolist()
        self._events = joined.events.tolist()
        self._bodies = joined.bodies.tolist()
        self._seen = [0] * seen_size(size)
        self._market = [0] * market_size(size)
        self._told = [0] * told_size(size)

    def _turn(self, action: int, *, is_new: bool) -> float:
        gained = turn(
            self._lane, self._seen, self._flows, self._market, self._prices, self._told,
            self._asked, self._terms, self._delays, self._weights, self._events, self._bodies,
            is_new, action,
        )  # fmt: skip
        if self._lane[ENDING] == IMPOSSIBLE:
            raise BookCorrupt(
                f"segment of {self.segment.ticker} from {self.segment.starts_at}: a recorded level "
                f"would fall below zero at {self._lane[NOW]}"
            )
        return gained

    def _keep_fills(self) -> None:
        market = self._market
        if market[state.FILLS_COUNT] - len(self.fills) > FILL_ROOM:
            raise OverflowError(f"more than {FILL_ROOM} fills between two decisions")
        for number in range(len(self.fills), market[state.FILLS_COUNT]):
            place = state.fill_at(market, number)
            row = market[place : place + state.FILL_SIZE]
            self.fills.append(self._fill_of(number + 1, row))

    def _fill_of(self, number: int, row: list[int]) -> Fill:
        return Fill(
            trade_id=f"own-{number}",
            order_id=f"own-{row[state.FILL_NUMBER]}",
            ticker=self.segment.ticker,
            side=Side(row[state.FILL_SIDE]),
            price=Price(self._prices[row[state.FILL_INDEX]]),
            quantity=Quantity(row[state.FILL_QUANTITY]),
            role=_ROLES[row[state.FILL_ROLE]],
            fee=Cash(row[state.FILL_FEE]),
            at=row[state.FILL_AT],
            is_inferred=bool(row[state.FILL_INFERRED]),
        )
