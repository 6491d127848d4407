"""What is told of a session beside its books and trades, as rows that are cut by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kalshiflow.learning.episodes.cutting import BREAK, GAP, GRID
from kalshiflow.learning.episodes.state import ACCOUNTED, HAPPENED, LISTED, MISSED, RANKS, REGRIDDED
from kalshiflow.learning.episodes.terms import JOINED, RELEASED
from kalshiflow.market.events import MarketStatusChanged, TimeSource
from kalshiflow.market.flat import ACCOUNT, CLOSES, STATUS, STATUS_NUMBER
from kalshiflow.market.flatten import value_paid
from kalshiflow.market.listing import PriceGrid
from kalshiflow.store.bulk import WIDTHS, Column, Rows
from kalshiflow.store.outline import Outline

_SOURCES = tuple(TimeSource)


class Keyed(NamedTuple):
    """Rows as `learning.cutting` takes them, in the order of their keys, in columns of `WIDTHS`."""

    keys: Column
    owners: Column
    kinds: Column
    sides: Column
    prices: Column
    quantities: Column
    times: Column
    sources: Column


_Mark = tuple[int, int, int, int, int, int, int, int]


def keyed(rows: Rows) -> Keyed:
    """Give rows with a key for each: what they tell happened in their frames."""
    return Keyed(rows.frames * RANKS + HAPPENED, *rows[1:])


def merged(parts: Sequence[Keyed]) -> Keyed:
    """Give all rows of the parts in the order of their keys."""
    held = [part for part in parts if len(part.keys)]
    if len(held) == 1:
        return held[0]
    columns = Keyed(*map(np.concatenate, zip(*(held or parts), strict=True)))
    order = np.argsort(columns.keys, kind="stable")
    return Keyed(*(column[order] for column in columns))


def between(rows: Keyed, first: int, last: int) -> Keyed:
    """Give the rows of the frames from `first` to `last`."""
    bounds = np.searchsorted(rows.keys, (first * RANKS, (last + 1) * RANKS))
    chosen = slice(*bounds.tolist())
    return Keyed(*(column[chosen] for column in rows))


def marks_of(outline: Outline, owners: Mapping[str, int], grids: Mapping[PriceGrid, int]) -> Keyed:
    """Give an outline's price grids, gaps, life and accounts as rows."""
    table: list[_Mark] = []
    for listing in outline.listings:
        ticker, key = listing.market.ticker, listing.frame_no * RANKS + LISTED
        if listing.reason == JOINED and ticker in owners:
            table.append((key, owners[ticker], GRID, 0, grids[listing.market.grid], 0, 0, 0))
        elif listing.reason == RELEASED and ticker in owners:
            table.append((key, owners[ticker], GAP, 0, 0, 0, 0, 0))
    for gap in outline.gaps:
        kind, key = (GAP if gap.hurts_books else BREAK), gap.frame_no * RANKS + MISSED
        hit = (owners[ticker] for ticker in gap.tickers or owners if ticker in owners)
        table += [(key, owner, kind, 0, 0, 0, 0, 0) for owner in hit]
    table += _life(outline.life, owners, grids)
    for row, change in enumerate(outline.accounts):
        if change.ticker in owners:
            key = change.frame_no * RANKS + ACCOUNTED
            table.append((key, owners[change.ticker], ACCOUNT, 0, row, 0, 0, 0))
    table.sort(key=lambda mark: mark[0])
    columns = zip(*table, strict=True) if table else ((),) * len(WIDTHS)
    return Keyed(*(np.array(c, width) for c, width in zip(columns, WIDTHS, strict=True)))


def _life(
    life: Iterable[MarketStatusChanged],
    owners: Mapping[str, int],
    grids: Mapping[PriceGrid, int],
) -> Iterable[_Mark]:
    for event in life:
        if event.ticker not in owners:
            continue
        owner, frame = owners[event.ticker], event.stamp.frame_no * RANKS
        when = (event.stamp.market_time, _SOURCES.index(event.stamp.time_source))
        if event.grid is not None:
            yield (frame + REGRIDDED, owner, GRID, 0, grids[event.grid], 0, *when)
        if event.status is not None:
            paid = value_paid(event.status, event.result, event.settlement_value)
            number = STATUS_NUMBER[event.status]
            yield (frame + HAPPENED, owner, STATUS, 0, number, paid, *when)
        if event.close_time is not None:
            yield (frame + HAPPENED, owner, CLOSES, 0, 0, event.close_time, *when)
