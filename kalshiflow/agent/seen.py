"""What is seen of one market, and how each public event changes it.

The numbers stand in `seen` and `flows` as `layout` says. Pure functions in the arithmetic that
compiled and interpreted code share: the trader and the Gymnasium environment run them on lists,
`learning.compiled` on arrays. An event that may be untrue is checked by `fault_of_change` or
`fault_of_snapshot` first: here it is believed.

What comes of one's own orders is told as the exchange publishes it: an own order that comes to rest
or goes, and what own takers take, as changes of our own; an own resting order that others take as
anyone's change. Where `show_order` or `hide_order` is told before the change that it causes, that
change never mars what is observed.
"""

from collections.abc import Sequence

from kalshiflow.agent.book import change_level, fault_of_change, fault_of_snapshot, set_book
from kalshiflow.agent.layout import (
    CLOSE_TIME,
    MID2,
    OWN_ASK,
    OWN_BID,
    OWN_INDEX,
    READY,
    READY_TO_ACT,
    SIZE,
    STATUS,
    WITHOUT_TIME,
    Flows,
    Numbers,
)
from kalshiflow.agent.own import (
    ask_touch,
    bid_touch,
    hide_order,
    hold,
    mid2_of,
    order_filled,
    order_sent,
    others_at,
    queue_changed,
    queue_traded,
    see_account,
    show_order,
    stand_last,
)
from kalshiflow.agent.rolling import begin, on_change, on_mid, on_trade

__all__ = [
    "cut",
    "fault_of_change",
    "fault_of_snapshot",
    "hide_order",
    "hold",
    "order_filled",
    "order_sent",
    "see_account",
    "see_change",
    "see_close_time",
    "see_first_time",
    "see_snapshot",
    "see_status",
    "see_trade",
    "show_order",
]


def cut(seen: Numbers) -> None:
    """Forget the past after a gap: not ready until the next snapshot."""
    seen[READY] = 0


def see_status(seen: Numbers, status: int) -> None:
    """Take in the market's status, by its number."""
    seen[STATUS] = status


def see_close_time(seen: Numbers, close_time: int) -> None:
    """Take in when the market closes; -1 where that is unknown."""
    seen[CLOSE_TIME] = close_time


def see_snapshot(
    seen: Numbers, flows: Flows, prices: Sequence[int], bodies: Sequence[int], start: int, at: int
) -> None:
    """Replace the whole book by the body that begins at `start`.

    `at` is -1 for a snapshot that came before any exchange time was known: what follows is taken in
    once `see_first_time` has told when market time began.
    """
    if seen[READY] != READY_TO_ACT:
        set_book(seen, bodies, start)
        stand_last(seen, 0)
        stand_last(seen, 1)
        seen[MID2] = mid2_of(seen, prices)
        if at < 0:
            seen[READY] = WITHOUT_TIME
        else:
            see_first_time(seen, flows, at)
        return
    bid, ask = seen[OWN_BID + OWN_INDEX], seen[OWN_ASK + OWN_INDEX]
    others_bid = others_at(seen, 0, bid) if bid >= 0 else 0
    others_ask = others_at(seen, 1, ask) if ask >= 0 else 0
    set_book(seen, bodies, start)
    if bid >= 0:
        queue_changed(seen, 0, others_bid, others_at(seen, 0, bid), at)
    if ask >= 0:
        queue_changed(seen, 1, others_ask, others_at(seen, 1, ask), at)
    on_mid(seen, flows, at, mid2_of(seen, prices))


def see_first_time(seen: Numbers, flows: Flows, at: int) -> None:
    """Begin market time, as if the market had always stood where it stands."""
    begin(seen, flows, at)
    seen[READY] = READY_TO_ACT


def see_change(
    seen: Numbers,
    flows: Flows,
    prices: Sequence[int],
    side: int,
    index: int,
    change: int,
    is_own: int,
    at: int,
) -> None:
    """Take in a signed change of one level; `is_own` says that an order of our own caused it."""
    if seen[READY] != READY_TO_ACT:
        return
    own = seen[(OWN_ASK if side else OWN_BID) + OWN_INDEX]
    if is_own:
        change_level(seen, side, index, change)
        # What comes to rest, or goes, is no part of what is observed; only what we take is.
        if change > 0 or index == own:
            return
    else:
        touch = ask_touch(seen) if side else bid_touch(seen)
        before = others_at(seen, side, index) if index == own else 0
        distance = 0
        if 0 <= touch < seen[SIZE]:
            distance = (prices[index] - prices[touch]) * (1 if side else -1)
        change_level(seen, side, index, change)
        on_change(seen, flows, at, side, change, distance)
        if index == own:
            queue_changed(seen, side, before, others_at(seen, side, index), at)
    # Also far from the touch: it mends what news of our own that came late did to the mid.
    on_mid(seen, flows, at, mid2_of(seen, prices))


def see_trade(
    seen: Numbers,
    flows: Flows,
    prices: Sequence[int],
    side: int,
    index: int,
    quantity: int,
    at: int,
) -> None:
    """Take in anyone's trade, the taker's `side`; `index` is -1 for a price off the grid."""
    if seen[READY] != READY_TO_ACT:
        return
    price = prices[index] if index >= 0 else -1
    on_trade(seen, flows, at, price, -quantity if side else quantity)
    if index >= 0:
        queue_traded(seen, 0 if side else 1, index, quantity, at)
