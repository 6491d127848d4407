"""Days that are made ahead and removed, and what an older recorder left open."""

from datetime import UTC, date, datetime

import pytest

from kalshiflow.store.database import Store
from streaming.health import SECOND
from streaming.housekeeping import Housekeeping, first_kept_day

MIDDAY = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(("days", "first"), [(1, 20), (7, 14), (20, 1)])
def test_the_last_days_are_kept_today_among_them(days, first):
    assert first_kept_day(MIDDAY, days) == date(2026, 11, first)


@pytest.mark.integration
async def test_days_are_made_ahead_and_those_beyond_retention_removed(postgres_url):
    async with await Store.open(postgres_url) as store:
        async with store.connection() as connection:
            await connection.fetchval("SELECT rl_make_days($1, $1)", SECOND)
        house = Housekeeping(
            store, environment="local", shard="main", retention_days=1, clock=lambda: MIDDAY
        )
        await house.keep_days()
        async with store.connection() as connection:
            days = await connection.fetch(
                "SELECT DISTINCT right(inhrelid::regclass::text, 8) AS day FROM pg_inherits"
                " WHERE inhparent = 'rl_orderbook_deltas'::regclass"
            )
    names = sorted(row["day"] for row in days)
    assert "19700101" not in names
    assert f"{datetime.now(UTC):%Y%m%d}" in names
    assert len(names) == 8
