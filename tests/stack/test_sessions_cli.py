"""`kalshiflow sessions …` as a person meets it, against real sessions in a real database."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from book_frames import delta, snapshot, subscribed, trade
from session_writer import NewSession, SessionWriter

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.store.database import Store

pytestmark = pytest.mark.integration

BEGAN = 1_795_000_000_000_000_000
SECOND = 10**9
WHOLE, TORN = "20261118T110640Z-000001", "20261118T110740Z-000002"


@dataclass
class Run:
    """What a command answered."""

    code: int
    out: str
    error: str


async def record(store, session_id, began, frames, grids=None):
    """Write and close a session of market A, a frame a second."""
    grids = grids or {"A": CENT_GRID}
    session = NewSession(session_id, "collector", "local", False, began, grids)
    feed, books, writer = Feed(), Books(), SessionWriter(store, session)
    for place, frame in enumerate(frames):
        raw = json.dumps(frame).encode()
        received = feed.receive(raw, began + place * SECOND)
        if received.gap is not None:
            books.mark_stale("A")
        if hasattr(received.event, "bids") or hasattr(received.event, "change"):
            books.apply(received.event)
        writer.add(received, raw)
    await writer.close("done", books)


@pytest.fixture
def recorded(postgres_url):
    async def two_sessions():
        async with await Store.open(postgres_url) as store:
            await record(store, WHOLE, BEGAN, [subscribed(), snapshot(1), delta(2), trade(1)])
            later = [subscribed(), snapshot(1), delta(2), delta(5), snapshot(6)]
            await record(store, TORN, BEGAN + 60 * SECOND, later)

    asyncio.run(two_sessions())
    return postgres_url


@pytest.fixture
def sessions(recorded, tmp_path):
    def run(*arguments):
        kept = {name: text for name, text in os.environ.items() if not name.startswith("RL_")}
        own = {"RL_STATE_DIR": str(tmp_path / "state"), "RL_ENV_FILE": str(tmp_path / "env")}
        done = subprocess.run(
            [Path(sys.executable).with_name("kalshiflow"), "sessions", *map(str, arguments)],
            env={**kept, **own, "COLUMNS": "60", "DATABASE_URL": recorded},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


def execute(url, statement):
    async def run():
        async with await Store.open(url) as store, store.connection() as connection:
            await connection.execute(statement)

    asyncio.run(run())


def test_the_list_shows_the_newest_first_and_takes_conditions(sessions):
    everything = sessions("list")
    later = sessions("list", "--from", "2026-11-18T11:07:00Z", "--json")
    whole = sessions("list", "--verdict", "ok", "--market", "A", "--json")

    assert everything.out.index(TORN) < everything.out.index(WHOLE)  # whole ids, however narrow
    assert [row["session_id"] for row in json.loads(later.out)] == [TORN]
    assert [row["session_id"] for row in json.loads(whole.out)] == [WHOLE]
    assert json.loads(whole.out)[0]["started_at"] == BEGAN
    assert sessions("list", "--market", "Z").out == "No session is recorded that would match.\n"


def test_a_session_is_told_in_words_and_its_certificate_as_json(sessions):
    told = sessions("show", TORN)
    as_json = json.loads(sessions("show", TORN, "--json").out)

    assert told.code == 0
    assert f"{TORN}: closed, verdict gaps (sid 1 (orderbook_delta) misses 3 to 4)" in told.out
    assert "frames: 5, numbered 1 to 5, each once" in told.out
    assert "gaps: 1 in the sequence (2 frames never came)" in told.out
    assert "the slowest mended after 1 s" in told.out
    assert as_json["certificate"]["missing_frames"] == 2
    assert as_json["gaps"][0]["expected"] == 3


def test_sessions_that_are_as_they_were_told_are_verified(sessions):
    every = sessions("verify", "--all")

    assert every.code == 0
    assert every.out.count(": ok (") == 2


def test_a_changed_row_fails_the_verification_and_is_named(sessions, recorded):
    execute(recorded, f"DELETE FROM rl_public_trades WHERE session_id = '{WHOLE}'")

    answer = sessions("verify", WHOLE, TORN)

    assert answer.code == 1
    assert f"{WHOLE}: FAILED" in answer.out
    assert "  the certificate says trades 1, the rows say 0\n" in answer.out
    assert f"{TORN}: ok" in answer.out
    assert not json.loads(sessions("verify", WHOLE, "--json").out)[0]["holds"]


def test_sessions_are_exported_each_to_its_folder_and_never_over_it(sessions, tmp_path):
    done = sessions("export", WHOLE, TORN, "--to", tmp_path / "out", "--tables", "deltas,gaps")
    again = sessions("export", WHOLE, "--to", tmp_path / "out")

    assert done.code == 0
    assert f"{tmp_path}/out/{WHOLE}: 1 deltas, 0 gaps\n" in done.out
    assert (tmp_path / "out" / TORN / "deltas.parquet").exists()
    assert again.code == 1
    assert again.error.startswith(f"kalshiflow: {tmp_path}/out/{WHOLE} is there already")


def test_a_book_is_printed_at_a_time_and_at_a_frame(sessions):
    at = sessions("book", "A", "--at", "2026-11-18T11:06:42Z")
    frame = sessions("book", "A", "--session", TORN, "--frame", "2", "--json")
    stale = sessions("book", "A", "--session", TORN, "--frame", "4")

    assert f"A at 2026-11-18T11:06:42Z, from frame 3 of {WHOLE}, 0 ms old" in at.out
    assert "11.00  0.4000" in at.out
    assert json.loads(frame.out)["bids"] == [[4000, 1000]]
    assert stale.code == 1
    assert "A had no book to be trusted at frame 4" in stale.error


def test_pruning_takes_whole_days_and_says_so(sessions):
    done = sessions("prune", "--before", "2026-11-19")

    assert done.code == 0
    assert "removed: 2026-11-18" in done.out
    assert WHOLE in done.out
    assert sessions("verify", "--all").code == 0
    assert "its rows were removed by retention" in sessions("verify", WHOLE).out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("show", "20261118T110640Z-0"),
            f"there is no session 20261118T110640Z-0; the nearest are {WHOLE}",
        ),
        (("list", "--from", "2026-11-18T11:00:00"), "names no time zone"),
        (("book", "A"), "name a time (--at), or a session"),
        (("verify",), "name the sessions to verify, or give --all"),
        (("prune", "--before", "yesterday"), "'yesterday' is no day; write it as 2026-11-20"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(sessions, arguments, told):
    answer = sessions(*arguments)

    assert answer.code == 1
    assert answer.error.startswith("kalshiflow: ")
    assert told in answer.error
    assert len(answer.error.splitlines()) == 1
    assert answer.out == ""
