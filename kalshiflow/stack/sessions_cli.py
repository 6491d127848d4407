"""The commands `kalshiflow sessions …`: what is recorded, its proof, its books, its files."""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import Side
from kalshiflow.settings import load
from kalshiflow.stack.errors import StackError
from kalshiflow.stack.sessions_words import (
    book_table,
    coverage_table,
    session_lines,
    sessions_table,
)
from kalshiflow.store.certificate import from_json
from kalshiflow.store.database import Store, run
from kalshiflow.store.errors import StoreError
from kalshiflow.store.moments import (
    NotAnInstant,
    read_day,
    read_instant,
    show_instant,
    show_span,
)
from kalshiflow.store.recorded import SessionRow, get_session, list_sessions, session_gaps

T = TypeVar("T")

app = typer.Typer(
    help="Recorded sessions: list them, prove them, read their books, export them.",
    no_args_is_help=True,
)
_console = Console()
_PIPED_WIDTH = 1000

_AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for machines")]
_From = Annotated[
    str | None,
    typer.Option("--from", help="UTC, included: 2026-11-20T14:30:00Z, or a day", metavar="TIME"),
]
_WHEN = "UTC, not included: 2026-11-20T14:30:00Z, or a day"


@app.command(name="list")
def list_(
    start: _From = None,
    end: Annotated[str | None, typer.Option("--to", "--until", help=_WHEN, metavar="TIME")] = None,
    status: Annotated[list[str] | None, typer.Option(help="active, closed, …")] = None,
    verdict: Annotated[list[str] | None, typer.Option(help="ok, gaps, failed, pruned")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="collector, trader, import")] = None,
    market: Annotated[str | None, typer.Option(help="only those that recorded it")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many of the newest")] = 50,
    as_json: _AsJson = False,
) -> None:
    """List the newest sessions, or those that lay (if only in part) in a time."""
    begin, until = _moment(start), _moment(end)
    found = _ask(
        lambda store: list_sessions(
            store,
            statuses=status or None,
            verdicts=verdict or None,
            origins=origin or None,
            market=market,
            start=begin,
            end=until,
            limit=limit,
        )
    )
    if as_json:
        _print_json([_row(session) for session in found])
    elif found:
        _wide().print(sessions_table(found))
    else:
        _console.print("No session is recorded that would match.")


def _wide() -> Console:
    """Give a console that cuts nothing where no person reads it: a script wants whole ids."""
    return _console if _console.is_terminal else Console(width=_PIPED_WIDTH)


@app.command()
def show(
    session_id: Annotated[str, typer.Argument(metavar="ID")],
    markets: Annotated[int, typer.Option(min=0, help="how many of the worst covered")] = 20,
    as_json: _AsJson = False,
) -> None:
    """Tell what is known of a session, and what its certificate proves."""
    session = _ask(lambda store: get_session(store, session_id))
    if as_json:
        gaps = _ask(lambda store: session_gaps(store, session_id))
        _print_json({**asdict(session), "gaps": [asdict(gap) for gap in gaps]})
        return
    certificate = None if session.certificate is None else from_json(session.certificate)
    for line in session_lines(session, certificate):
        _console.print(line, markup=False, highlight=False, soft_wrap=True)
    if certificate is not None and markets:
        _console.print(coverage_table(certificate, markets))


@app.command()
def verify(
    session_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every closed session")] = False,
    as_json: _AsJson = False,
) -> None:
    """Count sessions again, replay each twice, and compare; exit code 1 where anything differs."""
    from kalshiflow.store.verify import verify_session

    if bool(session_ids) == all_:
        raise StackError("name the sessions to verify, or give --all")
    names = session_ids or _closed()
    results = []
    for name in names:
        result = _ask(partial(verify_session, session_id=name))
        results.append(result)
        if not as_json:
            is_skipped = all_ and result.unproven is not None
            word = "ok" if result.holds else "not verified" if is_skipped else "FAILED"
            compared = f"{result.frames:,} frames, {result.periodic_snapshots} periodic books"
            what = f" ({compared}, closing books replayed twice)" if result.unproven is None else ""
            print(f"{name}: {word}{what}")
            for line in (*result.differences, *filter(None, [result.unproven])):
                print(f"  {line}")
    if as_json:
        _print_json([{**asdict(result), "holds": result.holds} for result in results])
    if any(result.differences or (result.unproven and not all_) for result in results):
        raise typer.Exit(1)


@app.command()
def parity(
    session_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every session of the trader")] = False,
    collector: Annotated[
        bool, typer.Option("--collector", help="also compare with the collector's own sessions")
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Make the trader's decisions again from its own tape; exit code 1 where any differs."""
    from kalshiflow.stack.sessions_parity import check, tapes

    if bool(session_ids) == all_:
        raise StackError("name sessions of the trader (`sessions list --origin trader`), or --all")
    results = []
    for name in session_ids or _ask(tapes):
        result = _ask(partial(check, session_id=name, collector=collector))
        results.append(result)
        if not as_json:
            print("\n".join(result.lines()))
    if as_json:
        _print_json([result.values() for result in results])
    elif not results:
        print("nothing to check: the trader has no closed session yet")
    if any(not one.holds and (one.unproven is None or not all_) for one in results):
        raise typer.Exit(1)


@app.command()
def export(
    session_ids: Annotated[list[str], typer.Argument(metavar="ID…")],
    to: Annotated[Path, typer.Option("--to", file_okay=False, help="a folder")],
    start: _From = None,
    end: Annotated[str | None, typer.Option("--until", help=_WHEN, metavar="TIME")] = None,
    tables: Annotated[
        str | None, typer.Option(help="some of them only: deltas,snapshots,…")
    ] = None,
) -> None:
    """Write sessions as Parquet files, a folder for each; nothing is overwritten."""
    from kalshiflow.store.export import export_session

    begin, until = _moment(start), _moment(end)
    named = None if tables is None else [name.strip() for name in tables.split(",")]
    for name in session_ids:
        work = partial(export_session, session_id=name, to=to, start=begin, end=until, tables=named)
        done = _ask(work)
        counts = ", ".join(f"{count:,} {table}" for table, count in done.rows.items())
        print(f"{done.folder}: {counts}")


@app.command()
def book(
    ticker: str,
    at: Annotated[
        str | None, typer.Option(help="UTC: 2026-11-20T14:30:00Z", metavar="TIME")
    ] = None,
    session: Annotated[str | None, typer.Option(help="a session, by its id")] = None,
    frame: Annotated[int | None, typer.Option(min=0, help="its frame; else the last")] = None,
    levels: Annotated[int, typer.Option(min=1, help="how many levels of a side")] = 20,
    as_json: _AsJson = False,
) -> None:
    """Print a market's book as it was at a time, or after a frame of a session."""
    from kalshiflow.store.point import book_at, book_at_time

    if (at is None) == (session is None) or (frame is not None and session is None):
        raise StackError("name a time (--at), or a session (--session, and --frame if you like)")
    about: dict[str, Any] = {"ticker": ticker}
    if session is not None:
        found = _ask(lambda store: book_at(store, session, ticker, frame))
        about |= {"session_id": session, "frame_no": frame}
        line = f"{ticker} in {session}, {'at its end' if frame is None else f'after frame {frame}'}"
    else:
        moment = _moment(at) or 0
        placed = _ask(lambda store: book_at_time(store, ticker, moment))
        found = placed.book
        about |= {name: getattr(placed, name) for name in ("session_id", "frame_no", "source")}
        about |= {"at": moment, "age_ns": placed.age_ns}
        where = f"frame {placed.frame_no} of {placed.session_id}"
        line = (
            f"{ticker} at {show_instant(moment)}, from "
            f"{'REST' if placed.session_id is None else where}, {show_span(placed.age_ns)} old"
        )
    if as_json:
        sides = {side.name.lower() + "s": found.levels(side) for side in Side}
        _print_json(about | sides)
        return
    _console.print(line, markup=False, highlight=False, soft_wrap=True)
    _console.print(book_table(found, levels))


@app.command()
def prune(
    before: Annotated[str, typer.Option(help="a UTC day: 2026-11-20", metavar="DAY")],
    cut: Annotated[
        bool, typer.Option("--cut", help="also days that sessions reach out of into later ones")
    ] = False,
    imports: Annotated[
        bool, typer.Option("--imports", help="also days of imported recordings")
    ] = False,
) -> None:
    """Remove the days of recordings before a day; sessions that lose rows are marked pruned."""
    from kalshiflow.store.retention import prune as remove

    day = _read(read_day, before)
    done = _ask(lambda store: remove(store, before_day=day, cut=cut, imports=imports))
    for what, days in (("removed", done.removed), ("kept", done.kept)):
        if days:
            print(f"{what}: {', '.join(map(str, days))}")
    if done.sessions:
        print(f"pruned: {', '.join(done.sessions)}")
    if not (done.removed or done.kept):
        print(f"There was no day before {day}.")


def _closed() -> list[str]:
    """Give every session that is not being recorded, oldest first."""
    closed = _ask(
        lambda store: list_sessions(store, statuses=["closed", "repaired", "failed"], limit=10**9)
    )
    return [session.session_id for session in reversed(closed)]


def _ask(work: Callable[[Store], Awaitable[T]]) -> T:
    url = load("stack").require("DATABASE_URL")

    try:
        return run(url, work)
    except (StoreError, NotAnInstant, BookCorrupt, OSError) as failed:
        raise StackError(str(failed)) from None


def _moment(text: str | None) -> int | None:
    return None if text is None else _read(read_instant, text)


def _read(reader: Callable[[str], T], text: str) -> T:
    try:
        return reader(text)
    except NotAnInstant as wrong:
        raise StackError(str(wrong)) from None


def _row(session: SessionRow) -> dict[str, Any]:
    row = asdict(session)
    del row["certificate"]  # `show` has it
    return row


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()
