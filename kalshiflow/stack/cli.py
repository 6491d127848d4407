"""The command `kalshiflow`: the whole system on one machine, by hand."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kalshiflow.settings import Environment, SettingsError, load
from kalshiflow.stack.control import remove_state, running, shut_down
from kalshiflow.stack.errors import StackError
from kalshiflow.stack.plan import load_plan, log_file, stack_id
from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.stack.processes import marked
from kalshiflow.stack.recordings import import_recordings
from kalshiflow.stack.screen import log_tail, settings_table, stack_table, starting
from kalshiflow.stack.services import NAMES, VENUE_EXPORTS, Wish
from kalshiflow.stack.sessions_cli import app as sessions_app
from kalshiflow.stack.up import Stack, stack_settings

app = typer.Typer(
    help="Record, learn and trade prediction markets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(sessions_app, name="sessions")
app.command(name="import")(import_recordings)
_console = Console()


@app.command()
def up(
    without: Annotated[
        list[str] | None,
        typer.Option(help=f"leave one out, to run it by hand: {', '.join(NAMES)}"),
    ] = None,
) -> None:
    """Start everything, supervised, and return when all of it is healthy."""
    left_out = without or []
    for name in left_out:
        if name not in NAMES:
            raise StackError(f"--without {name}: there are {', '.join(NAMES)}")
    loaded, where = stack_settings()
    is_local = loaded.environment is Environment.LOCAL
    if "venue" in left_out and is_local and "KALSHI_API_URL" not in loaded.texts:
        raise StackError(
            "--without venue needs another exchange: run `kalshiflow venue` first, and write what "
            f"it prints to .env.local, as {', '.join(VENUE_EXPORTS.values())}"
        )
    if running(where.state) is not None:
        _console.print("The stack is already running; `kalshiflow down` ends it.")
        _print_status()
        return
    with starting(_console) as tell:
        Stack(loaded, where).up(Wish(without=left_out), tell)
    _print_status()
    _console.print(f"Programs started by hand find it through {where.env_file}.")


@app.command()
def down(
    remove: Annotated[
        bool, typer.Option("--remove", help="also delete the state: recordings, policies, logs")
    ] = False,
) -> None:
    """End everything that `up` started, orphans included."""
    _, where = stack_settings()
    with _console.status("Stopping"):
        did_run = shut_down(where.state)
        if remove:
            remove_state(where.state)
    _console.print("Stopped." if did_run else "Nothing was running.")


@app.command()
def status() -> None:
    """Show the services as they are now; exit code 1 unless all are up."""
    if not _print_status():
        raise typer.Exit(1)


@app.command()
def logs(
    name: str,
    lines: Annotated[int, typer.Option(help="how many of the last lines")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as they come")] = False,
) -> None:
    """Print the log of one service."""
    _, where = stack_settings()
    is_database = name == "postgres"
    path = PostgresServer(where.state).log if is_database else log_file(where.state, name)
    if not path.exists():
        known = sorted(log.stem for log in path.parent.glob("*.log")) or ["none yet"]
        raise StackError(f"there is no log of {name}; there are: {', '.join(known)}")
    print(log_tail(path, lines))
    position = path.stat().st_size
    while follow:
        time.sleep(0.5)
        size = path.stat().st_size
        position = position if position <= size else 0  # it was rotated
        with path.open("rb") as file:
            file.seek(position)
            sys.stdout.write(file.read().decode("utf-8", "replace"))
            sys.stdout.flush()
            position = file.tell()


@app.command()
def settings() -> None:
    """Print every variable of every program."""
    _console.print(settings_table())


@app.command()
def migrate() -> None:
    """Bring the database `app` to the schema of these programs."""
    from kalshiflow.store.errors import StoreUnavailable
    from kalshiflow.store.migrate import migrate as run

    url = load("stack").require("DATABASE_URL")
    try:
        print(f"schema {run(url)}")
    except StoreUnavailable as failed:
        raise StackError(str(failed)) from None


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def venue(context: typer.Context) -> None:
    """Serve a local Kalshi; `kalshiflow venue --help` lists its flags."""
    os.execv(  # noqa: S606  # no shell is wanted: this process becomes the venue
        sys.executable, [sys.executable, "-m", "kalshiflow.venue", *context.args]
    )


@app.command(
    name="venue-calibration",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def venue_calibration(context: typer.Context) -> None:
    """Compare synthetic markets with Kalshi's; `kalshiflow venue-calibration --help` has more."""
    module = "kalshiflow.venue.traders.calibration"
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])  # noqa: S606


@app.command()
def demo(
    capture: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="play this recording, not synthetic markets"
        ),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.1, help="market seconds per second while it is recorded")
    ] = None,
) -> None:
    """Run the whole loop, beside whatever else runs, check it, and take it down again."""
    from kalshiflow.stack.demo import Options, run_demo

    raise typer.Exit(run_demo(Options(capture, speed), _console))


def _print_status() -> bool:
    _, where = stack_settings()
    found = running(where.state)
    plan = load_plan(where.state)
    if found is None and marked(stack_id(where.state)):
        _console.print("The supervisor is gone; `kalshiflow down` ends what it has left running.")
        return False
    if found is None or plan is None:
        _console.print("The stack is not running; `kalshiflow up` starts it.")
        return False
    _console.print(stack_table(plan, found))
    return all(one.phase.is_up for one in found.services.values())


def main() -> None:
    """Run the command; what a person can put right is one sentence and exit code 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so take down what was begun
    try:
        app()
    except (StackError, SettingsError) as wrong:
        print(f"kalshiflow: {wrong}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
