"""The table of actions in use: which of them are allowed, and what each asks of the exchange.

An order is a limit order that stays until cancelled. What does not fill at once rests, for at most
the table's lifetime of market time; an action that sends an order cancels those that rest first, so
there is at most one own order in a market. A forbidden action that is chosen all the same is the
table's first, HOLD, and counted. `allow` and `decide` work on flat numbers, the rest puts them into
the trader's words.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.action_rules import (
    CANCEL_ASK,
    CANCEL_BID,
    DECISION_SIZE,
    DONE,
    FORBIDDEN,
    INDEX,
    QUANTITY,
    SIDE,
    allow_rows,
    decide_rows,
)
from kalshiflow.agent.action_table import KALSHI_5, Action, ActionRow
from kalshiflow.agent.features import observation_text
from kalshiflow.agent.layout import ORDER_QUANTITY, Numbers
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity

__all__ = [
    "ACTIONS",
    "ACTION_COUNT",
    "ACTION_TABLE",
    "ACTION_VERSION",
    "CANCEL_ASK",
    "CANCEL_BID",
    "DECISION_SIZE",
    "DONE",
    "FORBIDDEN",
    "INDEX",
    "ONLY_HOLD",
    "ORDER_LIFETIME",
    "QUANTITY",
    "SIDE",
    "Action",
    "ActionRow",
    "Intent",
    "Mask",
    "Step",
    "allow",
    "decide",
    "fingerprint",
    "mask",
    "plan",
    "table_text",
]

TABLE = KALSHI_5
ACTION_TABLE = TABLE.name
ACTION_VERSION = TABLE.version
ORDER_LIFETIME = TABLE.order_lifetime
ACTIONS: tuple[ActionRow, ...] = TABLE.rows
ACTION_COUNT = len(ACTIONS)
ROWS = TABLE.numbers()

Mask = tuple[bool, ...]
ONLY_HOLD: Mask = (True,) + (False,) * (ACTION_COUNT - 1)


def allow(seen: Sequence[int], prices: Sequence[int], out: Numbers) -> None:
    """Write for each action of the table whether it is allowed, 1 or 0."""
    allow_rows(ROWS, ACTION_COUNT, seen, prices, out)


def decide(seen: Sequence[int], prices: Sequence[int], action: int, now: int, out: Numbers) -> None:
    """Write what an action comes to at market time `now`; it is checked here whether it may be."""
    decide_rows(ROWS, ACTION_COUNT, ORDER_LIFETIME, seen, prices, action, now, out)


@dataclass(frozen=True, slots=True)
class Intent:
    """An order that is decided upon and not yet sent."""

    action: Action
    side: Side
    price: Price
    quantity: Quantity
    time_in_force: TimeInForce = TimeInForce.GTC


@dataclass(frozen=True, slots=True)
class Step:
    """What a decision asks for, in this order: cancel `cancels`, then send `intent`.

    `action` is what is done; `is_forbidden` says that another was chosen and became HOLD.
    """

    action: Action
    is_forbidden: bool
    cancels: tuple[OwnOrder, ...]
    intent: Intent | None


def mask(observer: MarketObserver, account: MarketAccount, order_quantity: Quantity) -> Mask:
    """Give which actions are allowed now, by number; HOLD always is."""
    observer.own_orders(account)
    observer.seen[ORDER_QUANTITY] = order_quantity
    allowed = [0] * ACTION_COUNT
    allow(observer.seen, observer.prices, allowed)
    return tuple(value == 1 for value in allowed)


def plan(
    chosen: int,
    allowed_now: Sequence[bool],
    observer: MarketObserver,
    account: MarketAccount,
    order_quantity: Quantity,
    now: int,
) -> Step:
    """Turn a chosen action into what is asked of the exchange at market time `now`."""
    observer.own_orders(account)
    observer.seen[ORDER_QUANTITY] = order_quantity
    out = [0] * DECISION_SIZE
    may = 0 <= chosen < len(allowed_now) and allowed_now[chosen]
    decide(observer.seen, observer.prices, chosen if may else Action.HOLD, now, out)
    action = Action(out[DONE])
    intent = None
    if out[SIDE] >= 0:
        price = Price(observer.prices[out[INDEX]])
        intent = Intent(action, Side(out[SIDE]), price, Quantity(out[QUANTITY]))
    is_cancelled = {Side.BID: out[CANCEL_BID], Side.ASK: out[CANCEL_ASK]}
    cancels = tuple(own for own in account.own_orders if is_cancelled[own.side])
    return Step(action, action != chosen, cancels, intent)


def table_text() -> str:
    """Write both tables in one exact form, of which the fingerprint is the hash."""
    return f"{observation_text()}\n{TABLE.text()}"


def fingerprint() -> str:
    """Give the hash of both tables, which a policy carries and whoever runs it compares."""
    return hashlib.sha256(table_text().encode()).hexdigest()
