"""Stored rows to observations, against a bare binary COPY out of the same rows.

One process reads a synthetic session from an embedded PostgreSQL, which has the other core. Figures
are medians of five rounds in this run, printed as `name value unit`; the ratios are what counts.

- `copy`: the session's changes and trades by binary COPY, received and thrown away.
- `columns`: the same rows, with snapshots, decoded into numpy columns, in the order of frames.
- `episodes`: and cut into segments.
- `observations`: and observed at every change of a book: rows of 52 float32. Bar: 0.5 of `copy`
  (the goal is 0.6).
- `build`: from rows to the Parquet file of a session's episodes.
- `--sizes 100000 1000000 10000000`: rows to observations for ever larger sessions, each in its own
  process: seconds, and the most memory it had. `--parquet 100000000` adds a read from a file of so
  many events. `--plot FILE` draws it.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from machine import machine
from stored import TABLES, store_session

from kalshiflow.learning import bulk
from kalshiflow.learning.bulk import Stream
from kalshiflow.learning.compiled import compiled
from kalshiflow.learning.episodes import builder as episode_builder
from kalshiflow.learning.episodes.cutter import Cut, Cutter
from kalshiflow.learning.episodes.cutting import cut_rows
from kalshiflow.learning.episodes.files import EpisodeFile, iter_parts, read_heads, read_origin
from kalshiflow.learning.episodes.segments import Events
from kalshiflow.learning.world import WorldConfig
from kalshiflow.stack.postgres import PostgresServer, create_database
from kalshiflow.store.bulk import Columns, read_columns
from kalshiflow.store.database import Store, run
from kalshiflow.store.migrate import migrate
from kalshiflow.store.outline import Outline, read_outline
from kalshiflow.store.recorded import received_within
from kalshiflow.store.tape import reading
from pipelines.episodes import write_episodes

# The rows' own columns, as whoever has no use for numbers instead of tickers would read them.
COPIED = {
    "rl_orderbook_deltas": "side, price, change, client_order_id",
    "rl_public_trades": "taker_side, price, quantity",
}
WITHIN = " WHERE session_id = $1 AND received_at BETWEEN $2 AND $3"
ROUNDS = 5
ROWS = 1_000_000
MEMORY_MB = 256

Work = Callable[[Columns], object]


async def copy_out(store: Store, outline: Outline) -> int:
    """Receive the session's changes and trades, and throw them away."""
    received = 0

    async def count(part: bytes) -> None:
        nonlocal received
        received += len(part)

    session = outline.session
    async with reading(store) as connection:
        span = await received_within(connection, session.session_id)
        for table, columns in COPIED.items():
            query = f"SELECT frame_no, ticker, market_time, time_source, {columns} FROM {table}"
            within = (session.session_id, *span)
            await connection.copy_from_query(query + WITHIN, *within, output=count, format="binary")
    return received


def decoding(_: Outline) -> Work:
    """Do nothing with columns."""
    return len


def cutting(outline: Outline) -> Work:
    """Cut columns into segments."""
    cutter = Cutter(outline, compiled(cut_rows))
    return lambda columns: sum(len(cut.events) for cut in cutter.cut(columns))


def observing(outline: Outline) -> Work:
    """Cut columns, and observe each market at every change of its book."""
    cutter, stream = Cutter(outline, compiled(cut_rows)), Stream(WorldConfig())

    def take(columns: Columns) -> int:
        return sum(observe(stream, cut) for cut in cutter.cut(columns))

    return take


def observe(stream: Stream, cut: Cut) -> int:
    """Observe the events of a cut; gives the number of observations."""
    seen, first = 0, 0
    for begun in cut.begun:
        seen += _rows(stream, cut, first, begun.place)
        stream.begin(begun.owner, begun.market)
        first = begun.place
    return seen + _rows(stream, cut, first, len(cut.events))


def _rows(stream: Stream, cut: Cut, first: int, end: int) -> int:
    if first == end:
        return 0
    columns = (getattr(cut.events, name)[first:end] for name in Events.__slots__[:-1])
    events = Events(*columns, cut.events.bodies)
    return sum(len(found) for found in stream.read(events, cut.owners[first:end]))


async def read(store: Store, outline: Outline, work: Callable[[Outline], Work]) -> None:
    """Read a session's columns and do some work on them."""
    session_id = outline.session.session_id
    await read_columns(store, session_id, outline.tickers, work(outline), memory_mb=MEMORY_MB)


async def rates(store: Store, session_id: str, folder: Path) -> None:
    """Measure each step of the way, round by round."""
    outline = await read_outline(store, session_id)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "copy": lambda: copy_out(store, outline),
        "columns": lambda: read(store, outline, decoding),
        "episodes": lambda: read(store, outline, cutting),
        "observations": lambda: read(store, outline, observing),
        "build": lambda: write_episodes(store, outline, folder / "s.parquet", MEMORY_MB),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(ROUNDS + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            await step()
            if number:  # the first round warms up
                taken[name].append(time.perf_counter() - began)
    rows = await count_rows(store, session_id)
    for name, seconds in taken.items():
        print(f"{name} {rows / statistics.median(seconds):,.0f} rows/s")
    for name in list(steps)[1:]:
        ratio = statistics.median(a / b for a, b in zip(taken["copy"], taken[name], strict=True))
        print(f"{name}_of_copy {ratio:.2f}")


async def count_rows(store: Store, session_id: str) -> int:
    """Count what is read of a session."""
    async with store.connection() as connection:
        counts = [
            await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE session_id = $1",
                session_id,
            )
            for table in TABLES
        ]
    return sum(counts)


async def observe_session(store: Store, session_id: str) -> None:
    """Read a stored session into observations."""
    await read(store, await read_outline(store, session_id), observing)


def observe_file(path: Path) -> int:
    """Read a file of episodes into observations; gives the number of its events."""
    stream, heads, current, events = Stream(WorldConfig()), read_heads(path), -1, 0
    for number, part in iter_parts(path):
        if number != current:
            stream.begin(0, heads[number].market)
            current = number
        events += len(part)
        for _ in stream.read(part, np.zeros(len(part), np.int32)):
            pass
    return events


def repeat_file(source: Path, path: Path, events: int) -> None:
    """Write a file of at least so many events: those of another, again and again."""
    heads = read_heads(source)
    rounds = -(-events // sum(head.events for head in heads))
    with EpisodeFile(path, read_origin(source), heads * rounds) as file:
        for number in range(rounds):
            for place, part in iter_parts(source):
                file.add(number * len(heads) + place, part)


def measured(source: str, url: str = "") -> dict[str, float]:
    """Have a process of its own read a session or a file, and tell how that went."""
    told = subprocess.run(
        [sys.executable, __file__, "--one", source, "--url", url],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(told.stdout)
    return found


def tell_one(source: str, url: str) -> None:
    """Read a session or a file, and tell how that went."""
    rows = run(url, lambda store: count_rows(store, source)) if url else 0
    for module in (bulk, episode_builder):
        module.warm_up()
    began = time.perf_counter()
    if url:
        run(url, lambda store: observe_session(store, source))
    else:
        rows = observe_file(Path(source))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "seconds": seconds, "memory_mb": peak}))


def sizes(url: str, counts: Sequence[int], parquet: int, plot: Path | None, folder: Path) -> None:
    """Measure how time and memory grow with a session."""
    found = {}
    for count in counts:
        store_session(url, f"size-{count}", count)
        found[f"from PostgreSQL, {count:.0e}"] = measured(f"size-{count}", url)
    if parquet:
        once, whole = folder / "once.parquet", folder / "whole.parquet"
        session_id = f"size-{counts[0]}"
        run(url, lambda store: build(store, session_id, once))
        repeat_file(once, whole, parquet)
        found[f"from Parquet, {parquet:.0e}"] = measured(str(whole))
    for name, one in found.items():
        per_row = one["seconds"] / one["rows"] * 1e9
        print(f"{name}: {one['seconds']:.2f} s, {per_row:.0f} ns/row, {one['memory_mb']:.0f} MB")
    if plot is not None:
        draw(found, plot)


async def build(store: Store, session_id: str, path: Path) -> None:
    """Write the file of a session's episodes."""
    await write_episodes(store, await read_outline(store, session_id), path, MEMORY_MB)


def draw(found: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw time and memory over rows, both axes logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for axis, key, label in zip(axes, ("seconds", "memory_mb"), ("seconds", "MB"), strict=True):
        for kind, mark in (("from PostgreSQL", "o-"), ("from Parquet", "s")):
            points = [(one["rows"], one[key]) for name, one in found.items() if kind in name]
            if points:
                axis.plot(*zip(*points, strict=True), mark, label=kind)
        axis.set_xscale("log")
        axis.set_xlabel("rows")
        axis.set_ylabel(label)
        axis.legend()
    axes[0].set_yscale("log")
    axes[1].set_ylim(0, 1.2 * max(one["memory_mb"] for one in found.values()))
    figure.suptitle("Rows to observations")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Start a database, measure, and remove it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[])
    parser.add_argument("--parquet", type=int, default=0)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.one:
        tell_one(wanted.one, wanted.url)
        return
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="kalshiflow-bench-") as folder:
        server = PostgresServer(Path(folder) / "postgres")
        try:
            server.start()
            create_database(server.url("postgres"), "bench")
            url = server.url("bench")
            migrate(url)
            if wanted.rows:
                store_session(url, "rates", wanted.rows)
                run(url, lambda store: rates(store, "rates", Path(folder)))
            if wanted.sizes:
                sizes(url, wanted.sizes, wanted.parquet, wanted.plot, Path(folder))
        finally:
            server.remove()


if __name__ == "__main__":
    main()
