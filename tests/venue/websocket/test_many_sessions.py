"""Many sessions at once: each is told, frame by frame, what a plain model says it must be told."""

import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from plain_listener import Book, PlainFloor, PlainListener, Told
from scene import NOW, A, B, C, Scene

from kalshiflow.market.events import Side
from kalshiflow.market.units import Quantity
from kalshiflow.venue.floor.facts import BookReplaced, LifecycleChanged, LifecycleKind
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.sessions import CHANNELS, Session

LATER = "KXA-1-LATER"
MOST = 14


class Crowd:
    """Sessions and their models over one floor; `dice` choose all that happens."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.scene = Scene(market_limit=MOST)
        self.heard = 0
        ids = {ticker: self.scene.floor.market(ticker).market_id for ticker in (A, B, C)}
        self.plain = PlainFloor(ids, {ticker: {} for ticker in ids})
        self.pairs: list[tuple[Session, PlainListener]] = []
        self.commands = 0
        self.listened = 0
        for _ in range(3):
            self.join()

    def act(self) -> None:
        acts = (self.place, self.place, self.cancel, self.ask, self.ask, self.read, self.steer)
        self.dice.choice(acts)()
        if self.dice.random() < 0.03:
            self.dice.choice((self.join, self.leave))()

    # --- sessions ----------------------------------------------------------------------------

    def join(self) -> None:
        account = self.dice.choice((self.scene.mine, self.scene.other))
        limit = self.dice.choice((5, 20, 10_000))
        self.pairs.append(
            (self.scene.session(account, limit), PlainListener(self.plain, account, limit, MOST))
        )

    def leave(self) -> None:
        if len(self.pairs) > 2:
            session, _ = self.pairs.pop(self.dice.randrange(len(self.pairs)))
            self.scene.hub.leave(session)

    def read(self) -> None:
        for session, listener in self.pairs:
            if self.dice.random() < 0.5:
                self.compare(session, listener)

    def compare(self, session: Session, listener: PlainListener) -> None:
        told = [plainly(json.loads(frame)) for frame in session.take()]
        self.listened += len(told)
        expected, listener.waiting = listener.waiting, []
        assert told == expected

    # --- commands ----------------------------------------------------------------------------

    def ask(self) -> None:
        session, listener = self.dice.choice(self.pairs)
        self.commands += 1
        cmd, params = self.dice.choice(
            (
                self.subscribe,
                self.subscribe,
                self.update,
                self.update,
                self.unsubscribe,
                self.list_all,
            )
        )(listener)
        command = {"id": self.commands, "cmd": cmd, "params": params}
        commands.receive(self.scene.hub, session, json.dumps(command))

    def subscribe(self, listener: PlainListener) -> tuple[str, Any]:
        dice = self.dice
        channels = dice.sample(sorted(CHANNELS), dice.randint(1, 3))
        tickers = self.some_tickers()
        ids: list[str] = []
        if not tickers and dice.random() < 0.5:
            channels, ids = ["ticker"], [dice.choice(list(self.plain.ids.values()))]
        yes_price = dice.random() < 0.5
        listener.subscribe(self.commands, channels, tickers, ids, yes_price=yes_price)
        params: dict[str, Any] = {"channels": channels, "use_yes_price": yes_price}
        return "subscribe", params | named(tickers) | ({"market_ids": ids} if ids else {})

    def update(self, listener: PlainListener) -> tuple[str, Any]:
        actions = ("add_markets", "delete_markets", "get_snapshot", "dance")
        action = self.dice.choices(actions, (4, 3, 3, 1))[0]
        sid, tickers = self.some_sid(listener), self.some_tickers()
        listener.update(self.commands, sid, action, tickers)
        return "update_subscription", {"sid": sid, "action": action} | named(tickers)

    def unsubscribe(self, listener: PlainListener) -> tuple[str, Any]:
        sids = [self.some_sid(listener) for _ in range(self.dice.choice((1, 1, 2)))]
        listener.unsubscribe(self.commands, sids)
        return "unsubscribe", {"sids": sids}

    def list_all(self, listener: PlainListener) -> tuple[str, Any]:
        listener.list_all(self.commands)
        return "list_subscriptions", {}

    def some_tickers(self) -> list[str]:
        # An id among the tickers is a ticker that no market has.
        known = [A, B, C, LATER, self.plain.ids[A]]
        return self.dice.sample(known, self.dice.choice((0, 1, 1, 2, 3)))

    def some_sid(self, listener: PlainListener) -> int:
        return self.dice.choice([*(one.sid for one in listener.subscriptions), 99])

    # --- the floor ---------------------------------------------------------------------------

    def place(self) -> None:
        dice = self.dice
        account = dice.choice((self.scene.mine, self.scene.other))
        name = dice.choice(("", f"name-{len(self.plain.orders)}"))
        ticker = dice.choice(list(self.plain.books))
        side, cents = dice.choice(list(Side)), dice.randint(46, 54)
        try:
            order = self.scene.order(account, side, cents, dice.randint(1, 5), ticker, name)
        except Refused:
            return
        self.plain.orders[order] = (account, name)
        self.tell()

    def cancel(self) -> None:
        resting = self.scene.floor.resting()
        if resting:
            record = self.dice.choice(resting)
            self.scene.floor.cancel(record.owner, record.order.order_id, NOW)
            self.tell()

    def steer(self) -> None:
        scene, ticker = self.scene, self.dice.choice(list(self.plain.books))
        match self.dice.randrange(5):
            case 0:
                scene.tell(BookReplaced(ticker, NOW))
            case 1:
                scene.floor.lifecycle.deactivate(ticker, NOW)
                scene.floor.lifecycle.reactivate(ticker, NOW)
            case 2:
                scene.floor.groups.create(scene.mine, Quantity(100), NOW)
            case 3:
                scene.floor.cancel_all(scene.other, NOW)
            case 4 if LATER not in self.plain.books:
                scene.list_market(LATER)
                self.plain.ids[LATER] = scene.floor.market(LATER).market_id
                self.plain.books[LATER] = {}
                scene.tell(LifecycleChanged(LATER, LifecycleKind.CREATED, NOW))
        self.tell()

    def tell(self) -> None:
        """Let the models hear what happened since."""
        for fact in self.scene.facts[self.heard :]:
            if isinstance(fact, LevelChanged):
                change(self.plain.books[fact.ticker], fact)
            for _, listener in self.pairs:
                listener.hear(fact)
        self.heard = len(self.scene.facts)


def change(book: Book, fact: LevelChanged) -> None:
    place = ("yes" if fact.side is Side.BID else "no", fact.price)
    book[place] = book.get(place, 0) + fact.change
    assert book[place] >= 0
    if not book[place]:
        del book[place]


def named(tickers: list[str]) -> dict[str, Any]:
    return {"market_tickers": tickers} if tickers else {}


def plainly(frame: dict[str, Any]) -> Told:
    """Put a frame as the model does."""
    kind = frame["type"]
    head = (kind, frame.get("id", 0), frame.get("sid", 0), frame.get("seq", 0))
    return (*head, SAYS.get(kind, of_market)(frame.get("msg")))


def of_market(msg: dict[str, Any]) -> Any:
    return msg.get("market_ticker") or msg.get("ticker") or ""


def of_ok(msg: Any) -> Any:
    if isinstance(msg, list):
        return tuple((one["channel"], one["sid"]) for one in msg)
    return (msg.get("market_tickers", []), msg.get("market_ids", [])) if msg else None


def of_delta(msg: dict[str, Any]) -> Any:
    price, count = scaled(msg["price_dollars"], 10_000), scaled(msg["delta_fp"], 100)
    return (msg["market_ticker"], msg["side"], price, count, msg.get("client_order_id", ""))


def of_snapshot(msg: dict[str, Any]) -> Any:
    told = [
        (side, scaled(price, 10_000), scaled(count, 100))
        for side in ("yes", "no")
        for price, count in msg.get(f"{side}_dollars_fp", ())
    ]
    return (msg["market_ticker"], tuple(sorted(told)))


def scaled(text: str, scale: int) -> int:
    return int(Decimal(text) * scale)


SAYS: dict[str, Callable[[Any], Any]] = {
    "subscribed": lambda msg: (msg["channel"], msg["sid"]),
    "unsubscribed": lambda _: None,
    "ok": of_ok,
    "error": lambda msg: msg["code"],
    "orderbook_delta": of_delta,
    "orderbook_snapshot": of_snapshot,
}


@pytest.mark.parametrize("seed", range(10))
def test_every_session_is_told_what_the_rules_say_and_nothing_else(seed: int) -> None:
    crowd = Crowd(seed)
    for _ in range(2_000):
        crowd.act()
    for session, listener in crowd.pairs:
        crowd.compare(session, listener)

    assert crowd.listened > 1_000
    for ticker, book in crowd.plain.books.items():
        matching = crowd.scene.floor.market(ticker).matching.book
        for side, name in ((Side.BID, "yes"), (Side.ASK, "no")):
            assert dict(matching.levels(side)) == {
                price: count for (at, price), count in book.items() if at == name
            }
    for session, _ in crowd.pairs:
        crowd.scene.hub.leave(session)
    assert not any(crowd.scene.hub.has_book_subscriber(ticker) for ticker in (A, B, C, LATER))
    assert crowd.scene.hub.sessions() == ()
