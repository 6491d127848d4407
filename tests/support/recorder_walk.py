"""Random records of a spool, as a collector may leave them: frames good and bad, all notes."""

import json
import random
from collections.abc import Callable

from kalshiflow.market.flat import ACCOUNT_COLUMNS
from kalshiflow.market.listing import CENT_GRID, Market, PriceGrid, decode_grid
from kalshiflow.recording.blocks import Kind, Record
from kalshiflow.recording.notes import (
    Accounted,
    AnyNote,
    Asked,
    Audited,
    Connected,
    Disconnected,
    Joined,
    Released,
    Restarted,
    RestBook,
    Rotated,
    encode_note,
    listed,
)
from kalshiflow.store.rows import AccountChange

TICKERS = ("A", "B", "C", "D")
NICKEL_GRID = decode_grid([[0, 10_000, 500]])
FINE_GRID = decode_grid([[0, 1_000, 10], [1_000, 9_000, 100], [9_000, 10_000, 10]])
GRIDS: tuple[PriceGrid, ...] = (CENT_GRID, NICKEL_GRID, FINE_GRID)
BEGAN = 1_795_000_000_000_000_000
MILLISECOND = 1_000_000
BROKEN = (
    b"{",
    b"\xff\xfe",
    b'{"type":"trade","sid":2,"seq":1,"msg":{"market_ticker":"A\\u0000"}}',
    b'{"type":"orderbook_delta","msg":{"market_ticker":"B","side":"up"}}',
    b'{"type":"novelty","sid":9,"msg":{}}',
    b'{"type":"orderbook_delta","sid":1,"seq":"x","msg":3}',
)


class RecorderWalk:
    """`records` grows by each `step`, chosen by a seeded die; frames come only when connected."""

    def __init__(self, seed: int) -> None:
        self.records: list[Record] = []
        self._die = random.Random(seed)
        self._at = BEGAN
        self._seqs: dict[int, int] = {}
        self._sessions = 0
        self._markets: tuple[str, ...] = ()
        self._asked: set[str] = set()  # since the connection began
        self._is_connected = False
        frames: tuple[tuple[int, Callable[[], None]], ...] = (
            (60, self._delta),
            (14, self._snapshot),
            (8, self._trade),
            (5, self._lifecycle),
            (4, self._answer),
            (4, self._broken),
        )
        notes: tuple[tuple[int, Callable[[], None]], ...] = (
            (3, self._rotate),
            (2, self._join),
            (2, self._release),
            (1, self._disconnect),
            (1, self._restart),
            (1, self._connect),
            (1, self._rest_book),
            (2, self._audit),
            (2, self._account),
            (1, self._ask),
            (1, self._checkpoint),
        )
        self._connected = frames + notes
        self._away = ((6, self._connect), (2, self._restart), (3, self._rest_book))

    def step(self) -> None:
        """Let one thing happen."""
        choices = self._connected if self._is_connected else self._away
        weights, doers = zip(*choices, strict=True)
        self._at += self._die.choice((0, 1, MILLISECOND, 70 * MILLISECOND))
        self._die.choices(doers, weights)[0]()

    def _take(self, kind: Kind, content: bytes) -> None:
        self.records.append(Record(len(self.records) + 1, kind, self._at, content))

    def _note(self, note: AnyNote) -> None:
        self._take(Kind.NOTE, encode_note(note))

    def _frame(self, kind: str, sid: int, **body: object) -> None:
        before = self._seqs.get(sid, 0)
        step = self._die.choices((1, 0, 3, None), (92, 3, 3, 2))[0]
        seq = None if step is None else before + step
        self._seqs[sid] = before if seq is None else max(before, seq)
        told = {"type": kind, "sid": sid, "seq": seq, "msg": body}
        raw = json.dumps({name: value for name, value in told.items() if value is not None})
        self._take(Kind.FRAME, raw.encode())

    # --- frames ------------------------------------------------------------------------------

    def _ticker(self) -> str:
        return self._die.choice((*self._markets, *sorted(self._asked), "UNKNOWN"))

    def _time(self) -> str:
        milliseconds = self._at // MILLISECOND % 60_000
        return f"2026-11-20T14:30:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}Z"

    def _delta(self) -> None:
        die = self._die
        side = die.choice(("yes", "no"))
        low = die.randint(20, 50) if side == "yes" else die.randint(49, 80)
        self._frame(
            "orderbook_delta",
            1,
            market_ticker=self._ticker(),
            price_dollars=f"{low / 100:.4f}",
            delta_fp=f"{die.choice((-2, 1, 1, 2, 40))}.00",
            side=side,
            **({"ts": self._time()} if die.random() < 0.8 else {}),
            **({"client_order_id": "mine"} if die.random() < 0.02 else {}),
        )

    def _snapshot(self) -> None:
        die = self._die
        top = die.choice((40, 45, 50))
        yes = [[f"{price / 100:.4f}", "30.00"] for price in range(top - 15, top)]
        no = [[f"{price / 100:.4f}", "20.00"] for price in range(50, 66)]
        body: dict[str, object] = {"yes_dollars_fp": yes} if die.random() < 0.9 else {}
        if die.random() < 0.9:
            body["no_dollars_fp"] = no
        self._frame("orderbook_snapshot", 1, market_ticker=self._ticker(), **body)

    def _trade(self) -> None:
        self._frame(
            "trade",
            2,
            market_ticker=self._ticker(),
            trade_id=f"t{len(self.records)}",
            yes_price_dollars="0.4500",
            count_fp="3.00",
            taker_side=self._die.choice(("yes", "no")),
            ts_ms=self._at // MILLISECOND,
        )

    def _lifecycle(self) -> None:
        kind = self._die.choice(
            ("activated", "close_date_updated", "price_level_structure_updated")
        )
        body: dict[str, object] = {}
        if kind == "close_date_updated":
            body["close_ts"] = self._at // 10**9 + self._die.randint(0, 2)
        if kind.startswith("price"):
            start, end, step = self._die.choice((("0.01", "0.99", "0.01"), ("0", "1", "0.05")))
            if start == "0":
                body["price_ranges"] = [{"start": start, "end": end, "step": step}]
            else:
                body["price_ranges"] = [{"start": "0", "end": "1", "step": "0.01"}]
        self._frame("market_lifecycle_v2", 3, market_ticker=self._ticker(), event_type=kind, **body)

    def _answer(self) -> None:
        tickers = list(self._markets)
        told = self._die.choice(
            (
                {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}},
                {"type": "ok", "id": 2, "sid": 1, "msg": {"market_tickers": tickers}},
                {"type": "error", "id": 3, "msg": {"code": 26, "msg": "too many"}},
            )
        )
        self._take(Kind.FRAME, json.dumps(told).encode())

    def _broken(self) -> None:
        self._take(Kind.FRAME, self._die.choice(BROKEN))

    # --- notes -------------------------------------------------------------------------------

    def _session_id(self) -> str:
        self._sessions += 1
        return f"session-{self._sessions}"

    def _listed(self, tickers: tuple[str, ...]) -> list[Market]:
        return [
            Market(ticker, "E", f"market {ticker}", grid=self._die.choice(GRIDS))
            for ticker in tickers
        ]

    def _connect(self) -> None:
        self._markets = tuple(sorted(self._die.sample(TICKERS, self._die.randint(1, 4))))
        self._asked = set(self._markets)
        self._seqs = {}
        self._is_connected = True
        self._note(
            Connected(
                session_id=self._session_id(),
                origin="collector",
                environment="local",
                traded=False,
                markets=listed(self._listed(self._markets)),
            )
        )
        self._ask()

    def _ask(self) -> None:
        self._note(Asked(command_id=1, tickers=list(self._markets)))

    def _join(self) -> None:
        joining = tuple(sorted(set(TICKERS) - set(self._markets)))[:1]
        self._markets = (*self._markets, *joining)
        self._asked |= set(joining)
        self._note(Joined(markets=listed(self._listed(joining))))

    def _release(self) -> None:
        leaving, self._markets = self._markets[:1], self._markets[1:]
        self._note(Released(tickers=list(leaving), reason="settled"))

    def _rotate(self) -> None:
        self._note(Rotated(session_id=self._session_id()))

    def _disconnect(self) -> None:
        self._is_connected = False
        self._note(Disconnected(reason="the line was cut"))

    def _restart(self) -> None:
        self._is_connected = False
        self._note(Restarted())

    def _rest_book(self) -> None:
        self._note(RestBook(ticker="A", bids=[(4_000, 100)], asks=[(6_000, 200)]))

    def _audit(self) -> None:
        self._note(Audited(ticker="A", verdict="agrees", tries=1, took=5, age=None))

    def _account(self) -> None:
        values = tuple(range(len(ACCOUNT_COLUMNS)))
        change = AccountChange(self._die.randrange(9), 1, 2, self._ticker(), self._at, values)
        self._note(Accounted(changes=[change, change._replace(change_no=2)]))

    def _checkpoint(self) -> None:
        self._take(Kind.CHECKPOINT, b"")


def walk(seed: int, steps: int) -> list[Record]:
    """Give the records of a walk, which begins with a connection."""
    path = RecorderWalk(seed)
    path._connect()
    for _ in range(steps):
        path.step()
    return path.records
