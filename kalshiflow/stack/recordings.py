"""The command `kalshiflow import`: recordings in files become sessions in the database."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kalshiflow.settings import Environment, load
from kalshiflow.stack.errors import StackError

if TYPE_CHECKING:
    from kalshiflow.recording.importer import Imported
    from kalshiflow.store.database import Store

_console = Console()


class Side(StrEnum):
    """A side of a market, as its prices are meant."""

    YES = "yes"
    NO = "no"


def import_recordings(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="recorded WebSocket frames, one on each line, our captures, segments of a spool",
            metavar="FILE",
        ),
    ],
    environment: Annotated[
        Environment,
        # No default: what was recorded elsewhere must not be learned from as if it were from here.
        typer.Option(help="the exchange it was recorded from; policies learn from their own only"),
    ],
    no_prices: Annotated[
        Side | None,
        typer.Option(
            "--no-prices",
            help="the NO side carries YES prices (it was subscribed with use_yes_price) or NO "
            "prices; without it, what the file says or what makes more sense",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="import a file that is in the database already")
    ] = False,
) -> None:
    """Store recordings that others made as sessions, and say what they cannot prove."""
    from kalshiflow.recording.importer import ImportRefused, Wishes, import_captures
    from kalshiflow.store.database import run
    from kalshiflow.store.errors import StoreError

    loaded = load("stack")
    is_yes = None if no_prices is None else no_prices is Side.YES
    wishes = Wishes(environment.value, is_yes, again)

    async def work(store: "Store") -> None:
        await import_captures(store, files, wishes, _tell)

    try:
        run(loaded.require("DATABASE_URL"), work)
    except ImportRefused as refused:
        raise StackError(str(refused)) from None
    except StoreError as failed:
        raise StackError(f"{failed}; the same command goes on where it stopped") from None


def _tell(imported: "Imported") -> None:
    for certificate in imported.certificates:
        reason = f" ({certificate.reason})" if certificate.reason else ""
        _console.print(
            f"{imported.path} is session {certificate.session_id}: {certificate.frames:,} frames, "
            f"{certificate.markets} markets, verdict {certificate.verdict}{reason}",
            soft_wrap=True,
            highlight=False,
        )
    for sentence in imported.cannot_know:
        _console.print(f"  cannot be known: {sentence}", soft_wrap=True, highlight=False)
