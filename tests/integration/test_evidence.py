"""The judge is judged: a sound recording is proven, and each planted fault is found."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from evidence import judge, problems_of

from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import AnyNote, Connected, Disconnected, Rotated, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store.batch import Batch
from kalshiflow.store.closing import certify_session
from kalshiflow.store.database import Store
from kalshiflow.store.ingest import commit_batch
from kalshiflow.venue.log import VenueLog

pytestmark = pytest.mark.integration

SECOND = 10**9
START = 1_795_000_000 * SECOND
MARKETS = [Market(ticker, "EVENT", ticker) for ticker in ("A", "B")]


class Exchange:
    """Writes what a venue would send on one connection after another."""

    def __init__(self) -> None:
        self._seqs: Iterator[int] = itertools.count(1)

    def connect(self) -> list[str]:
        self._seqs = itertools.count(1)
        body = {"channel": "orderbook_delta", "sid": 1}
        return [json.dumps({"type": "subscribed", "id": 1, "msg": body}), *self.books()]

    def books(self) -> list[str]:
        return [self._book(market.ticker) for market in MARKETS]

    def changes(self, count: int) -> list[str]:
        return [self._change("AB"[number % 2], number) for number in range(count)]

    def trade(self) -> str:
        body = {
            "market_ticker": "A",
            "trade_id": "t",
            "yes_price_dollars": "0.4000",
            "count_fp": "3.00",
            "taker_book_side": "ask",
            "ts_ms": START // 10**6,
        }
        return json.dumps({"type": "trade", "sid": 2, "seq": 1, "msg": body})

    def nonsense(self) -> list[str]:
        """Give frames that no book can take, and then the books anew."""
        change = self._change("B", 5)
        return [change.replace('"6.25"', '"-99999.00"'), "{no json", *self.books()]

    def _book(self, ticker: str) -> str:
        body = {
            "market_ticker": ticker,
            "yes_dollars_fp": [["0.3000", "5.00"], ["0.4000", "100.00"]],
            "no_dollars_fp": [["0.6000", "100.00"]],
        }
        return self._numbered("orderbook_snapshot", body)

    def _change(self, ticker: str, number: int) -> str:
        body = {
            "market_ticker": ticker,
            "price_dollars": f"0.{1 + number % 39:02d}00",
            "delta_fp": f"{1 + number}.25",
            "side": "yes",
            "ts": "2026-11-18T10:00:00.123456Z",
        }
        return self._numbered("orderbook_delta", body)

    def _numbered(self, kind: str, body: dict) -> str:
        return json.dumps({"type": kind, "sid": 1, "seq": next(self._seqs), "msg": body})


class Scene:
    """A venue's log, and a recorder's rows of the same traffic."""

    def __init__(self, log: Path, url: str) -> None:
        self.path, self.url = log, url
        self.exchange = Exchange()
        self.batch = Batch()
        self._recorder = Recorder(self.batch)
        self._at = START
        self._log = VenueLog(log, wall_ns=lambda: self._at)
        self._line = 0
        self._positions = itertools.count(1)

    def connect(self) -> None:
        self._line += 1
        self._note(
            Connected(
                session_id=f"session-{self._line}",
                origin="collector",
                environment="local",
                traded=False,
                markets=listed(MARKETS),
            )
        )
        self._tell("command", '{"id":1,"cmd":"subscribe"}')

    def sends(self, texts: list[str]) -> None:
        """Send frames, all of which arrive."""
        for text in texts:
            self._tell("frame", text)
            self._recorder.frame(next(self._positions), self._at, text.encode())

    def sends_in_vain(self, texts: list[str]) -> None:
        """Send frames, none of which arrives."""
        for text in texts:
            self._tell("frame", text)

    def drops(self, texts: list[str]) -> None:
        """Keep frames back for good."""
        for text in texts:
            self._tell("fault", text, fault="drop every=9")

    def rotate(self) -> None:
        self._note(Rotated(session_id=f"session-{self._line}-b"))

    def disconnect(self) -> None:
        self._note(Disconnected(reason="the line broke"))

    async def store(self) -> None:
        """Commit all rows and draw the certificates."""
        self._log.close()
        self.batch.position = self._recorder.position
        sessions = list(self.batch.parts)
        async with await Store.open(self.url) as store:
            await commit_batch(store, "spool", self.batch, None)
            for session_id in sessions:
                await certify_session(store, session_id)

    def _note(self, note: AnyNote) -> None:
        self._at += SECOND
        self._recorder.note(next(self._positions), self._at, note)

    def _tell(self, kind: str, text: str, **more: str) -> None:
        self._at += 1000
        self._log.note(kind, {"session": self._line, "key_id": "key", "text": text, **more})


Play = Callable[[Scene], None]


def sound(scene: Scene) -> None:
    """Two connections with a rotation, a lost frame, a fresh book and an outage."""
    exchange = scene.exchange
    scene.connect()
    scene.sends([*exchange.connect(), *exchange.changes(20), exchange.trade()])
    scene.sends(exchange.nonsense())
    scene.drops(exchange.changes(1))
    scene.sends([*exchange.changes(3), *exchange.books(), *exchange.changes(20)])
    scene.rotate()
    scene.sends(exchange.changes(20))
    scene.sends_in_vain(exchange.changes(7))
    scene.disconnect()
    scene.connect()
    scene.sends([*exchange.connect(), *exchange.changes(20)])
    scene.disconnect()


@pytest.fixture
def scene(tmp_path: Path, postgres_url: str) -> Scene:
    return Scene(tmp_path / "venue.jsonl", postgres_url)


async def test_a_sound_recording_is_proven(scene: Scene) -> None:
    sound(scene)
    await scene.store()

    found = await judge([scene.path], scene.url)

    assert found.problems == []
    assert (found.sessions, found.seams) == (3, 1)
    assert (found.sent, found.stored) == (103, 96)
    assert (found.in_gaps, found.in_outages, found.unfinished) == (1, 7, 0)
    assert found.refused == 2


async def test_what_was_sent_at_the_very_end_is_counted_as_unfinished(scene: Scene) -> None:
    sound(scene)
    scene.sends_in_vain(scene.exchange.changes(5))
    await scene.store()

    found = await judge([scene.path], scene.url)

    assert (found.problems, found.unfinished) == ([], 5)


async def test_a_connection_without_a_book_lies_in_the_outage(scene: Scene) -> None:
    exchange = scene.exchange
    scene.connect()
    scene.sends([*exchange.connect(), *exchange.changes(5)])
    scene.disconnect()
    scene.connect()
    scene.sends_in_vain(exchange.connect())
    scene.disconnect()
    scene.connect()
    scene.sends([*exchange.connect(), *exchange.changes(5)])
    scene.disconnect()
    await scene.store()

    found = await judge([scene.path], scene.url)

    assert (found.problems, found.in_outages) == ([], 3)


DELTAS = "UPDATE rl_orderbook_deltas SET"
AT = "WHERE session_id = 'session-1' AND frame_no ="


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (f"DELETE FROM rl_orderbook_deltas {AT} 9", "stands where frame 9 must stand"),
        ("DELETE FROM rl_orderbook_deltas WHERE session_id = 'session-2'", "its certificate"),
        (
            f"INSERT INTO rl_orderbook_deltas SELECT * FROM rl_orderbook_deltas {AT} 9",
            "stands where frame 10 must stand",
        ),
        (f"{DELTAS} frame_no = 19 - frame_no {AT} ANY ('{{9,10}}')", "frame 9 says"),
        (f"{DELTAS} change = change + 1 {AT} 9", "frame 9 says"),
        (f"{DELTAS} price = price + 100 {AT} 9", "frame 9 says"),
        (f"{DELTAS} exchange_ts = exchange_ts + 1 {AT} 9", "frame 9 says"),
        (f"{DELTAS} seq = seq + 1 {AT} 9", "frame 9 says"),
        (f"{DELTAS} ticker = 'B' {AT} 6", "frame 6 says"),
        (f"{DELTAS} received_at = received_at - 90000 {AT} 9", "before the frame before it"),
        ("UPDATE rl_public_trades SET quantity = 1", "says ('trade'"),
        ("UPDATE rl_feed_gaps SET raw = '{}' WHERE kind = 'bad_frame'", "says ('refused'"),
        ("UPDATE rl_feed_frames SET raw = 'something else'", "says ('other'"),
        ("DELETE FROM rl_feed_gaps WHERE kind = 'missing'", "must have the gap"),
        ("UPDATE rl_feed_gaps SET expected = expected - 1 WHERE kind = 'missing'", "the gap"),
        ("DELETE FROM rl_feed_gaps WHERE kind = 'outage'", "tells of 0 outages"),
        (
            "UPDATE rl_feed_gaps SET started_at = started_at + 1 WHERE kind = 'outage'",
            "the outage of session session-2 lasted from",
        ),
        (
            "UPDATE rl_orderbook_snapshots SET bid_quantities[1] = 7 WHERE source = 'seam'",
            "the seam book of A",
        ),
        (
            "UPDATE rl_orderbook_sessions SET follows = NULL WHERE follows IS NOT NULL",
            "no connection is left|was sent",
        ),
        (
            "UPDATE rl_orderbook_sessions SET certificate = certificate || '{\"deltas\": 1}'",
            "differs in deltas",
        ),
        (
            "UPDATE rl_orderbook_sessions SET books_sha256 = 'other'",
            "its recorder had other",
        ),
        ("UPDATE rl_orderbook_sessions SET status = 'active', close_seq = NULL", "is active"),
    ],
)
async def test_a_planted_fault_is_found(scene: Scene, plant: str, found: str) -> None:
    sound(scene)
    await scene.store()
    connection = psycopg2.connect(scene.url)
    with connection, connection.cursor() as cursor:
        cursor.execute(plant)
        assert cursor.rowcount > 0
    connection.close()

    problems = await problems_of([scene.path], scene.url)

    assert problems
    assert any(one in problem for one in found.split("|") for problem in problems), problems


async def test_a_frame_that_nobody_sent_is_found(scene: Scene) -> None:
    sound(scene)
    await scene.store()
    lines = scene.path.read_text().splitlines()
    frames = [number for number, line in enumerate(lines) if '"kind":"frame"' in line]
    del lines[frames[12]]
    scene.path.write_text("\n".join(lines) + "\n")

    problems = await problems_of([scene.path], scene.url)

    assert any("frame 13 says" in problem for problem in problems)


async def test_a_whole_connection_that_was_recorded_twice_is_found(scene: Scene) -> None:
    sound(scene)
    scene.connect()
    recorded = [json.loads(line) for line in scene.path.read_text().splitlines() if line]
    assert recorded == []  # nothing is flushed yet: the frames below are of no log
    scene._recorder.frame(next(scene._positions), scene._at, scene.exchange.connect()[1].encode())
    scene.disconnect()
    await scene.store()

    problems = await problems_of([scene.path], scene.url)

    assert problems
