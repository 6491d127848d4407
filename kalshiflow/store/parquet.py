"""Rows into a Parquet file, in groups of one size, with the units of its columns."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from kalshiflow.store.columns import Column
from kalshiflow.store.rows import Row

ROWS_IN_GROUP = 65_536

_KINDS = {
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "string": pa.string(),
    "json": pa.string(),
    "list<int32>": pa.list_(pa.int32()),
    "list<int64>": pa.list_(pa.int64()),
    "list<string>": pa.list_(pa.string()),
}
_encoder = msgspec.json.Encoder()


class ParquetFile:
    """A Parquet file that takes rows and writes a row group whenever it has enough of them."""

    def __init__(self, path: Path, columns: tuple[Column, ...], session_id: str) -> None:
        self._as_text = [column.name for column in columns if column.kind == "json"]
        self._rows: list[Row] = []
        self._count = 0
        units = {column.name: column.unit for column in columns if column.unit}
        self._schema = pa.schema(
            [
                pa.field(
                    column.name,
                    _KINDS[column.kind],
                    metadata={"unit": column.unit} if column.unit else None,
                )
                for column in columns
            ],
            metadata={"session_id": session_id, "units": json.dumps(units)},
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows, each in the order of the columns."""
        self._rows += rows
        while len(self._rows) >= ROWS_IN_GROUP:
            self._write(self._rows[:ROWS_IN_GROUP])
            del self._rows[:ROWS_IN_GROUP]

    def finish(self) -> int:
        """Write what is left and give the number of all rows."""
        if self._rows:
            self._write(self._rows)
        self._rows = []
        return self._count

    def _write(self, rows: Sequence[Row]) -> None:
        # By way of JSON lines: Arrow reads them by itself, while `pa.array` would load pandas.
        lines = _encoder.encode_lines([self._named(row) for row in rows])
        table = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=self._schema, unexpected_field_behavior="error"
            ),
        )
        self._writer.write_table(table, ROWS_IN_GROUP)
        self._count += len(rows)

    def _named(self, row: Row) -> dict[str, Any]:
        named = dict(zip(self._schema.names, row, strict=True))
        for name in self._as_text:
            if named[name] is not None:
                named[name] = json.dumps(named[name])
        return named
