"""The command `kalshiflow venue`: run the local exchange until it is told to stop."""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
import typer
from typer.exceptions import TyperException

from kalshiflow.market.units import CASH_PER_DOLLAR, Cash
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue import config as defaults
from kalshiflow.venue.app import Serving, serve
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.flags import check_source, recorded_of, time_of
from kalshiflow.venue.limits import TIERS
from kalshiflow.venue.traders.habits import PRESETS

YEAR = 366 * 86_400.0  # seconds
# Flags, and their fields, that say something of synthetic markets only, and of recordings only.
_SERVING, _CLIENTS = "Where it serves", "Clients and their limits"
_TIME, _MARKETS, _RECORDING = "Market time", "Synthetic markets", "A recording instead"
_TROUBLE = "Faults and log"


def _option(panel: str, words: str, *names: str, metavar: str = "N", **more: Any) -> Any:
    return typer.Option(*names, help=words, rich_help_panel=panel, metavar=metavar, **more)


def venue(
    context: typer.Context,
    port: Annotated[
        int, _option(_SERVING, "REST port; 0 takes a free one.", min=0, max=65_535)
    ] = 8090,
    ws_port: Annotated[
        int, _option(_SERVING, "WebSocket port; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
    host: Annotated[
        str, _option(_SERVING, "Loopback address (of IPv4) to listen on.", metavar="ADDRESS")
    ] = "127.0.0.1",
    heartbeat: Annotated[
        float, _option(_SERVING, "Seconds between pings.", min=0.01, max=YEAR)
    ] = defaults.HEARTBEAT_SECONDS,
    strict_v1: Annotated[
        bool,
        _option(
            _SERVING, "Answer the old order endpoints 410, as Kalshi.", "--strict-v1", metavar=""
        ),
    ] = False,
    compat: Annotated[
        bool,
        _option(
            _SERVING,
            "Words of the former API, for clients that refuse today's.",
            "--compat",
            metavar="",
        ),
    ] = False,
    trade_seq: Annotated[
        bool, _option(_SERVING, "Number trade frames.", "--trade-seq/--no-trade-seq", metavar="")
    ] = True,
    accounts: Annotated[
        int, _option(_CLIENTS, "How many clients, each with a key.", min=1, max=1000)
    ] = 1,
    cash: Annotated[
        float, _option(_CLIENTS, "Dollars in each account.", min=0.0, max=1e9)
    ] = 10_000.0,
    key_dir: Annotated[
        Path | None,
        _option(
            _CLIENTS, "Folder of the keys; made where missing.", metavar="DIR", file_okay=False
        ),
    ] = None,
    tier: Annotated[
        str, _option(_CLIENTS, f"Rate limits: {', '.join(TIERS)}.", metavar="NAME")
    ] = "basic",
    window: Annotated[
        float, _option(_CLIENTS, "Seconds a signature's timestamp may be off.", min=0.0, max=YEAR)
    ] = defaults.WINDOW_MS / 1000,
    connection_limit: Annotated[
        int, _option(_CLIENTS, "WebSockets of one client at once.", min=1)
    ] = defaults.CONNECTION_LIMIT,
    market_limit: Annotated[
        int, _option(_CLIENTS, "Markets that one connection may subscribe to.", min=1)
    ] = defaults.MARKET_LIMIT,
    command_rate: Annotated[
        int, _option(_CLIENTS, "Commands a second on one connection.", min=1)
    ] = defaults.COMMAND_RATE,
    queue_limit: Annotated[
        int, _option(_CLIENTS, "Frames that may wait for one connection.", min=1)
    ] = defaults.QUEUE_LIMIT,
    speed: Annotated[
        float,
        _option(
            _TIME, "Market seconds per second; 0: a recording as fast as readers read it.", min=0.0
        ),
    ] = 1.0,
    start: Annotated[
        str | None,
        _option(_TIME, "Market time at the start, ISO 8601; by default now.", metavar="TIME"),
    ] = None,
    hold: Annotated[
        bool,
        _option(
            _TIME,
            "Wait for POST /venue/start. (A recording waits until all its books are subscribed to, "
            "or for the same.)",
            "--hold",
            metavar="",
        ),
    ] = False,
    markets: Annotated[int, _option(_MARKETS, "How many.", min=1, max=1000)] = 24,
    seed: Annotated[int, _option(_MARKETS, "Of traders, identifiers and faults.", min=0)] = 7,
    habits: Annotated[
        str, _option(_MARKETS, f"How traders behave: {', '.join(PRESETS)}.", metavar="NAME")
    ] = "lively",
    lag: Annotated[
        float, _option(_MARKETS, "Delay of the slow makers, in market seconds.", min=0.0, max=YEAR)
    ] = 4.0,
    lifetime: Annotated[
        float | None,
        _option(_MARKETS, "Market seconds a market lives; by default a month.", min=1.0, max=YEAR),
    ] = None,
    activity: Annotated[
        float | None,
        _option(
            _MARKETS, "Book changes a market second; by default as habits.", min=0.001, max=1e6
        ),
    ] = None,
    capture: Annotated[
        Path | None,
        _option(
            _RECORDING, "Replay this capture file.", metavar="FILE", exists=True, dir_okay=False
        ),
    ] = None,
    session: Annotated[
        str | None,
        _option(_RECORDING, "Replay this session of the database.", metavar="ID"),
    ] = None,
    database: Annotated[
        str | None,
        _option(_RECORDING, "The session's database.", envvar="DATABASE_URL", metavar="URL"),
    ] = None,
    begin: Annotated[
        float, _option(_RECORDING, "Replay from this fraction on.", "--from", min=0.0, max=1.0)
    ] = 0.0,
    fill_model: Annotated[
        Literal["pessimistic", "realistic", "optimistic"],
        _option(
            _RECORDING,
            "Who left first where our orders took or rest: pessimistic, realistic or optimistic.",
            metavar="NAME",
        ),
    ] = "pessimistic",
    fault: Annotated[
        list[str] | None,
        _option(_TROUBLE, "A fault, such as 'drop every=100'; may be repeated.", metavar="SPEC"),
    ] = None,
    faults: Annotated[
        Path | None,
        _option(_TROUBLE, "A file of faults.", metavar="FILE", exists=True, dir_okay=False),
    ] = None,
    log: Annotated[
        Path | None,
        _option(_TROUBLE, "Write all requests and frames here.", metavar="FILE", dir_okay=False),
    ] = None,
) -> None:
    """Run a local Kalshi: synthetic markets, or the replay of a recording.

    Prints one JSON line with its addresses and the key to sign with, once it serves. Of
    several clients it lists all, under "accounts".
    """
    _log_to_stderr()
    try:
        config = VenueConfig(
            port=port,
            ws_port=ws_port,
            host=host,
            heartbeat_seconds=heartbeat,
            strict_v1=strict_v1,
            compat=compat,
            trade_seq=trade_seq,
            accounts=accounts,
            cash=Cash(round(cash * CASH_PER_DOLLAR)),
            key_dir=key_dir,
            tier=tier,
            window_ms=round(window * 1000),
            connection_limit=connection_limit,
            market_limit=market_limit,
            command_rate=command_rate,
            queue_limit=queue_limit,
            speed=speed or float("inf"),
            start=None if start is None else time_of(start),
            hold=hold,
            markets=markets,
            seed=seed,
            habits=habits,
            lag=lag,
            lifetime=lifetime,
            activity=activity,
            capture=capture,
            recorded=recorded_of(session, database, capture),
            begin=begin,
            fill_model=FillModel[fill_model.upper()],
            fault_lines=tuple(fault or ()),
            faults=faults,
            log=log,
        )
        check_source(context, config)
        asyncio.run(_serve_until_told(config))
    except (OSError, ValueError) as problem:
        print(f"kalshiflow venue: {problem}", file=sys.stderr)  # noqa: T201 - a command's words
        raise typer.Exit(1) from None


def _log_to_stderr() -> None:
    """Keep the output for the one line that callers read."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _serve_until_told(config: VenueConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve(config) as serving:
        print(json.dumps(_told(serving)), flush=True)  # noqa: T201 - the one line that callers read
        await stop.wait()


def _told(serving: Serving) -> dict[str, object]:
    line: dict[str, object] = {
        "rest": serving.rest,
        "ws": serving.ws,
        "key_id": serving.key_id,
        "private_key_path": str(serving.private_key_path),
    }
    members = list(serving.members)
    if len(members) > 1:
        line["accounts"] = [
            {
                "name": member.name,
                "key_id": member.key.key_id,
                "private_key_path": str(member.key.private_key_path),
            }
            for member in members
        ]
    return line


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command by itself; wrong arguments are one sentence, and exit code 2."""
    app = typer.Typer(add_completion=False)
    app.command(name="kalshiflow venue")(venue)
    try:
        sys.exit(app(arguments, prog_name="kalshiflow venue", standalone_mode=False))
    except TyperException as wrong:
        print(f"kalshiflow venue: {wrong.format_message()}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
