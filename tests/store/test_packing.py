"""Packed deltas are the rows that they stand for, to the last bit and in a real database."""

from batches import unpacked
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import BookDelta, Side, Stamp, TimeSource
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.store import rows
from kalshiflow.store.packing import DELTA_COLUMNS, DeltaPacker, copy_stream, received_at

SESSION = "20261120T143000Z-4f09ac"
BIG = st.integers(0, 2**63 - 1)
MAYBE_BIG = st.none() | BIG
# What PostgreSQL's text and our frames can hold: any character but NUL and lone surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)

stamps = st.builds(
    Stamp, BIG, BIG, BIG, st.sampled_from(TimeSource), MAYBE_BIG, MAYBE_BIG, MAYBE_BIG
)
deltas = st.builds(
    BookDelta,
    TEXTS,
    st.sampled_from(Side),
    st.integers(0, DOLLAR).map(Price),
    st.integers(-(10**15), 10**15).map(Quantity),
    stamps,
    st.none() | TEXTS,
)


def named(event: BookDelta) -> dict[str, object]:
    """Give a delta's row as the plain way of making rows has it."""
    return dict(zip(rows.COLUMNS[rows.DELTAS], rows.delta_row(SESSION, event), strict=True))


def test_a_packed_row_has_all_columns_of_its_table():
    assert sorted(DELTA_COLUMNS) == sorted(rows.COLUMNS[rows.DELTAS])


@given(st.lists(deltas, max_size=5))
def test_a_packed_row_says_what_the_plain_one_says(events):
    packer = DeltaPacker(SESSION)
    assert [unpacked(packer.pack(event)) for event in events] == list(map(named, events))
    received = [received_at(packer.pack(event)) for event in events]
    assert received == [event.stamp.received_at for event in events]


@settings(max_examples=100)
@given(deltas)
def test_a_packed_row_reads_back_as_the_event(event):
    assert rows.delta_of(unpacked(DeltaPacker(SESSION).pack(event))) == event


async def test_postgresql_stores_packed_rows_as_it_stores_plain_ones(store):
    events = examples()
    packer = DeltaPacker(SESSION)
    async with store.connection() as connection:
        for table in ("packed", "plain"):
            await connection.execute(f"CREATE TEMP TABLE {table} (LIKE {rows.DELTAS})")
        status = await connection.copy_to_table(
            "packed",
            columns=DELTA_COLUMNS,
            source=copy_stream(map(packer.pack, events)),
            format="binary",
        )
        await connection.copy_records_to_table(
            "plain",
            columns=rows.COLUMNS[rows.DELTAS],
            records=[rows.delta_row(SESSION, event) for event in events],
        )
        packed, plain = [
            await connection.fetch(f"SELECT * FROM {table} ORDER BY frame_no")  # noqa: S608
            for table in ("packed", "plain")
        ]

    assert status == f"COPY {len(events)}"
    assert packed == plain
    assert [rows.delta_of(record) for record in packed] == events


async def test_no_packed_rows_at_all_are_a_whole_stream_too(store):
    async with store.connection() as connection:
        await connection.execute(f"CREATE TEMP TABLE packed (LIKE {rows.DELTAS})")
        status = await connection.copy_to_table(
            "packed", columns=DELTA_COLUMNS, source=copy_stream([]), format="binary"
        )
    assert status == "COPY 0"


def examples() -> list[BookDelta]:
    """Give deltas with and without each of what may be missing, in both signs and any script."""
    found = []
    for number in range(64):
        stamp = Stamp(
            number,
            2**62 + number,
            2**63 - 1 - number,
            tuple(TimeSource)[number % 3],
            number if number & 1 else None,
            number if number & 2 else None,
            2**53 if number & 4 else None,
        )
        mine = "meine-Order-№7" if number & 8 else None
        change = Quantity(10**15 if number & 16 else -(10**15))
        ticker = "KXÄ-26NOV20" if number & 32 else "KXB-26NOV20-T3.5"
        found.append(BookDelta(ticker, Side(number % 2), Price(number * 100), change, stamp, mine))
    return found
