"""How often another recording of the same time shows the same market: a figure, no promise.

Frames of two connections come in their own orders, and our own orders are nobody's on a recording
that is not the trader's.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.features import FEATURES, Group
from kalshiflow.learning.bulk import Terms, observe_at
from kalshiflow.learning.episodes.files import iter_segments
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.parity.reading import MEMORY_MB, write_tape
from kalshiflow.store.database import Store
from kalshiflow.store.outline import read_outline
from kalshiflow.store.recorded import get_session, list_sessions
from kalshiflow.store.trading import Decision

GROUPS = (Group.MARKET, Group.TEMPORAL)


@dataclass(slots=True)
class Compared:
    """Of so many decisions, how many numbers of each group of features were compared, and equal."""

    decisions: int
    compared: dict[Group, int]
    equal: dict[Group, int]

    def share(self, group: Group) -> float | None:
        """Give the share of a group's numbers that are equal; `None` where none were compared."""
        return self.equal[group] / self.compared[group] if self.compared[group] else None


async def compare_tapes(
    store: Store,
    session_id: str,
    terms: Terms,
    decisions: Sequence[Decision],
    rows: Mapping[int, NDArray[Any]],
) -> Compared:
    """Hold the observations of a trader's session against those that the collector's sessions of
    the same time give at the same market times.
    """
    found = Compared(0, dict.fromkeys(GROUPS, 0), dict.fromkeys(GROUPS, 0))
    tape = await get_session(store, session_id)
    others = await list_sessions(
        store, origins=["collector"], start=tape.started_at, end=tape.ended_at
    )
    with tempfile.TemporaryDirectory(prefix="kalshiflow-compared-") as folder:
        for place, other in enumerate(others):
            if other.environment != tape.environment or other.verdict == "pruned":
                continue
            path = Path(folder) / f"{place}.parquet"
            await write_tape(store, await read_outline(store, other.session_id), path, MEMORY_MB)
            await asyncio.to_thread(_compare, found, iter_segments(path), terms, decisions, rows)
            path.unlink()
    return found


def _compare(
    found: Compared,
    segments: Iterable[Segment],
    terms: Terms,
    decisions: Sequence[Decision],
    rows: Mapping[int, NDArray[Any]],
) -> None:
    for segment in segments:
        mine = [
            one
            for one in decisions
            if one.ticker == segment.ticker
            and one.decision_no in rows
            and segment.starts_at <= one.market_time <= segment.ends_at
        ]
        times = np.array([one.market_time for one in mine], np.int64)
        numbers = np.searchsorted(segment.events.times, times, "right")
        theirs = observe_at(segment, terms, numbers, times).rows
        found.decisions += len(mine)
        for decision, row in zip(mine, theirs, strict=True):
            is_equal = rows[decision.decision_no] == row
            for group in GROUPS:
                of_group = [feature.group is group for feature in FEATURES]
                found.compared[group] += sum(of_group)
                found.equal[group] += int(is_equal[of_group].sum())
