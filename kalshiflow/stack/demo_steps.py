"""The demo's steps: each waits for one thing to happen in the stack, and shows how far it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from kalshiflow.stack.demo_world import AccountView, World, account_of
from kalshiflow.stack.errors import StackFailed
from kalshiflow.stack.plan import StackStatus
from kalshiflow.store.read import SessionRow, list_sessions
from kalshiflow.store.training import Promotion, latest_promotion

_POLL = 0.5
_FAILED = {"FAILURE", "CANCELED"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the progress display."""

    progress: Progress
    task: TaskID

    def tell(self, completed: float, total: float | None, text: str) -> None:
        """Move the bar and say how far it is."""
        self.progress.update(self.task, completed=completed, total=total, text=text)


class Screen:
    """The progress display of the whole demo."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[text]}"),
            console=console,
            disable=not console.is_terminal,  # there, each step is one plain line when it is done
        )

    @contextmanager
    def line(self, title: str) -> Iterator[Line]:
        """Show one step; it is done when the block ends well."""
        task = self.progress.add_task(title, total=None, text="")
        yield Line(self.progress, task)
        total = self.progress.tasks[task].total or 1
        self.progress.update(task, total=total, completed=total)
        if not self.progress.console.is_terminal:
            self.progress.console.print(f"{title}: {self.progress.tasks[task].fields['text']}")


def wait_until(what: str, seconds: float, is_done: Callable[[], bool]) -> None:
    """Look every half second; raises `StackFailed` after `seconds`, naming what did not happen."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise StackFailed(f"{what} did not happen within {seconds:g} s")
        time.sleep(_POLL)


def tell_start(line: Line) -> Callable[[StackStatus], None]:
    """Give what shows how many services are up."""

    def tell(status: StackStatus) -> None:
        waiting = [name for name, one in status.services.items() if not one.phase.is_up]
        count = len(status.services)
        text = f"waiting for {', '.join(waiting)}" if waiting else f"{count} services"
        line.tell(count - len(waiting), count, text)

    return tell


def closed_sessions(world: World) -> list[SessionRow]:
    """Give the collector's closed sessions in the order of their closing."""
    return world.ask(lambda store: list_sessions(store, after_close_seq=0, origins=["collector"]))


def wait_for_sessions(world: World, line: Line, count: int, seconds: float) -> None:
    """Wait until so many sessions are recorded and closed."""

    def look() -> bool:
        closed, now = len(closed_sessions(world)), world.collector()
        line.tell(
            closed,
            count,
            f"{closed} of {count} sessions, {now['frames_total']:,} frames of "
            f"{now['markets']} markets",
        )
        return closed >= count

    wait_until(f"the recording of {count} sessions", seconds, look)


def wait_for_collector(world: World, markets: int) -> None:
    """Wait until the collector follows the books of so many markets."""

    def look() -> bool:
        now = world.collector()
        return now["state"] == "recording" and int(now["markets"]) >= markets

    wait_until(f"the collector's subscription to {markets} markets", 60, look)


def wait_for_replay(world: World, line: Line, seconds: float, span: tuple[int, int]) -> None:
    """Wait until the venue has replayed its capture, whose market times `span` tells."""

    def look() -> bool:
        now = world.venue()
        done = (now["market_time_ns"] - span[0]) / max(1, span[1] - span[0])
        line.tell(done, 1, f"market time {now['market_time'][:19]}")
        return bool(now["state"] == "finished")

    wait_until("the end of the replay", seconds, look)


def wait_for_quiet(world: World) -> None:
    """Wait until everything that the collector received is stored."""
    seen: list[int] = []

    def look() -> bool:
        now = world.collector()
        seen.append(int(now["frames_total"]))
        is_stored = not now["rows_waiting"] and not now["records_behind"]
        return len(seen) > 2 and seen[-1] == seen[-3] and is_stored

    wait_until("the storing of the last frames", 60, look)


def wait_for_policy(world: World, line: Line, seconds: float) -> Promotion:
    """Wait until Dagster has learned from the sessions and promoted a policy; it does so by itself.

    Raises `StackFailed` with the error of the first run that failed.
    """
    found: list[Promotion] = []

    def look() -> bool:
        runs = world.pipeline_runs()
        for one in runs:
            if one.status in _FAILED:
                where = f" of session {one.partition}" if one.partition else ""
                raise StackFailed(f"the run `{one.job}`{where} failed: {world.failure_of(one)}")
        done = sum(one.status == "SUCCESS" for one in runs)
        busy = [one.job for one in runs if one.status == "STARTED"]
        doing = f", now: {', '.join(busy)}" if busy else ""
        line.tell(done, len(runs) or None, f"{done} of {len(runs)} runs of Dagster done{doing}")
        promoted = world.ask(latest_promotion)
        is_over = done == len(runs) and any(one.job == "training" for one in runs)
        if promoted is not None and is_over:
            found.append(promoted)
        elif is_over:
            raise StackFailed("the training ended without a policy good enough to be promoted")
        return bool(found)

    wait_until("the promotion of a policy", seconds, look)
    return found[0]


def wait_for_champion(world: World, line: Line, version: str, seconds: float) -> None:
    """Wait until the trader has loaded this version and acts on it."""

    def look() -> bool:
        try:
            now = world.trader_health()
        except httpx.TransportError:
            return False  # it is being started
        line.tell(0, None, f"{now['state']}, policy {now['policy_version'] or 'none'}")
        is_whole = now["markets_ready"] == now["markets"]
        return bool(now["state"] == "acting" and now["policy_version"] == version and is_whole)

    wait_until(f"the loading of policy version {version} by the trader", seconds, look)


def tell_trading(world: World, line: Line, done: float) -> int:
    """Show what the trader has done; gives the number of its fills."""
    now = world.trader()
    line.tell(
        done,
        1,
        f"{now['decisions']:,} decisions, {now['orders']['placed']} orders, {now['fills']} fills",
    )
    return int(now["fills"])


def trade_for(world: World, line: Line, seconds: float, longest: float) -> None:
    """Let the trader trade for `seconds`, and up to `longest` until the first fill."""
    begun = time.monotonic()

    def look() -> bool:
        passed = time.monotonic() - begun
        fills = tell_trading(world, line, min(1.0, passed / seconds))
        return passed >= seconds and (fills > 0 or passed >= longest)

    wait_until("trading", longest + 30, look)


def compare_accounts(world: World, line: Line) -> tuple[AccountView, AccountView]:
    """Pause the trader, wait until it has no order left, and give its account and the venue's."""
    world.pause_trader()
    pair: list[tuple[AccountView, AccountView]] = []

    def look() -> bool:
        status = world.trader()
        ours, theirs = account_of(status), world.venue_account()
        pair.append((ours, theirs))
        line.tell(0, None, f"{status['state']}, {ours.open_orders} orders open")
        is_still = status["state"] == "paused" and not ours.open_orders + theirs.open_orders
        return is_still and ours == theirs

    try:
        wait_until("the equality of both accounts", 20, look)
    except StackFailed:
        return pair[-1]  # the table shows what differs
    return pair[-1]
