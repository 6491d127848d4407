"""From a recording to episodes, and what a page shows of them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from kalshiflow.learning.episodes.builder import EpisodeBuilder
from kalshiflow.learning.episodes.files import Head
from kalshiflow.store.bulk import read_columns
from kalshiflow.store.database import Store
from kalshiflow.store.outline import Outline
from pipelines.times import seconds


async def write_episodes(store: Store, outline: Outline, path: Path, memory_mb: int) -> list[Head]:
    """Cut a session into episodes, each with its market as it was known, and write their file.

    Gives the episodes' heads. Whatever the session's size, it takes about so much memory.
    """
    half = memory_mb // 2
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cutting-", dir=path.parent) as folder:
        builder = EpisodeBuilder(outline, Path(folder), half)
        session_id = outline.session.session_id
        await read_columns(store, session_id, outline.tickers, builder.take, memory_mb=half)
        return builder.write(path)


def episodes_by_market(heads: Sequence[Head]) -> list[dict[str, str | int | float]]:
    """Give one row of a table for each market."""
    by_market: dict[str, list[Head]] = {}
    for head in heads:
        by_market.setdefault(head.ticker, []).append(head)
    return [
        {
            "market": ticker,
            "segments": len(found),
            "events": sum(head.events for head in found),
            "market seconds": seconds(sum(head.ends_at - head.starts_at for head in found)),
            "trades recorded": "yes" if found[0].has_trades else "no",
        }
        for ticker, found in by_market.items()
    ]
