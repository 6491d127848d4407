"""Reads a trader's sessions and has their decisions made again: rows, Parquet, machine code."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kalshiflow.learning.episodes.builder import EpisodeBuilder
from kalshiflow.learning.episodes.files import iter_segments, read_accounts
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.parity.remaking import Remade, Remaker
from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import Market, PriceGrid
from kalshiflow.market.units import CONTRACT, Cash, Quantity, cash_from_cents
from kalshiflow.store.bulk import read_columns
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreError
from kalshiflow.store.outline import Outline, read_outline
from kalshiflow.store.recorded import get_session
from kalshiflow.store.replay import BOOK_CHANNEL, Gap
from kalshiflow.store.trading import (
    Decision,
    Run,
    decisions_of_run,
    decisions_of_session,
    get_run,
)

MEMORY_MB = 256
BUDGET, ORDER_CONTRACTS = "RL_ACTOR_MARKET_BUDGET", "RL_ACTOR_ORDER_CONTRACTS"


class NotRemakeable(StoreError):
    """A session whose decisions cannot be made again, and why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that a run acted on."""

    budget: Cash
    order_quantity: Quantity


async def remake(store: Store, session_id: str, *, memory_mb: int = MEMORY_MB) -> Remade:
    """Make the decisions of a session of the trader's own tape again.

    The sessions that it goes on from are read too. Raises `NotRecorded` for an unknown session and
    `NotRemakeable` for one that is no such tape.
    """
    chain = await _chain(store, session_id)
    decisions = {session_id: await decisions_of_session(store, session_id)}
    return (await _remake(store, chain, decisions, memory_mb))[session_id]


async def remake_run(store: Store, run_id: UUID, *, memory_mb: int = MEMORY_MB) -> Remade:
    """Make all decisions of a run again; those that are on no tape are not among the equal ones."""
    made = Remade()
    sessions: dict[str, list[Decision]] = {}
    for decision in await decisions_of_run(store, run_id, limit=10**9):
        made.decisions += 1
        if decision.session_id is None:
            made.tell(f"decision {decision.decision_no}: no tape was running")
        else:
            sessions.setdefault(decision.session_id, []).append(decision)
    while sessions:
        chain = await _chain(store, next(reversed(sessions)))  # what others go on from comes along
        mine = {one: sessions.pop(one) for one in chain if one in sessions}
        for found in (await _remake(store, chain, mine, memory_mb)).values():
            made.equal += found.equal
            for difference in found.differences:
                made.tell(difference)
    return made


async def _remake(
    store: Store, chain: Sequence[str], decisions: Mapping[str, list[Decision]], memory_mb: int
) -> dict[str, Remade]:
    """Make the decisions of some sessions again, of a chain of which each goes on from another."""
    if not any(decisions.values()):
        return {one: Remade() for one in decisions}
    some = next(filter(None, decisions.values()))
    remaker = Remaker(terms_of(await get_run(store, some[0].run_id)))
    made = {}
    with tempfile.TemporaryDirectory(prefix="kalshiflow-parity-") as folder:
        for place, one in enumerate(chain):
            outline = as_lived(await read_outline(store, one))
            path = Path(folder) / f"{place}.parquet"
            await write_tape(store, outline, path, memory_mb)
            made[one] = await asyncio.to_thread(
                _take, remaker, outline, path, decisions.get(one, ())
            )
            path.unlink()
    return {one: made[one] for one in decisions}


async def write_tape(store: Store, outline: Outline, path: Path, memory_mb: int) -> None:
    """Write all segments of a session, with the account among their events, to a Parquet file."""
    session_id = outline.session.session_id
    with tempfile.TemporaryDirectory(prefix=".cutting-", dir=path.parent) as folder:
        builder = EpisodeBuilder(outline, Path(folder), memory_mb // 2, every=True)
        await read_columns(
            store, session_id, outline.tickers, builder.take, memory_mb=memory_mb // 2
        )
        await asyncio.to_thread(builder.write, path)


def terms_of(run: Run) -> Terms:
    """Give the terms of a run; raises `NotRemakeable` where its observations were not of frames
    alone, or its terms are not known.
    """
    if run.orders_to == "simulated":
        raise NotRemakeable(
            f"the orders of run {run.run_id} were simulated, and no frame tells what became of them"
        )
    try:
        budget, contracts = int(run.settings[BUDGET]), int(run.settings[ORDER_CONTRACTS])
    except KeyError as missing:
        raise NotRemakeable(f"run {run.run_id} does not tell its {missing}") from missing
    return Terms(cash_from_cents(budget), Quantity(contracts * CONTRACT))


def as_lived(outline: Outline) -> Outline:
    """Give a session's outline with the gaps as the trader took them.

    It waits for a fresh book after anything that was missed, and after another price grid.
    """
    gaps = [replace(gap, channel=BOOK_CHANNEL) for gap in outline.gaps if gap.kind != "outage"]
    return replace(outline, gaps=[*gaps, *_regridded(outline.begun, outline.life)])


def _regridded(begun: dict[str, Market], life: Sequence[MarketStatusChanged]) -> list[Gap]:
    grids: dict[str, PriceGrid] = {ticker: market.grid for ticker, market in begun.items()}
    gaps = []
    for event in life:
        if event.grid is not None and grids.get(event.ticker, event.grid) != event.grid:
            grids[event.ticker] = event.grid
            stamp = event.stamp
            reason = "it has another price grid"
            gaps.append(Gap(stamp.frame_no, "grid", (event.ticker,), reason, stamp.received_at))
    return gaps


async def _chain(store: Store, session_id: str) -> list[str]:
    """Give a session after those that it goes on from."""
    chain: list[str] = []
    following: str | None = session_id
    while following is not None:
        session = await get_session(store, following)
        if session.origin != "trader":
            raise NotRemakeable(
                f"session {following} is of the {session.origin}, not a trader's tape"
            )
        if session.verdict == "pruned":
            raise NotRemakeable(f"rows of session {following} were removed")
        chain.append(following)
        following = session.follows
    return chain[::-1]


def _take(remaker: Remaker, outline: Outline, path: Path, decisions: Sequence[Decision]) -> Remade:
    accounts: NDArray[np.int64] = read_accounts(path)
    segments: list[Segment] = list(iter_segments(path))
    return remaker.take(outline, segments, accounts, decisions)
