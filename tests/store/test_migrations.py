"""The schema: made from nothing, known to the programs, refused where it is another one."""

import asyncio

import asyncpg
import pytest

from kalshiflow.store.database import SCHEMA_REVISION, Store
from kalshiflow.store.errors import SchemaUnknown, StoreUnavailable
from kalshiflow.store.migrate import migrate, newest_revision

TABLES = {
    "rl_markets",
    "rl_orderbook_sessions",
    "rl_orderbook_snapshots",
    "rl_orderbook_deltas",
    "rl_public_trades",
    "rl_market_lifecycle",
    "rl_feed_frames",
    "rl_feed_gaps",
    "rl_trading_decisions",
    "rl_trading_orders",
    "rl_trading_fills",
    "rl_trader_commands",
    "rl_promotions",
    "rl_recorder_leases",
    "rl_recorder_epochs",
    "rl_spool_positions",
    "rl_market_listings",
    "rl_book_audits",
    "rl_account_changes",
}
DAY = 86_400_000_000_000
FIRST_ROWS = """
INSERT INTO rl_orderbook_sessions (session_id, origin, environment, traded, status, started_at,
    close_seq, markets, grids, closes, seams, frames, verdict)
    VALUES ('old', 'collector', 'local', false, 'closed', 1, 1, '{{A}}', '{{}}', '{{}}', '{{}}', 5,
        'ok');
INSERT INTO rl_orderbook_snapshots VALUES ('old', 1, 'A', 1, 1, NULL, {day} - 1, 7, 2, 'exchange',
    '{{4000}}', '{{100}}', '{{6000}}', '{{200}}');
INSERT INTO rl_orderbook_deltas
    VALUES (2, {day} - 1, 7, 7, -50, 2, 1, 4000, 0, 0, 'old', 'A', NULL),
           (3, {day}, 8, 8, 50, 3, 1, 4000, 0, 0, 'old', 'A', 'mine');
INSERT INTO rl_public_trades VALUES (4, {day} + 172800000000000, 9, 9, 100, 1, 2, 4000, 1, 0, 'old', 'A', 't');
INSERT INTO rl_feed_frames VALUES ('old', 5, 1, NULL, 'ok', {day} + 172800000000000, 9, 'raw %s');
INSERT INTO rl_feed_gaps
    VALUES ('old', 5, 'bad_frame', 'trade', 2, 2, NULL, NULL, '{{A}}', 'bad', 'raw', 1, NULL);
"""


@pytest.mark.integration
async def test_an_empty_database_gets_every_named_table_and_a_second_run_changes_nothing(
    empty_database,
):
    url = empty_database()

    first = await asyncio.to_thread(migrate, url)
    second = await asyncio.to_thread(migrate, url)

    assert first == second == SCHEMA_REVISION
    async with await Store.open(url) as store, store.connection() as connection:
        found = await connection.fetch("SELECT tablename FROM pg_tables")
    assert {row["tablename"] for row in found} >= TABLES


@pytest.mark.integration
async def test_rows_of_the_first_schema_survive_and_lie_in_their_days(empty_database):
    url = empty_database()
    await asyncio.to_thread(migrate, url, "r0001")
    connection = await asyncpg.connect(url)
    await connection.execute(FIRST_ROWS.format(day=20_000 * DAY))
    before = await rows_of(connection)
    await asyncio.to_thread(migrate, url)
    after = await rows_of(connection)
    days = await connection.fetch(
        "SELECT DISTINCT right(relname, 8) AS day FROM pg_class"
        " WHERE relispartition AND relkind = 'r' ORDER BY day"
    )
    await connection.close()

    assert after == before
    assert [len(found) for found in after] == [2, 1, 1, 0, 1, 1]
    assert [row["day"] for row in days] == ["20241003", "20241004", "20241006"]


async def rows_of(connection) -> list[set]:
    tables = (
        "rl_orderbook_deltas",
        "rl_orderbook_snapshots",
        "rl_public_trades",
        "rl_market_lifecycle",
        "rl_feed_frames",
        "rl_feed_gaps",
    )
    return [
        {tuple(sorted(row.items(), key=str)) for row in await rows_as_text(connection, table)}
        for table in tables
    ]


async def rows_as_text(connection, table):
    return [
        {name: str(value) for name, value in row.items()}
        for row in await connection.fetch(f"SELECT * FROM {table}")
    ]


@pytest.mark.integration
async def test_two_migrations_at_once_wait_for_each_other(empty_database):
    url = empty_database()

    reached = await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(2)))

    assert reached == [SCHEMA_REVISION, SCHEMA_REVISION]


def test_the_revision_that_the_programs_know_is_the_newest_script():
    assert newest_revision() == SCHEMA_REVISION


@pytest.mark.integration
async def test_a_database_without_our_schema_is_refused_in_one_sentence(empty_database):
    with pytest.raises(SchemaUnknown, match="schema is missing.*run `kalshiflow migrate`"):
        await Store.open(empty_database())


@pytest.mark.integration
async def test_a_schema_of_another_version_is_refused(postgres_url):
    async with await Store.open(postgres_url) as store, store.connection() as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'r9999'")

    with pytest.raises(SchemaUnknown, match="r9999, this program knows"):
        await Store.open(postgres_url)


async def test_a_database_that_is_not_there_is_told_without_its_password(free_port):
    with pytest.raises(StoreUnavailable, match="cannot be reached") as refused:
        await Store.open(f"postgresql://app:hidden@127.0.0.1:{free_port}/app")

    assert "hidden" not in str(refused.value)


def test_a_migration_of_a_database_that_is_not_there_says_so(free_port):
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        migrate(f"postgresql://app:hidden@127.0.0.1:{free_port}/app")
