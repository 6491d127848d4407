"""The command `kalshiflow venue`: run the local exchange until it is told to stop."""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from kalshiflow.exchange.times import nanoseconds
from kalshiflow.market.units import Cash
from kalshiflow.venue.app import VenueConfig, serve

DOLLAR = 1_000_000


def venue(
    port: Annotated[int, typer.Option(help="REST port; 0 takes a free one.")] = 8090,
    ws_port: Annotated[int, typer.Option(help="WebSocket port; 0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    markets: Annotated[int, typer.Option(min=1, max=1000, help="Synthetic markets.")] = 24,
    speed: Annotated[
        float, typer.Option(help="Market seconds per second; 0 is as fast as readers read.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of traders and identifiers.")] = 7,
    start: Annotated[str | None, typer.Option(help="Market time at the start, ISO 8601.")] = None,
    capture: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Replay this recording.")
    ] = None,
    begin: Annotated[
        float, typer.Option("--from", min=0.0, max=1.0, help="Replay from this fraction on.")
    ] = 0.0,
    hold: Annotated[
        bool, typer.Option("--hold", help="Market time waits for POST /venue/start.")
    ] = False,
    lag: Annotated[
        float, typer.Option(min=0.0, help="Delay of the slow makers, in market seconds.")
    ] = 4.0,
    cash: Annotated[float, typer.Option(min=0.0, help="Dollars in the account.")] = 10_000.0,
    key_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder of the client's key.")
    ] = None,
) -> None:
    """Run a local Kalshi: synthetic markets, or the replay of a recording.

    Prints one JSON line with its addresses and the key to sign with, once it serves.
    """
    _log_to_stderr()
    try:
        config = VenueConfig(
            port=port,
            ws_port=ws_port,
            host=host,
            markets=markets,
            speed=speed or float("inf"),
            seed=seed,
            start=None if start is None else nanoseconds(start),
            hold=hold,
            lag=lag,
            cash=Cash(round(cash * DOLLAR)),
            capture=capture,
            begin=begin,
            key_dir=key_dir,
        )
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
        line = {
            "rest": serving.rest,
            "ws": serving.ws,
            "key_id": serving.key_id,
            "private_key_path": str(serving.private_key_path),
        }
        print(json.dumps(line), flush=True)  # noqa: T201 - the one line that callers read
        await stop.wait()


def main() -> None:
    """Run the command by itself."""
    typer.run(venue)
