"""Time passes: recorded events come, commands arrive, and the policy sees what is told of it."""

from collections.abc import Sequence

from kalshiflow.agent.layout import READY, READY_TO_ACT, STATUS
from kalshiflow.agent.seen import see_close_time
from kalshiflow.learning.lanes.layout import (
    CURSOR,
    DUE,
    END,
    EVENT_AT,
    EVENT_INDEX,
    EVENT_QUANTITY,
    EVENT_SIDE,
    EVENT_SIZE,
    GOES_ON,
    IMPOSSIBLE,
    NOW,
    RAN_OUT,
    SETTLED,
    Floats,
    Numbers,
)
from kalshiflow.learning.lanes.mirror import see_own, see_told
from kalshiflow.market.flat import ACTIVE, CLOSES, DELTA, OWN_DELTA, SNAPSHOT, TRADE
from kalshiflow.market.flat import STATUS as STATUS_TOLD
from kalshiflow.market.units import Price
from kalshiflow.simulator.matching import is_due, obey_next
from kalshiflow.simulator.recorded import (
    BELOW_ZERO,
    recorded_change,
    recorded_status,
    recorded_trade,
)
from kalshiflow.simulator.snapshots import recorded_snapshot
from kalshiflow.simulator.state import COMMAND_ARRIVES, COMMANDS, COMMANDS_AT, RESTING
from kalshiflow.simulator.state import SETTLED as IS_SETTLED


def advance(
    lane: Numbers,
    seen: Numbers,
    flows: Floats,
    market: Numbers,
    prices: Sequence[Price],
    told: Numbers,
    events: Sequence[int],
    bodies: Sequence[int],
) -> int:
    """Take in events up to the next decision; give how the episode ended, or that it goes on."""
    cursor, end = lane[CURSOR], lane[END]
    now, due = lane[NOW], lane[DUE]
    ending = RAN_OUT
    while cursor < end:
        event = cursor * EVENT_SIZE
        is_busy = market[RESTING] > 0
        if is_due(market, events[event + EVENT_AT]):
            now = market[COMMANDS_AT + COMMAND_ARRIVES]
            obey_next(market, prices, told)
            is_busy = True
        else:
            now = events[event + EVENT_AT]
            cursor += 1
            if record(market, seen, prices, told, events, event, bodies) == BELOW_ZERO:
                ending = IMPOSSIBLE
                break
        # Our own affairs first: what is told of the book can then be told from our part in it.
        if is_busy or market[IS_SETTLED]:
            see_own(lane, seen, market, now)
        is_change = see_told(seen, flows, prices, told)
        if market[IS_SETTLED]:
            ending = SETTLED
            break
        is_open = seen[READY] == READY_TO_ACT and seen[STATUS] == ACTIVE
        if is_change and now >= due and is_open and market[COMMANDS] == 0:
            ending = GOES_ON
            break
    lane[CURSOR] = cursor
    lane[NOW] = now
    return ending


def record(
    market: Numbers,
    seen: Numbers,
    prices: Sequence[Price],
    told: Numbers,
    events: Sequence[int],
    event: int,
    bodies: Sequence[int],
) -> int:
    """Let the simulator take in the recorded event that stands at `event`; gives what is wrong."""
    kind, side, index = events[event], events[event + EVENT_SIDE], events[event + EVENT_INDEX]
    quantity, at = events[event + EVENT_QUANTITY], events[event + EVENT_AT]
    if kind in (DELTA, OWN_DELTA):
        return recorded_change(market, prices, side, index, quantity, at, told)
    if kind == TRADE:
        recorded_trade(market, prices, side, index, quantity, at, told)
    elif kind == SNAPSHOT:
        recorded_snapshot(market, prices, bodies, quantity, at, told)
    elif kind == STATUS_TOLD:
        recorded_status(market, prices, index, quantity, at, told)
    elif kind == CLOSES:
        see_close_time(seen, quantity)
    return 0
