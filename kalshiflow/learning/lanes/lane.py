"""An episode step by step: act, let time pass up to the next decision, and be rewarded.

A decision is taken at the first change of the public book at or after the throttle of market time
since the last one, with the market open and nothing of our own under way, as the trader does; the
first at the first book. Commands arrive after a latency. An episode ends when the market settles,
when the segment has no more events, or at the first decision at or after its time limit.

Pure functions over the lists of `layout`: the Gymnasium environment interprets them on lists,
the vectorised one runs them compiled on rows of arrays.
"""

from collections.abc import Sequence

from kalshiflow.agent.action import (
    ACTION_COUNT,
    CANCEL_ASK,
    CANCEL_BID,
    DONE,
    FORBIDDEN,
    INDEX,
    QUANTITY,
    SIDE,
    allow,
    decide,
)
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.layout import (
    DOLLAR,
    SIZE,
)
from kalshiflow.agent.own import ask_touch, bid_touch
from kalshiflow.agent.reward import reward, risk
from kalshiflow.agent.seen import order_sent
from kalshiflow.learning.lanes.layout import (
    BEGAN,
    DONE_AT,
    DUE,
    ENDING,
    FALL,
    FILLS,
    GOES_ON,
    IMPOSSIBLE,
    NOW,
    PAID,
    PEAK,
    RAN_OUT,
    REFUSALS,
    SEED,
    STEPS,
    TERM_BUDGET,
    TERM_DELAYS,
    TERM_LONGEST,
    TERM_THROTTLE,
    TIME_LIMIT,
    VALUE,
    Floats,
    Numbers,
)
from kalshiflow.learning.lanes.passing import advance
from kalshiflow.market.units import Price
from kalshiflow.simulator.commands import send_cancel, send_order
from kalshiflow.simulator.latency import drawn_latency
from kalshiflow.simulator.own_orders import NO_SLOT, best_slot
from kalshiflow.simulator.state import (
    CASH,
    COST,
    FEES,
    FILLS_COUNT,
    ORDER_NUMBER,
    order_at,
)
from kalshiflow.simulator.state import POSITION as HELD
from kalshiflow.simulator.valuation import closing_proceeds


def turn(
    lane: Numbers,
    seen: Numbers,
    flows: Floats,
    market: Numbers,
    prices: Sequence[Price],
    told: Numbers,
    asked: Numbers,
    terms: Sequence[int],
    delays: Sequence[int],
    weights: Sequence[float],
    events: Sequence[int],
    bodies: Sequence[int],
    is_new: bool,
    action: int,
) -> float:
    """Act, unless the episode `is_new`, and go on to its next decision or end; give the reward.

    A new one has been laid out by `begin`, and its first step brings no reward.
    """
    sent_at = lane[NOW]
    if not is_new:
        act(lane, seen, market, prices, asked, terms, delays, action)
    ending = advance(lane, seen, flows, market, prices, told, events, bodies)
    now = lane[NOW]
    lane[DUE] = now + terms[TERM_THROTTLE]
    lane[ENDING] = ending
    if is_new:
        lane[BEGAN] = now
        return 0.0
    if ending == GOES_ON and 0 < terms[TERM_LONGEST] <= now - lane[BEGAN]:
        lane[ENDING] = TIME_LIMIT
    before, fall = lane[VALUE], lane[FALL]
    keep_accounts(lane, seen, market, prices)
    budget = terms[TERM_BUDGET]
    deeper = lane[FALL] - fall
    gained = reward(before, lane[VALUE], budget)
    return gained - risk(weights, market[COST], now - sent_at, deeper, asked[FORBIDDEN], budget)


def act(
    lane: Numbers,
    seen: Numbers,
    market: Numbers,
    prices: Sequence[Price],
    asked: Numbers,
    terms: Sequence[int],
    delays: Sequence[int],
    action: int,
) -> None:
    """Send what an action comes to; one that is forbidden is HOLD, and counted."""
    now, number = lane[NOW], lane[STEPS]
    decide(seen, prices, action, now, asked)
    lane[STEPS] = number + 1
    lane[REFUSALS] += asked[FORBIDDEN]
    lane[DONE_AT + asked[DONE]] += 1
    side, quantity = asked[SIDE], asked[QUANTITY]
    if side < 0 and not (asked[CANCEL_BID] or asked[CANCEL_ASK]):
        return
    arrives_at = now + drawn_latency(delays, terms[TERM_DELAYS], lane[SEED], number)
    if asked[CANCEL_BID]:
        cancel(market, 0, arrives_at)
    if asked[CANCEL_ASK]:
        cancel(market, 1, arrives_at)
    if side >= 0 and send_order(market, side, asked[INDEX], quantity, arrives_at) > 0:
        order_sent(seen, quantity, now)


def cancel(market: Numbers, side: int, arrives_at: int) -> None:
    """Send a cancel for our resting order of a side."""
    slot = best_slot(market, side)
    if slot != NO_SLOT:
        send_cancel(market, market[order_at(slot) + ORDER_NUMBER], arrives_at)


def keep_accounts(
    lane: Numbers, seen: Sequence[int], market: Sequence[int], prices: Sequence[Price]
) -> None:
    """Work out what the account is worth now, and how far that has fallen."""
    ending = lane[ENDING]
    value = market[CASH]
    if ending in (RAN_OUT, IMPOSSIBLE):
        value += closing_proceeds(market, prices, lane[NOW])
    else:
        value += worth_of(market[HELD], seen, prices)
    lane[VALUE] = value
    lane[PEAK] = max(lane[PEAK], value)
    lane[FALL] = max(lane[FALL], lane[PEAK] - value)
    lane[FILLS] = market[FILLS_COUNT]
    lane[PAID] = market[FEES]


def worth_of(held: int, seen: Sequence[int], prices: Sequence[Price]) -> int:
    """Give what a position is worth at the touch, as `Portfolio.market_value` does."""
    if held > 0:
        bid = bid_touch(seen)
        return held * prices[bid] if bid >= 0 else 0
    if held < 0:
        ask = ask_touch(seen)
        return -held * (DOLLAR - prices[ask]) if ask < seen[SIZE] else 0
    return 0


def show(
    lane: Sequence[int],
    seen: Sequence[int],
    flows: Sequence[float],
    prices: Sequence[Price],
    asked: Numbers,
    row: Floats,
) -> None:
    """Write what the policy sees at this decision: the observation, then the mask."""
    observe(seen, flows, prices, lane[NOW], row)
    allow(seen, prices, asked)
    for action in range(ACTION_COUNT):
        row[OBSERVATION_SIZE + action] = asked[action]
