"""Rows of PostgreSQL's binary COPY as numpy columns, without a step of Python for each row.

Every column is of fixed width and never NULL, so that all rows have the same length.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.store.errors import StoreError

_HEADER = 19  # signature, flags, length of the extension
_TRAILER = 2
_WIDTHS = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "bool": "i1"}


class BinaryRows:
    """Collects what a COPY sends, and gives its columns; `kinds` are their types in order."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        fields = [("fields", ">i2")]
        for place, kind in enumerate(kinds):
            fields += [(f"length_{place}", ">i4"), (f"column_{place}", _WIDTHS[kind])]
        self._row = np.dtype(fields)
        self._count = len(kinds)
        self._received = bytearray()

    async def add(self, part: bytes) -> None:
        """Take the next bytes, wherever they were cut."""
        self._received += part

    def columns(self) -> list[NDArray[Any]]:
        """Give the columns of what was collected, as they lie there: big-endian, with strides."""
        rows, rest = divmod(len(self._received) - _HEADER - _TRAILER, self._row.itemsize)
        if rows < 0 or rest:
            raise StoreError(f"a COPY of {len(self._received)} bytes holds no whole rows")
        table = np.frombuffer(self._received, self._row, rows, _HEADER)
        if not (table["fields"] == self._count).all():
            raise StoreError("a COPY has rows of other columns than were asked for")
        return [table[f"column_{place}"] for place in range(self._count)]
