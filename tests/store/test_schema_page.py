"""docs/schema.md: it names all there is, and its queries run."""

import re
from pathlib import Path

import pytest
from book_frames import delta, snapshot, subscribed, trade

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "schema.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


async def test_every_table_and_column_is_named_in_its_section(store):
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name !~ '_[0-9]{8}$'"
        )
    words = set(re.findall(r"\w+", PAGE))

    assert {row["table_name"] for row in found} <= words
    assert {row["column_name"] for row in found} <= words


async def test_every_function_of_ours_is_named(store):
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
            " WHERE nspname = 'public' AND proname LIKE 'rl\\_%' AND prorettype <> 'trigger'::regtype"
        )

    assert {row["proname"] for row in found} <= set(re.findall(r"\w+", PAGE))


@pytest.mark.parametrize("query", QUERIES)
async def test_its_queries_run_on_a_recording(store, record, query):
    recording = record("A", "B")
    recording.take_all(
        [subscribed(), snapshot(1), delta(2), delta(5), snapshot(6), trade(1), snapshot(7, "B")]
    )
    await recording.writer.close("done", recording.books)

    async with store.connection() as connection:
        rows = await connection.fetch(query)

    assert rows or "rl_market_listings" in query  # nothing was listed in it
