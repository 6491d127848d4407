"""Exported sessions: whole, in units that the files name, in the range that was asked for."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from book_frames import delta, regridded, snapshot, subscribed, trade

from kalshiflow.store.columns import TABLES
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.export import ExportRefused, export_session
from kalshiflow.store.moments import NotAnInstant
from kalshiflow.store.parquet import ROWS_IN_GROUP
from kalshiflow.store.read import get_session

pytestmark = pytest.mark.integration

BEGAN = 1_795_000_000_000_000_000
MILLISECOND = 10**6


@pytest.fixture
async def session_id(record):
    recording = record("A", "B")
    recording.take_all(
        [
            subscribed(),
            snapshot(1),
            snapshot(2, "B"),
            delta(3),
            trade(1),
            regridded(1, "0.01"),
            b"no frame at all",
            snapshot(4),
            delta(5),
        ]
    )
    await recording.writer.close("done", recording.books)
    return recording.session.session_id


def rows_of(folder, name):
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


async def test_every_row_of_a_session_is_in_its_files(store, session_id, tmp_path):
    done = await export_session(store, session_id, tmp_path)

    assert done.folder == tmp_path / session_id
    assert {path.name for path in done.folder.iterdir()} == {
        *(f"{name}.parquet" for name in TABLES),
        "session.json",
    }
    assert done.rows == {
        "deltas": 2,
        "snapshots": 3,
        "trades": 1,
        "lifecycle": 1,
        "frames": 1,
        "gaps": 1,
        "listings": 0,
        "audits": 0,
        "accounts": 0,
    }
    async with store.connection() as connection:
        for name, count in done.rows.items():
            found = rows_of(done.folder, name)
            assert len(found) == count
            names = [column.name for column in TABLES[name].columns]
            stored = await connection.fetch(
                f"SELECT {', '.join(names)} FROM {TABLES[name].table} ORDER BY frame_no"
            )
            for exported, row in zip(found, stored, strict=True):
                grid = (
                    {} if exported.get("grid") is None else {"grid": json.loads(exported["grid"])}
                )
                assert exported | grid == dict(row)


async def test_files_name_the_units_of_their_integers(store, session_id, tmp_path):
    done = await export_session(store, session_id, tmp_path)

    schema = pq.read_schema(done.folder / "deltas.parquet")
    units = json.loads(schema.metadata[b"units"])
    assert schema.metadata[b"session_id"].decode() == session_id
    assert units["price"] == "1/10000 dollar, on the YES scale"
    assert schema.field("received_at").metadata[b"unit"] == b"nanoseconds since 1970, UTC"
    assert str(schema.field("price").type) == "int32"


async def test_the_folder_tells_of_the_session_and_its_certificate(store, session_id, tmp_path):
    done = await export_session(store, session_id, tmp_path)

    about = json.loads((done.folder / "session.json").read_text())
    session = await get_session(store, session_id)
    assert about["certificate"] == session.certificate
    assert about["markets"] == ["A", "B"]
    assert about["grids"]["A"] == [[0, 10_000, 100]]
    assert about["exported"] == {"from": None, "until": None, "rows": done.rows}


async def test_a_range_has_its_start_and_not_its_end_and_the_books_it_opens_with(
    store, session_id, tmp_path
):
    start, end = (
        datetime.fromtimestamp(BEGAN // 10**9, UTC).replace(microsecond=at * 1000) for at in (4, 8)
    )
    done = await export_session(store, session_id, tmp_path, start=start, end=end)

    assert [row["frame_no"] for row in rows_of(done.folder, "trades")] == [5]
    assert [row["frame_no"] for row in rows_of(done.folder, "deltas")] == []
    assert [row["frame_no"] for row in rows_of(done.folder, "snapshots")] == [8]
    assert [row["frame_no"] for row in rows_of(done.folder, "gaps")] == [7]
    opening = {row["ticker"]: row for row in rows_of(done.folder, "opening")}
    assert opening["A"]["bid_quantities"] == [1100]
    assert opening["B"]["bid_quantities"] == [1000]
    assert opening["A"]["frame_no"] == 4
    about = json.loads((done.folder / "session.json").read_text())
    assert about["exported"]["from"] == "2026-11-18T11:06:40.004Z"


async def test_only_the_asked_tables_are_written(store, session_id, tmp_path):
    done = await export_session(store, session_id, tmp_path, tables=["trades", "gaps"])

    assert set(done.rows) == {"trades", "gaps"}
    with pytest.raises(ExportRefused, match="quotes cannot be exported; there are deltas"):
        await export_session(store, session_id, tmp_path, tables=["quotes"])


async def test_nothing_is_overwritten_and_nothing_half_done_is_left(store, session_id, tmp_path):
    (tmp_path / session_id).mkdir()
    with pytest.raises(ExportRefused, match="is there already"):
        await export_session(store, session_id, tmp_path)
    with pytest.raises(NotRecorded):
        await export_session(store, "nothing", tmp_path)
    with pytest.raises(NotAnInstant):
        await export_session(store, session_id, tmp_path / "new", start=datetime(2026, 11, 20))

    assert [path.name for path in tmp_path.rglob("*")] == [session_id]


async def test_a_long_table_is_written_in_row_groups(store, record, tmp_path):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    await recording.writer.close("done", recording.books)
    session_id = recording.session.session_id
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO rl_orderbook_deltas (frame_no, received_at, market_time, change, price,"
            " side, time_source, session_id, ticker)"
            " SELECT n, $2::bigint + n, 0, 1, 4000, 0, 0, $1, 'A' FROM generate_series(3, 90000) n",
            session_id,
            BEGAN,
        )
        await connection.execute(
            "UPDATE rl_orderbook_sessions SET frames = 90000, last_row_at = $1", BEGAN + 90_000
        )

    done = await export_session(store, session_id, tmp_path, tables=["deltas"])

    file = pq.ParquetFile(done.folder / "deltas.parquet")
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [ROWS_IN_GROUP, 89_998 - ROWS_IN_GROUP]
    assert file.read(["frame_no"])["frame_no"].to_pylist() == list(range(3, 90_001))


async def test_pandas_is_not_loaded_for_it(store, session_id, postgres_url, tmp_path):
    program = (
        "import sys; from pathlib import Path; from kalshiflow.store import database, export;"
        f"work = lambda store: export.export_session(store, {session_id!r}, Path({str(tmp_path)!r}));"
        f"database.run({postgres_url!r}, work); assert 'pandas' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True)

    assert (tmp_path / session_id).is_dir()
