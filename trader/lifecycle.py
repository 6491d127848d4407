"""The trader's states, every legal move between them, and how long each may last.

    startup -> initializing -> orderbook_connect -> trading_client_connect -> calibrating -> ready
    ready <-> acting;  paused by a person or by risk;  recovering after a lost connection;
    error and shutdown from anywhere.

Whatever leads back to trading passes through `calibrating`: there is one way in, and it squares
our account with the exchange's. A decision is no move.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

SHOWN_TRANSITIONS = 20


class State(StrEnum):
    """What the trader is doing."""

    STARTUP = "startup"
    INITIALIZING = "initializing"
    ORDERBOOK_CONNECT = "orderbook_connect"
    TRADING_CLIENT_CONNECT = "trading_client_connect"
    CALIBRATING = "calibrating"
    READY = "ready"
    ACTING = "acting"
    PAUSED = "paused"
    RECOVERING = "recovering"
    ERROR = "error"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Rule:
    """How many seconds a state may last (`None`: for ever) and where it may lead."""

    limit: float | None
    moves: frozenset[State]


def _rule(limit: float | None, *moves: State) -> Rule:
    return Rule(limit, frozenset({*moves, State.ERROR, State.SHUTDOWN}))


S = State
RULES: dict[State, Rule] = {
    S.STARTUP: _rule(30, S.INITIALIZING),
    S.INITIALIZING: _rule(120, S.ORDERBOOK_CONNECT),
    S.ORDERBOOK_CONNECT: _rule(120, S.TRADING_CLIENT_CONNECT),
    S.TRADING_CLIENT_CONNECT: _rule(60, S.CALIBRATING, S.RECOVERING),
    S.CALIBRATING: _rule(600, S.READY, S.PAUSED, S.RECOVERING),
    S.READY: _rule(None, S.ACTING, S.CALIBRATING, S.PAUSED, S.RECOVERING),
    S.ACTING: _rule(None, S.READY, S.CALIBRATING, S.PAUSED, S.RECOVERING),
    S.PAUSED: _rule(None, S.CALIBRATING, S.RECOVERING),
    S.RECOVERING: _rule(3600, S.CALIBRATING),
    S.ERROR: Rule(30, frozenset({S.SHUTDOWN})),
    S.SHUTDOWN: Rule(60, frozenset()),
}


class IllegalTransition(RuntimeError):
    """A move that the table does not have: a fault of ours, which ends the process."""


class StateOverdue(RuntimeError):
    """A state that lasted longer than its limit."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A move that was made, with what was true when it was. Times are UTC nanoseconds."""

    from_state: State
    to_state: State
    context: str
    at: int
    metrics: dict[str, str | int | float] = field(default_factory=dict)


class Lifecycle:
    """The state now, since when (UTC nanoseconds), and the last moves."""

    def __init__(self, now: int) -> None:
        self.state = State.STARTUP
        self.since = now
        self.history: deque[Transition] = deque(maxlen=SHOWN_TRANSITIONS)

    def move(self, to: State, context: str, now: int, **metrics: str | float) -> Transition:
        """Go to another state; raises `IllegalTransition` where the table has no such move."""
        if to not in RULES[self.state].moves:
            raise IllegalTransition(f"the trader cannot go from {self.state} to {to} ({context})")
        transition = Transition(self.state, to, context, now, dict(metrics))
        self.state, self.since = to, now
        self.history.append(transition)
        return transition

    def check_time(self, now: int) -> None:
        """Raise `StateOverdue` where the state has outlasted its limit."""
        limit = RULES[self.state].limit
        lasted = (now - self.since) / 1e9
        if limit is not None and lasted > limit:
            raise StateOverdue(f"the trader was {self.state} for {lasted:.0f} s, over {limit:g} s")
