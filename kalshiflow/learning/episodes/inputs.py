"""The hash of all that a session's episodes are made from."""

import hashlib

import numpy as np

from kalshiflow.store.bulk import Columns, Rows
from kalshiflow.store.outline import Outline

_TABLES = ("changes", "trades", "snapshots")


class Inputs:
    """Hashes a session's outline and its rows, however they are parted."""

    def __init__(self, outline: Outline) -> None:
        told = (
            outline.session.session_id,
            outline.begun,
            outline.listings,
            outline.gaps,
            outline.life,
            sorted(outline.with_trades),
            outline.accounts,
        )
        self._outline = hashlib.sha256(repr(told).encode())
        # A hash for each column: rows side by side would tell where one part ended.
        names = [f"{table}/{name}" for table in _TABLES for name in Rows._fields]
        self._columns = {name: hashlib.sha256() for name in (*names, "bodies")}
        self._bodies = 0

    def add(self, columns: Columns) -> None:
        """Take the next part of the rows."""
        for table in _TABLES:
            rows: Rows = getattr(columns, table)
            if table == "snapshots":
                rows = rows._replace(quantities=rows.quantities + self._bodies)
            for name, column in zip(Rows._fields, rows, strict=True):
                self._columns[f"{table}/{name}"].update(np.ascontiguousarray(column).data)
        self._columns["bodies"].update(columns.bodies.data)
        self._bodies += len(columns.bodies)

    def sha256(self) -> str:
        """Give the hash of what was taken so far."""
        whole = self._outline.copy()
        for name, column in sorted(self._columns.items()):
            whole.update(f"{name} {column.hexdigest()}\n".encode())
        return whole.hexdigest()
