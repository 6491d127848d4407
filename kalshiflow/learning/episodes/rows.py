"""Events as rows of an Arrow table, and back."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kalshiflow.learning.episodes.segments import Events
from kalshiflow.market.flat import ACCOUNT, ACCOUNT_WIDTH, SNAPSHOT

# As `market.flat` has them, but for a snapshot's index and quantity: its body stands in its row.
SCHEMA = pa.schema(
    [
        pa.field("segment", pa.int32(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("side", pa.int8(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("quantity", pa.int64(), nullable=False),
        pa.field("at", pa.int64(), nullable=False),
        pa.field("frame_no", pa.int64(), nullable=False),
        pa.field("body", pa.list_(pa.field("number", pa.int64(), nullable=False)), nullable=False),
    ]
)
NO_ACCOUNTS = np.zeros((0, ACCOUNT_WIDTH), np.int64)


def to_table(
    segments: NDArray[np.int32], events: Events, accounts: NDArray[np.int64] = NO_ACCOUNTS
) -> pa.Table:
    """Give events, each with the number of its segment, as a table.

    The body of an ACCOUNT event is its row of `accounts`.
    """
    has_body = events.kinds == SNAPSHOT
    sizes = events.indices * has_body
    bodies = events.bodies
    if (events.kinds == ACCOUNT).any():
        sizes, bodies = _with_accounts(events, accounts)
        has_body = has_body | (events.kinds == ACCOUNT)
    offsets = np.zeros(len(events) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    columns = [
        segments,
        events.kinds,
        events.sides,
        np.where(has_body, 0, events.indices).astype(np.int32),
        np.where(has_body, 0, events.quantities),
        events.times,
        events.frames,
    ]
    body = pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(bodies), type=SCHEMA.field("body").type
    )
    return pa.Table.from_arrays([*map(pa.array, columns), body], schema=SCHEMA)


def from_table(
    table: pa.RecordBatch | pa.Table, accounts: int
) -> tuple[NDArray[np.int32], Events, NDArray[np.int64]]:
    """Give what `to_table` was given; the rows of accounts count on from `accounts`."""
    segments, kinds, sides, indices, quantities, times, frames = (
        _numbers(table.column(place)) for place in range(7)
    )
    body = table.column(7)
    if isinstance(body, pa.ChunkedArray):
        body = body.combine_chunks()
    numbers, offsets = _numbers(body.flatten()), _numbers(body.offsets)
    starts, sizes = offsets[:-1] - offsets[0], np.diff(offsets)
    is_account = kinds == ACCOUNT
    told = numbers[:0].reshape(0, ACCOUNT_WIDTH)
    if is_account.any():
        in_account = np.repeat(is_account, sizes)
        told = numbers[in_account].reshape(-1, ACCOUNT_WIDTH)
        indices = np.where(is_account, accounts + np.cumsum(is_account) - 1, indices)
        numbers = numbers[~in_account]
        starts = np.cumsum(sizes * ~is_account) - sizes * ~is_account
    is_book = kinds == SNAPSHOT
    indices = np.where(is_book, sizes, indices).astype(np.int32)
    quantities = np.where(is_book, starts, quantities)
    events = Events(kinds, sides, indices, quantities, times, frames, numbers)
    return segments, events, told


def _with_accounts(
    events: Events, accounts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Give the sizes of all bodies, and the bodies, those of accounts among them."""
    sizes = np.where(events.kinds == SNAPSHOT, events.indices, 0)
    sizes = np.where(events.kinds == ACCOUNT, ACCOUNT_WIDTH, sizes).astype(np.int32)
    is_account = np.repeat(events.kinds == ACCOUNT, sizes)
    bodies = np.empty(int(sizes.sum()), np.int64)
    bodies[~is_account] = events.bodies
    bodies[is_account] = accounts[events.indices[events.kinds == ACCOUNT]].ravel()
    return sizes, bodies


def _numbers(column: Any) -> NDArray[Any]:
    found: NDArray[Any] = column.to_numpy()
    return found
