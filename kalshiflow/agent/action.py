"""The table of actions, which of them are allowed, and what each asks of the exchange.

One rule for learning, evaluation and the trader: an order is a limit order at the far touch that
stays until cancelled. What does not fill at once rests, for at most `ORDER_LIFETIME` of market
time; an action other than HOLD cancels it first, so there is at most one own order in a market. A
forbidden action that is chosen all the same is HOLD, and counted.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.features import FEATURES, OBSERVATION_TABLE, OBSERVATION_VERSION
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.market.events import Side
from kalshiflow.market.fees import worst_case_fee
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import DOLLAR, Price, Quantity

ACTION_TABLE = "kalshi-5"
ACTION_VERSION = 1
ORDER_LIFETIME = 5_000_000_000


class Action(IntEnum):
    """The actions by number, as in a policy's scores."""

    HOLD = 0
    BUY_YES_LIMIT = 1
    SELL_YES_LIMIT = 2
    BUY_NO_LIMIT = 3
    SELL_NO_LIMIT = 4


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action: the side of the YES book its order is on, whether it only closes, its words."""

    action: Action
    side: Side | None
    is_closing: bool
    meaning: str


ACTIONS: tuple[ActionRow, ...] = (
    ActionRow(Action.HOLD, None, False, "no order"),
    ActionRow(Action.BUY_YES_LIMIT, Side.BID, False, "bid at the best ask; no NO may be held"),
    ActionRow(Action.SELL_YES_LIMIT, Side.ASK, True, "ask at the best bid, of the YES held"),
    ActionRow(Action.BUY_NO_LIMIT, Side.ASK, False, "ask at the best bid; no YES may be held"),
    ActionRow(Action.SELL_NO_LIMIT, Side.BID, True, "bid at the best ask, of the NO held"),
)

Mask = tuple[bool, bool, bool, bool, bool]
ONLY_HOLD: Mask = (True, False, False, False, False)


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


def allowed(
    bid: int, ask: int, held: int, spendable: int, quantity: int, yes_fee: int, no_fee: int
) -> Mask:
    """Give which actions are possible; `bid` and `ask` are the touch, -1 where there is none.

    Buying needs its price and its worst fee, and that the other side is not held: closing is the
    business of the two SELL actions.
    """
    has_bid, has_ask = bid >= 0, ask >= 0
    return (
        True,
        has_ask and held >= 0 and ask * quantity + yes_fee <= spendable,
        has_bid and held > 0,
        has_bid and held <= 0 and (DOLLAR - bid) * quantity + no_fee <= spendable,
        has_ask and held < 0,
    )


def mask(observer: MarketObserver, account: MarketAccount, order_quantity: Quantity) -> Mask:
    """Give which actions are allowed now, by number; HOLD always is."""
    if not observer.is_open:
        return ONLY_HOLD
    observer.own_orders(account)
    bid, ask = observer.touch()
    fees = observer.market.fees
    return allowed(
        -1 if bid is None else bid,
        -1 if ask is None else ask,
        account.position.quantity,
        account.spendable,
        order_quantity,
        0 if ask is None else worst_case_fee(fees, ask, order_quantity),
        0 if bid is None else worst_case_fee(fees, bid, order_quantity),
    )


def decode(
    action: Action, observer: MarketObserver, account: MarketAccount, order_quantity: Quantity
) -> Intent | None:
    """Give the order of an allowed action, `None` for HOLD and where its touch is missing."""
    row = ACTIONS[action]
    if row.side is None:
        return None
    bid, ask = observer.touch()
    price = ask if row.side is Side.BID else bid
    if price is None:
        return None
    held = abs(account.position.quantity)
    quantity = Quantity(min(held, order_quantity)) if row.is_closing else order_quantity
    return Intent(action, row.side, price, quantity) if quantity > 0 else None


def plan(
    chosen: int,
    allowed_now: Sequence[bool],
    observer: MarketObserver,
    account: MarketAccount,
    order_quantity: Quantity,
    now: int,
) -> Step:
    """Turn a chosen action into what is asked of the exchange at market time `now`."""
    is_forbidden = not allowed_now[chosen]
    action = Action.HOLD if is_forbidden else Action(chosen)
    observer.own_orders(account)
    intent = decode(action, observer, account, order_quantity)
    cancels = tuple(
        own for own in account.own_orders if intent is not None or now - own.since >= ORDER_LIFETIME
    )
    return Step(action, is_forbidden, cancels, intent)


def table_text() -> str:
    """Write both tables in one exact form, of which the fingerprint is the hash."""
    lines = [f"{OBSERVATION_TABLE} {OBSERVATION_VERSION}"]
    lines += [f"{f.name}|{f.group}|{f.formula}|{f.low}|{f.high}|{f.unit}" for f in FEATURES]
    lines.append(f"{ACTION_TABLE} {ACTION_VERSION} lifetime {ORDER_LIFETIME}")
    lines += [
        f"{row.action.value}|{row.action.name}|{row.side}|{row.is_closing}|{row.meaning}"
        for row in ACTIONS
    ]
    return "\n".join(lines)


def fingerprint() -> str:
    """Give the hash of both tables, which a policy carries and whoever runs it compares."""
    return hashlib.sha256(table_text().encode()).hexdigest()
