"""The schema: made from nothing, known to the programs, refused where it is another one."""

import asyncio

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
}


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
