"""Frames from a socket to committed rows, against what a client could take at most, and a peer.

One core is the client's; the sender and PostgreSQL (fsync and synchronous_commit on) have the
others. Figures are medians of three rounds in this run, printed as `name value unit`; the ratios
are what counts, rates belong to the machine named. Frames are made ahead: 300 synthetic markets,
and the recorded demo session where there are recordings (RECORDED_DATA).

- `discard`: what `websockets` reads and throws away (bytes, its default queue, asyncio's loop).
- `cryptofeed`: cryptofeed 2.4.1 with its PostgreSQL backend, from the first frame to the last row.
  It lives in an environment of its own under the cache folder, made where it is missing.
- `durable`: ours, from the first frame to the last committed row: spool, ledger, books and all.
  Bars: at least 0.5 of `discard`, at least 4 times `cryptofeed` (the goal is 10 times).
- `burst`: seconds from the first of 1,000 snapshots of full books to their last row. Bar: 2.
- `sustained` (`--sustain SECONDS`): frames as fast as they are taken; frames committed a second,
  and the collector's memory. Bar: flat, and below 250 MB.
- `outage` (`--outage SECONDS`): PostgreSQL is stopped for so long at 5,000 frames a second; the
  outage's length over the time until all is committed that came meanwhile. Bar: 5.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from machine import machine
from peer_environment import CRYPTOFEED, peer_python
from traffic import Traffic, full_books, pouring, recorded, sending, synthetic

from kalshiflow.recording.notes import listed
from kalshiflow.stack.postgres import PostgresServer, create_database
from kalshiflow.store.migrate import migrate

ROUNDS = 3
FRAMES = 300_000
PEER_FRAMES = 100_000  # the peer is slow
LIVE = "synthetic:300:60"
OUTAGE_RATE = 5_000.0
CAUGHT_UP_SECONDS = 0.2  # so much of the traffic may be on its way
LEAST_FOR_GROWTH = 60.0  # seconds: before, it is still the beginning that grows
PEERS = Path(__file__).parent / "peers"


class Bench:
    """A database, a folder and two sets of cores: the client's one, and the rest."""

    def __init__(self, folder: Path, server: PostgresServer, core: int) -> None:
        self.folder = folder
        self.server = server
        self.core = core
        self._made = 0
        migrate(self._create("template"))

    def database(self, *, migrated: bool = True) -> str:
        """Give the URL of a fresh database."""
        self._made += 1
        return self._create(f"bench_{self._made}", "template" if migrated else None)

    def spool(self) -> Path:
        """Give a folder for a spool."""
        self._made += 1
        return self.folder / f"spool-{self._made}"

    def _create(self, name: str, template: str | None = None) -> str:
        create_database(self.server.url("postgres"), name, template)
        return self.server.url(name)


def discard(bench: Bench, ready: Path, frames: int) -> dict[str, float]:
    """Measure `websockets`."""
    with sending(ready) as port:
        script = str(PEERS / "websockets_discard.py")
        return _run([sys.executable, script, str(port), str(frames), str(bench.core)])


def cryptofeed(
    bench: Bench, python: Path, ready: Path, frames: int, traffic: Traffic
) -> dict[str, float]:
    """Measure cryptofeed."""
    names = bench.folder / "tickers"
    names.write_text("\n".join(market.ticker for market in traffic.markets))
    with sending(ready) as port:
        script = str(PEERS / "cryptofeed_postgres.py")
        command = [str(python), script, str(port), str(frames), str(bench.core), str(names)]
        return _run(command, database=bench.database(migrated=False))


def durable(
    bench: Bench, ready: Path, frames: int, traffic: Traffic, loop: str = "uvloop"
) -> dict[str, float]:
    """Measure ours."""
    with sending(ready) as port, _collecting(bench, port, traffic, loop, frames) as lines:
        told: dict[str, float] = json.loads(next(lines))
    assert told["bad"] == 0, "frames of this traffic could not be used"
    return told


def rates(bench: Bench, traffic: Traffic, python: Path | None) -> None:
    """Compare the three, round by round."""
    ready, short = bench.folder / "ready", bench.folder / "short"
    traffic.write(ready, FRAMES)
    traffic.write(short, PEER_FRAMES)
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        takes = {
            "discard": discard(bench, ready, FRAMES),
            "durable": durable(bench, ready, FRAMES, traffic),
            "durable_asyncio": durable(bench, ready, FRAMES, traffic, "asyncio"),
        }
        if python is not None:
            takes["cryptofeed"] = cryptofeed(bench, python, short, PEER_FRAMES, traffic)
        for name, take in takes.items():
            found.setdefault(name, []).append(take)
    medians: dict[str, float] = {}
    by_core: dict[str, float] = {}
    for name, rounds in found.items():
        frames = PEER_FRAMES if name == "cryptofeed" else FRAMES
        medians[name] = frames / statistics.median(take["seconds"] for take in rounds)
        by_core[name] = frames / statistics.median(take["core_seconds"] for take in rounds)
        print(f"{traffic.name}_{name} {medians[name]:.0f} frames/s")
        print(f"{traffic.name}_{name}_core {medians[name] / by_core[name]:.2f} of a core")
    print(f"{traffic.name}_durable_of_discard {medians['durable'] / medians['discard']:.3f} ratio")
    # The same by processor time, which others on the machine disturb less.
    ratio = by_core["durable"] / by_core["discard"]
    print(f"{traffic.name}_durable_of_discard_by_core {ratio:.3f} ratio")
    if python is not None:
        ratio = medians["durable"] / medians["cryptofeed"]
        print(f"{traffic.name}_durable_of_cryptofeed {ratio:.2f} ratio")


def burst(bench: Bench) -> None:
    """Measure 1,000 snapshots of full books."""
    traffic, ready = full_books(1_000), bench.folder / "books"
    frames = len(traffic.greeting()) + traffic.frames_in_lap
    traffic.write(ready, frames)
    takes = [durable(bench, ready, frames, traffic)["seconds"] for _ in range(ROUNDS)]
    print(f"burst_of_1000_books {statistics.median(takes):.2f} s")


def sustained(bench: Bench, traffic: Traffic, seconds: float) -> None:
    """Measure for long, every five seconds."""
    with (
        pouring(LIVE, None) as port,
        _collecting(bench, port, traffic, "uvloop", None, every=5.0) as lines,
    ):
        began, told = time.monotonic(), []
        while time.monotonic() - began < seconds + 5.0:
            told.append(json.loads(next(lines)))
    committed = [one["frames"] - one["behind"] for one in told]
    spans = zip(told, told[1:], committed, committed[1:], strict=False)
    by_span = [(c2 - c1) / (two["at"] - one["at"]) for one, two, c1, c2 in spans]
    for one, rate in zip(told[1:], by_span, strict=True):
        print(
            f"  {rate:.0f} frames/s committed, {one['behind']} records behind ({one['mode']}),"
            f" {one['rss_mb']:.0f} MB"
        )
    print(f"sustained {statistics.median(by_span):.0f} frames/s")
    print(f"sustained_least {min(by_span):.0f} frames/s")
    print(f"sustained_peak {told[-1]['peak_mb']:.0f} MB")
    later = told[len(told) // 3 :]
    if seconds >= LEAST_FOR_GROWTH:
        slope = statistics.linear_regression(
            [one["at"] / 60 for one in later], [one["rss_mb"] for one in later]
        ).slope
        print(f"sustained_growth {slope:.2f} MB/minute")


def outage(bench: Bench, traffic: Traffic, seconds: float) -> None:
    """Stop PostgreSQL for a while, and measure the way back."""
    with (
        pouring(LIVE, OUTAGE_RATE) as port,
        _collecting(bench, port, traffic, "uvloop", None, every=0.1) as lines,
    ):
        told = _follow(lines)
        time.sleep(5.0)
        bench.server.stop()
        time.sleep(seconds)
        bench.server.start()
        began = time.monotonic()
        while told[-1]["at"] < began or told[-1]["behind"] > OUTAGE_RATE * CAUGHT_UP_SECONDS:
            time.sleep(0.05)
            assert time.monotonic() - began < 120 + seconds, "it never caught up"
        last = told[-1]
    first = next(one for one in told if one["at"] >= began)
    took = last["at"] - began
    came = (last["frames"] - first["frames"]) / max(last["at"] - first["at"], 1e-9)
    print(f"outage {seconds:.0f} s")
    print(f"outage_backlog {first['behind']} records")
    print(f"outage_caught_up_after {took:.2f} s")
    print(f"outage_recorded_meanwhile {came:.0f} frames/s")
    print(f"outage_of_catching_up {seconds / took:.1f} ratio")
    print(f"outage_peak {last['peak_mb']:.0f} MB")


@contextmanager
def _collecting(
    bench: Bench,
    port: int,
    traffic: Traffic,
    loop: str,
    frames: int | None,
    every: float = 1.0,
) -> Iterator[Iterator[str]]:
    """Run our path in a process of its own; gives the lines that it prints."""
    job = {
        "port": port,
        "core": bench.core,
        "loop": loop,
        "folder": str(bench.spool()),
        "markets": msgspec.to_builtins(listed(traffic.markets)),
        "frames": frames,
        "every": every,
    }
    with subprocess.Popen(
        [sys.executable, str(PEERS / "collector_path.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DATABASE_URL": bench.database()},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        try:
            yield iter(process.stdout)
        finally:
            process.kill()


def _follow(lines: Iterator[str]) -> list[dict[str, Any]]:
    """Read what a process tells, as it tells it."""
    told = [json.loads(next(lines))]

    def read() -> None:
        told.extend(map(json.loads, lines))

    threading.Thread(target=read, daemon=True).start()
    return told


def _run(command: list[str], database: str = "") -> dict[str, float]:
    done = subprocess.run(
        command,
        env=os.environ | {"DATABASE_URL": database},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure what is asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sustain", type=float, default=15.0, metavar="SECONDS")
    parser.add_argument("--outage", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--only", choices=["rates", "burst", "sustain", "outage"])
    asked = parser.parse_args()
    core, *others = sorted(os.sched_getaffinity(0))
    python = peer_python(CRYPTOFEED) if asked.only in {None, "rates"} else None
    os.sched_setaffinity(0, set(others) or {core})
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="kalshiflow-bench-") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            bench, traffic = Bench(Path(folder), server, core), synthetic(300, 60.0)
            if asked.only in {None, "rates"}:
                for each in filter(None, (traffic, recorded())):
                    rates(bench, each, python)
            if asked.only in {None, "burst"}:
                burst(bench)
            if asked.only in {None, "sustain"}:
                sustained(bench, traffic, asked.sustain)
            if asked.only in {None, "outage"}:
                outage(bench, traffic, asked.outage)
        finally:
            server.remove()


if __name__ == "__main__":
    main()
