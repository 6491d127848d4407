"""What the commands print: progress while a stack starts, and tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from psutil import Error as PsutilError
from psutil import Process
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kalshiflow.settings import PROGRAMS, VARIABLES
from kalshiflow.stack.health import answers
from kalshiflow.stack.plan import Phase, Plan, StackStatus
from kalshiflow.stack.postgres import PostgresServer

_COLOURS = {Phase.HEALTHY: "green", Phase.DONE: "green", Phase.FAILED: "red"}


@contextmanager
def starting(console: Console, title: str = "Starting") -> Iterator[Callable[[StackStatus], None]]:
    """Show a bar of services that are up; the function that is given moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[waiting]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, waiting="PostgreSQL")

        def tell(status: StackStatus) -> None:
            up = [name for name, one in status.services.items() if one.phase.is_up]
            waiting = [name for name in status.services if name not in up]
            progress.update(
                task,
                total=len(status.services),
                completed=len(up),
                waiting=", ".join(waiting),
            )

        yield tell


def stack_table(plan: Plan, status: StackStatus) -> Table:
    """Show each service with its state, as it is now, and its address: whole on 80 columns."""
    table = _plain_table()
    table.add_column("service", no_wrap=True)
    table.add_column("state")
    table.add_column("address", no_wrap=True)
    for heading in ("pid", "since"):
        table.add_column(heading, justify="right")
    if plan.has_postgres:
        server = PostgresServer(plan.state).status()
        state = "[green]healthy" if server.running else "[red]down"
        address = f"postgresql://127.0.0.1:{server.port}/app"
        pid = "" if server.pid is None else str(server.pid)
        table.add_row("postgres", state, address, pid, _since(server.pid))
    for service in plan.services:
        one = status.services[service.name]
        phase: str = one.phase
        if one.phase == Phase.HEALTHY and service.health.startswith("http"):
            phase = one.phase if answers(service.health) else "silent"
        colour = "yellow" if phase == "silent" else _COLOURS.get(one.phase, "yellow")
        number = None if one.process is None else one.process.pid
        pid = "" if number is None else str(number)
        restarts = f"[/]\nrestarts: {one.restarts}" if one.restarts else ""
        table.add_row(
            service.name, f"[{colour}]{phase}{restarts}", service.url, pid, _since(number)
        )
    return table


def settings_table() -> Table:
    """Show every variable: what it is, its default, and which programs read it."""
    table = _plain_table()
    for heading in ("variable", "meaning", "default", "read by"):
        table.add_column(heading, no_wrap=heading in {"variable", "default"}, overflow="fold")
    for one in VARIABLES:
        readers = "all" if one.programs == PROGRAMS else ", ".join(one.programs)
        table.add_row(one.name, one.meaning, f"{one.default or ''} {one.unit}".strip(), readers)
    return table


def _plain_table() -> Table:
    """Make a table without lines between columns: there is room for what it says."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)


def _since(pid: int | None) -> str:
    if pid is None:
        return ""
    try:
        created = datetime.fromtimestamp(Process(pid).create_time(), UTC)
    except PsutilError:
        return ""
    return f"{created.astimezone():%d %b %H:%M}"


def log_tail(path: Path, lines: int) -> str:
    """Give the last lines of a log."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 400 * lines))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])
