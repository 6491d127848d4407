"""Rows as a table on Dagster's pages."""

from collections.abc import Mapping, Sequence

import dagster as dg

_TYPES = {bool: "bool", int: "int", float: "float"}


def table(rows: Sequence[Mapping[str, str | int | float]]) -> dg.TableMetadataValue:
    """Make a table whose columns are those of the first row; without rows it has none."""
    columns = [
        dg.TableColumn(name, type=_TYPES.get(type(value), "string"))
        for name, value in (rows[0].items() if rows else ())
    ]
    records = [dg.TableRecord(dict(row)) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
