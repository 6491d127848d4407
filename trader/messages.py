"""The messages to people's screens: one function each, from facts to plain values."""

from importlib.metadata import version
from typing import Any

from kalshiflow.agent.action import Action
from kalshiflow.agent.features import FEATURES
from kalshiflow.market.book import Book
from kalshiflow.market.events import Levels, Side
from kalshiflow.market.units import (
    Cash,
    Price,
    Quantity,
    complement,
    price_to_dollars,
    quantity_to_contracts,
)
from trader import status
from trader.decide import Decision
from trader.events import ComponentChanged, InitializationStep, OrderChanged, OrderFilled
from trader.lifecycle import Transition
from trader.status import Parts, iso, money

Message = dict[str, Any]
Sides = tuple[Levels, Levels]


def connection(parts: Parts) -> Message:
    """Greet a screen."""
    return _message(
        "connection",
        markets=sorted(parts.data.observers),
        status=parts.conductor.lifecycle.state.value,
        version=version("kalshiflow"),
        environment=parts.environment.value,
        orders_to=parts.orders_to.value,
        run_id=str(parts.run_id),
    )


def state_transition(transition: Transition) -> Message:
    """Tell a move that was made."""
    return _message(
        "state_transition",
        from_state=transition.from_state.value,
        to_state=transition.to_state.value,
        context=transition.context,
        timestamp=iso(transition.at),
        metrics=transition.metrics,
    )


def trader_status(parts: Parts, now: int) -> Message:
    """Tell the state and the figures behind it."""
    told = status.connection(parts, now)
    current = parts.slot.current
    return _message(
        "trader_status",
        state=parts.conductor.lifecycle.state.value,
        holding_reason=parts.conductor.holding_reason(),
        timestamp=iso(now),
        metrics={
            "health": status.health(parts, now)["status"],
            "ws_connection_status": told["status"],
            "connection_uptime": told["uptime_seconds"],
            "markets_connected": told["markets_ready"],
            "markets": told["markets"],
            "snapshots_received": told["snapshots"],
            "deltas_received": told["deltas"],
            "trades_received": told["trades"],
            "gaps": told["gaps"],
            "last_frame_age_ms": told["last_frame_age_ms"],
            "policy_version": None if current is None else current.version,
            "policy_problem": parts.slot.problem,
            "decisions": parts.counts.decisions,
            "orders_waiting": parts.sender.waiting,
            "journal_waiting": parts.journal.waiting,
            "uptime": round((now - parts.started_at) / status.SECOND, 3),
        },
    )


def trader_state(parts: Parts, now: int) -> Message:
    """Tell the account: money, positions, orders, and how many of what."""
    money_told = status.account(parts)
    counted = status.orders(parts)
    return _message(
        "trader_state",
        timestamp=iso(now),
        cash_balance=money_told["cash"],
        promised_cash=money_told["reserved"],
        available=money_told["available"],
        portfolio_value=money_told["portfolio_value"],
        positions=status.positions(parts),
        open_orders=status.open_orders(parts.outcomes.orders.open()),
        metrics={
            "decisions": parts.counts.decisions,
            "actions": status.actions(parts.counts),
            "forbidden": parts.counts.forbidden,
            "orders": counted,
            "fills": parts.counts.fills,
            "fees": money_told["fees"],
        },
    )


def pnl(parts: Parts, now: int) -> Message:
    """Tell what was won and lost, fees apart."""
    told = status.account(parts)
    ledger = parts.outcomes.accounts.ledger
    cost = sum(held.cost for held in ledger.positions.values())
    value = ledger.value(status.touches(parts.data)) - ledger.cash
    return _message(
        "actor_pnl",
        timestamp=iso(now),
        realised=told["realised"],
        unrealised=money(Cash(value - cost)),
        fees=told["fees"],
        cash=told["cash"],
        portfolio_value=told["portfolio_value"],
    )


def decided(kind: str, decision: Decision, result: str) -> Message:
    """Tell a decision, HOLD included; `kind` is `trader_action` or `actor_action`."""
    intent = decision.step.intent
    return _message(
        kind,
        timestamp=iso(decision.decided_at),
        market_ticker=decision.ticker,
        sequence_number=decision.frame_no,
        decision_id=str(decision.decision_id),
        policy_version=decision.policy_version,
        observation={
            feature.name: round(value, 4)
            for feature, value in zip(FEATURES, decision.proposal.observation, strict=True)
        },
        action={
            "action_id": int(decision.step.action),
            "action_name": decision.step.action.name,
            "quantity": None if intent is None else quantity_to_contracts(intent.quantity),
            "limit_price": None if intent is None else price_to_dollars(intent.price),
            "reason": decision.reason or "the policy's choice",
            "chosen": Action(decision.proposal.chosen).name,
        },
        execution_result={"executed": intent is not None and result == "sending", "status": result},
    )


def order(event: OrderChanged) -> Message:
    """Tell what became of one of our orders."""
    return _message("actor_order", timestamp=iso(event.at), **status.order_view(event.order))


def fill(event: OrderFilled) -> Message:
    """Tell one of our fills."""
    filled = event.fill
    return _message(
        "actor_fill",
        timestamp=iso(filled.at),
        trade_id=filled.trade_id,
        order_id=filled.order_id,
        client_order_id=filled.client_order_id or None,
        market_ticker=filled.ticker,
        side=status.side_name(filled.side),
        price=price_to_dollars(filled.price),
        quantity=quantity_to_contracts(filled.quantity),
        role=filled.role.value,
        fee=money(filled.fee),
        cash=money(event.cash),
    )


def position(event: OrderFilled) -> Message:
    """Tell the position that a fill left."""
    return _message("actor_position", **status.position(event.fill.ticker, event.position, None))


def component(event: ComponentChanged) -> Message:
    """Tell that a part is well or not."""
    return _message(
        "component_health",
        component=event.component,
        status=event.status,
        details=event.details,
        timestamp=iso(event.at),
    )


def initialization(event: InitializationStep) -> Message:
    """Tell a step of starting."""
    return _message(
        "initialization_step",
        step=event.step,
        status=event.status,
        details=event.details,
        timestamp=iso(event.at),
    )


def book_snapshot(book: Book, at: int, sequence_number: int) -> Message:
    """Tell a whole book."""
    bids, asks = book.levels(Side.BID), book.levels(Side.ASK)
    bid, ask = book.best_bid, book.best_ask
    return _message(
        "orderbook_snapshot",
        market_ticker=book.ticker,
        timestamp_ms=at // status.MILLISECOND,
        sequence_number=sequence_number,
        yes_bids=_sizes(bids),
        yes_asks=_sizes(asks),
        no_bids=_sizes(_complements(asks)),
        no_asks=_sizes(_complements(bids)),
        yes_mid_price=status.mid(bid, ask),
        no_mid_price=None
        if bid is None or ask is None
        else status.mid(complement(ask), complement(bid)),
    )


def book_deltas(book: Book, before: Sides, at: int, sequence_number: int) -> list[Message]:
    """Tell how a book differs from what was told before, level by level, on the YES scale."""
    told = []
    for side in Side:
        old, new = dict(before[side]), dict(book.levels(side))
        for price in sorted({*old, *new}):
            size = new.get(price, 0)
            change = size - old.get(price, 0)
            if change:
                told.append(
                    _message(
                        "orderbook_delta",
                        market_ticker=book.ticker,
                        timestamp_ms=at // status.MILLISECOND,
                        sequence_number=sequence_number,
                        side=status.side_name(side),
                        price=price_to_dollars(price),
                        delta=quantity_to_contracts(Quantity(change)),
                        new_size=quantity_to_contracts(Quantity(size)),
                    )
                )
    return told


def problem(text: str) -> Message:
    """Tell a screen what was wrong with its command."""
    return _message("error", message=text)


def _message(kind: str, **data: Any) -> Message:
    return {"type": kind, "data": data}


def _sizes(levels: Levels) -> dict[str, str]:
    return {price_to_dollars(price): quantity_to_contracts(size) for price, size in levels}


def _complements(levels: Levels) -> Levels:
    return tuple((Price(complement(price)), size) for price, size in levels)
