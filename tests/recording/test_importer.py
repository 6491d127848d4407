"""Recordings in files become sessions, whole and once, that say what they cannot prove."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from ingest_stand import WeakStore, standing
from spool_frames import book, connected, delta

from kalshiflow.exchange.capture import CaptureWriter, read_capture
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, Side
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.recording import import_captures as captures
from kalshiflow.recording.archive import read_archive
from kalshiflow.recording.importer import ImportRefused, Wishes, import_captures
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.point import book_at
from kalshiflow.store.read import (
    get_session,
    list_sessions,
    session_events,
    session_gaps,
    session_grids,
)
from kalshiflow.store.replay import Replay

pytestmark = pytest.mark.integration

SESSION = "kalshi-demo-ws-2026-07/session.jsonl"
DAY = "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl"
WISHES = Wishes("paper")
AT = 1_795_000_000_000_000_000


def snapshot(seq: int, ticker: str = "X-1", no: str = "0.5500") -> dict[str, object]:
    body = {
        "market_ticker": ticker,
        "yes_dollars_fp": [["0.4000", "10.00"]],
        "no_dollars_fp": [[no, "10.00"]],
    }
    return {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": body}


def change(
    seq: int, price: str = "0.4000", ticker: str = "X-1", side: str = "yes"
) -> dict[str, object]:
    body = {
        "market_ticker": ticker,
        "price_dollars": price,
        "delta_fp": "1.00",
        "side": side,
        "ts_ms": AT // 1_000_000 + seq,
    }
    return {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}


def subscribed(sid: int = 1) -> dict[str, object]:
    return {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": sid}}


def written(path: Path, *frames: dict[str, object] | str) -> Path:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in frames]
    path.write_text("\n".join(lines))
    return path


async def assert_is_the_file(store: WeakStore, session_id: str, path: Path) -> None:
    """Hold a session against the file, read in the plainest way: its events, and each book."""
    feed = Feed(uses_yes_price=False)
    events = [
        received.event
        for frame in read_capture(path)
        if (received := feed.receive(frame.raw, frame.received_at)).event is not None
    ]
    assert await session_events(store, session_id) == events
    stored = Books(await session_grids(store, session_id))
    replay = Replay(stored, await session_gaps(store, session_id))
    levels: dict[str, Counter[tuple[Side, int]]] = {}
    for event in await session_events(store, session_id):
        replay.apply(event)
        mine = levels.setdefault(event.ticker, Counter())
        follow(mine, event)
        book = stored[event.ticker]
        assert {(side, p): q for side in Side for p, q in book.levels(side)} == mine


def follow(levels: Counter[tuple[Side, int]], event: object) -> None:
    if isinstance(event, BookSnapshot):
        levels.clear()
        levels.update({(Side.BID, price): size for price, size in event.bids})
        levels.update({(Side.ASK, price): size for price, size in event.asks})
    elif isinstance(event, BookDelta):
        levels[event.side, event.price] += event.change
        if not levels[event.side, event.price]:
            del levels[event.side, event.price]


# --- the real ones ---------------------------------------------------------------------------


@pytest.mark.recorded
async def test_the_session_of_2026_is_imported_whole_with_every_book(store, recorded_data: Path):
    path = recorded_data / SESSION
    (imported,) = await import_captures(store, [path], WISHES)
    (certificate,) = imported.certificates

    assert (certificate.frames, certificate.deltas, certificate.snapshots) == (2898, 2885, 5)
    assert (certificate.verdict, certificate.whole, certificate.markets) == ("ok", True, 5)
    assert captures.RECEIVE_TIMES in imported.cannot_know
    assert captures.NO_NUMBERS not in imported.cannot_know
    session = await get_session(store, certificate.session_id)
    assert (session.origin, session.environment, session.traded) == ("import", "paper", True)
    await assert_is_the_file(store, certificate.session_id, path)


@pytest.mark.recorded
async def test_the_day_of_2023_is_imported_whole_with_every_book(store, recorded_data: Path):
    path = recorded_data / DAY
    (imported,) = await import_captures(store, [path], Wishes("production"))
    (certificate,) = imported.certificates

    assert (certificate.frames, certificate.deltas, certificate.snapshots) == (35_907, 35_898, 9)
    assert certificate.verdict == "ok"
    assert captures.NO_NUMBERS in imported.cannot_know
    assert captures.RECEIVE_TIMES not in imported.cannot_know
    await assert_is_the_file(store, certificate.session_id, path)


# --- forms -----------------------------------------------------------------------------------


async def test_our_own_form_says_itself_how_it_was_subscribed(store, tmp_path: Path):
    path = tmp_path / "own.jsonl"
    with CaptureWriter(path, uses_yes_price=True) as writer:
        for seq, raw in enumerate((snapshot(1, no="0.5500"), change(2)), 1):
            writer.write(json.dumps(raw).encode(), AT + seq)
    (imported,) = await import_captures(store, [path], WISHES)

    book = await book_at(store, imported.certificates[0].session_id, "X-1")
    assert book.levels(Side.ASK) == ((5_500, 1_000),)
    assert not any("price scale" in sentence for sentence in imported.cannot_know)
    assert captures.RECEIVE_TIMES not in imported.cannot_know


async def test_a_segment_of_our_own_spool_becomes_a_session_that_stands_alone(
    store, tmp_path: Path
):
    async with standing(store, tmp_path) as stand:
        await stand.take([connected("one"), book("A", 1), *(delta("A", n) for n in range(2, 500))])
        await stand.settle()
    # A thread compresses them: each is in the archive, in the spool's folder, or just now in both.
    files = [*(tmp_path / "archive").glob("*.gz"), *stand.spool.folder.glob("*.spool")]
    by_begin = {next(read_archive(path)).position: path for path in files}
    packed, plain = (segment(by_begin[begin], tmp_path) for begin in sorted(by_begin)[:2])
    packed = tmp_path / f"{packed.name}.gz"
    packed.write_bytes(gzip.compress((tmp_path / packed.stem).read_bytes()))

    first, second = await import_captures(store, [packed, plain], WISHES)

    begun, later = first.certificates[0], second.certificates[0]
    assert (begun.verdict, begun.snapshots, begun.seam_snapshots) == ("ok", 1, 0)
    assert (later.verdict, later.snapshots, later.seam_snapshots) == ("ok", 0, 1)
    assert begun.sequences[0].last + 1 == later.sequences[0].first
    whole = await session_events(store, "one", last_frame=begun.frames + later.frames)
    parts = [
        event
        for part in (begun, later)
        for event in await session_events(store, part.session_id, first_frame=1)
    ]
    assert [(e.ticker, e.stamp.seq) for e in parts] == [(e.ticker, e.stamp.seq) for e in whole]
    assert (await get_session(store, later.session_id)).origin == "import"
    assert (await get_session(store, "one")).status == "active"  # it was not touched


def segment(path: Path, folder: Path) -> Path:
    """Give a copy of a segment, plain."""
    content = path.read_bytes()
    copied = folder / f"{next(read_archive(path)).position:020d}.spool"
    copied.write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
    return copied


async def test_a_recording_of_two_connections_becomes_two_sessions(store, tmp_path: Path):
    path = written(
        tmp_path / "two.jsonl",
        *(subscribed(), snapshot(1), change(2)),
        *(subscribed(), snapshot(1), change(2), change(3)),
    )
    (imported,) = await import_captures(store, [path], WISHES)

    assert [each.frames for each in imported.certificates] == [3, 4]
    assert {each.verdict for each in imported.certificates} == {"ok"}
    second = imported.certificates[1].session_id
    assert [gap.kind for gap in await session_gaps(store, second)] == ["outage"]


async def test_numbers_that_begin_anew_begin_another_session_a_repeated_one_does_not(
    store, tmp_path: Path
):
    path = written(
        *(tmp_path / "anew.jsonl", snapshot(1), snapshot(1), change(2), change(3)),
        *(snapshot(1), change(2)),
    )
    (imported,) = await import_captures(store, [path], WISHES)

    assert [each.frames for each in imported.certificates] == [4, 2]
    assert [each.verdict for each in imported.certificates] == ["gaps", "ok"]


async def test_a_line_that_is_no_frame_is_kept_as_a_bad_frame(store, tmp_path: Path):
    path = written(tmp_path / "odd.jsonl", snapshot(1), "what is this?", '{"a": 1}', change(2))
    (imported,) = await import_captures(store, [path], WISHES)

    (certificate,) = imported.certificates
    gaps = await session_gaps(store, certificate.session_id)
    assert [gap.raw for gap in gaps] == ["what is this?", '{"a": 1}']
    assert (certificate.frames, certificate.bad_frames, certificate.whole) == (4, 2, True)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", '{"type":"trade","msg":{}}', "\x00\x01"])
async def test_a_file_without_a_book_is_refused_with_its_name_and_what_would_do(
    store, tmp_path: Path, content
):
    path = tmp_path / "nothing.jsonl"
    path.write_text(content)

    with pytest.raises(ImportRefused, match=r"nothing\.jsonl"):
        await import_captures(store, [path], WISHES)
    assert await list_sessions(store) == []


# --- what the file does not tell -------------------------------------------------------------


async def test_the_price_scale_is_the_one_on_which_books_make_sense(store, tmp_path: Path):
    """NO at 0.35 beside YES at 0.40 is a cross on the YES scale, NO at 0.65 one on the other."""
    no_scale = written(tmp_path / "no.jsonl", snapshot(1, no="0.3500"), change(2))
    yes_scale = written(tmp_path / "yes.jsonl", snapshot(1, no="0.6500"), change(2))
    first, second = await import_captures(store, [no_scale, yes_scale], WISHES)

    for imported, word in ((first, "NO"), (second, "YES")):
        book = await book_at(store, imported.certificates[0].session_id, "X-1")
        assert book.levels(Side.ASK) == ((6_500, 1_000),)
        told = [sentence for sentence in imported.cannot_know if "price scale" in sentence]
        assert f"{word} prices, with which 0 book frames make no sense" in told[0]


async def test_the_price_scale_can_be_given_by_hand(store, tmp_path: Path):
    path = written(tmp_path / "either.jsonl", snapshot(1, no="0.5500"), change(2))
    wishes = Wishes("paper", no_prices_are_yes=True)
    (imported,) = await import_captures(store, [path], wishes)

    book = await book_at(store, imported.certificates[0].session_id, "X-1")
    assert book.levels(Side.ASK) == ((5_500, 1_000),)


async def test_a_price_between_cents_makes_the_grid_finer(store, tmp_path: Path):
    frames = (snapshot(1), snapshot(2, ticker="Y-1"), change(3, price="0.4010", ticker="Y-1"))
    path = written(tmp_path / "fine.jsonl", *frames)
    (imported,) = await import_captures(store, [path], WISHES)

    grids = await session_grids(store, imported.certificates[0].session_id)
    assert grids["X-1"] == CENT_GRID
    assert grids["Y-1"].bands[0].step == 10
    assert imported.certificates[0].verdict == "ok"


async def test_descriptions_beside_the_file_give_the_markets(store, tmp_path: Path):
    market = {
        "ticker": "X-1",
        "event_ticker": "THE-EVENT",
        "title": "will it?",
        "status": "active",
        "close_time": "2027-01-01T00:00:00Z",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}],
    }
    call = {"url": "/markets", "response_body": json.dumps({"markets": [market, {"odd": 1}]})}
    (tmp_path / "rest.jsonl").write_text(json.dumps(call) + "\nno JSON\n")
    path = written(tmp_path / "told.jsonl", snapshot(1), change(2))
    (imported,) = await import_captures(store, [path], WISHES)

    grids = await session_grids(store, imported.certificates[0].session_id)
    assert grids["X-1"].bands[0].step == 10
    assert captures.NO_LISTINGS not in imported.cannot_know


# --- once ------------------------------------------------------------------------------------


async def test_the_same_file_twice_is_refused_unless_asked_for_again(store, tmp_path: Path):
    path = written(tmp_path / "once.jsonl", snapshot(1), change(2))
    (first,) = await import_captures(store, [path], WISHES)
    copied = written(tmp_path / "copy.jsonl", snapshot(1), change(2))

    with pytest.raises(ImportRefused, match=first.certificates[0].session_id):
        await import_captures(store, [copied], WISHES)
    (again,) = await import_captures(store, [copied], Wishes("paper", again=True))
    assert again.certificates[0].session_id != first.certificates[0].session_id
    assert len(await list_sessions(store)) == 2


@pytest.mark.parametrize("commits", range(1, 6))
async def test_an_import_that_was_broken_off_is_completed_by_the_next(
    store, tmp_path: Path, commits
):
    path = tmp_path / "long.jsonl"
    frames = [snapshot(1), *(change(seq) for seq in range(2, 150)), snapshot(1), change(2)]
    written(path, *frames)
    store.fails_at = store.commits + commits
    with pytest.raises(StoreUnavailable):
        await import_captures(store, [path], WISHES, batch_rows=50)

    store.fails_at = None
    (imported,) = await import_captures(store, [path], WISHES, batch_rows=50)
    assert [(each.frames, each.verdict) for each in imported.certificates] == [
        (149, "ok"),
        (2, "ok"),
    ]
    assert [s.status for s in await list_sessions(store)] == ["closed", "closed"]
