"""What the command's flags mean together, and which of them have none."""

from pathlib import Path

import typer

from kalshiflow.exchange.times import nanoseconds
from kalshiflow.venue.config import RecordedSession, VenueConfig

_OF_SYNTHETIC = {
    "--start": "start",
    "--markets": "markets",
    "--habits": "habits",
    "--lag": "lag",
    "--lifetime": "lifetime",
    "--activity": "activity",
}
_OF_RECORDINGS = {"--from": "begin", "--fill-model": "fill_model"}


def recorded_of(
    session: str | None, database: str | None, capture: Path | None
) -> RecordedSession | None:
    """Give the recorded session that is asked for; raises `ValueError` for half of one."""
    if session is None:
        return None
    if capture is not None:
        raise ValueError("--capture and --session are two recordings; one can be replayed")
    if not database:
        raise ValueError("--session needs --database, or DATABASE_URL in the environment")
    return RecordedSession(session, database)


def time_of(text: str) -> int:
    """Read `--start`, in nanoseconds; raises `ValueError`."""
    try:
        return nanoseconds(text)
    except ValueError:
        raise ValueError(f"--start must be an ISO 8601 time with its zone, not {text!r}") from None


def check_source(context: typer.Context, config: VenueConfig) -> None:
    """Raise `ValueError` for a flag that would be ignored."""
    flags = _OF_SYNTHETIC if config.is_replay else _OF_RECORDINGS
    where = "with" if config.is_replay else "without"
    for flag, parameter in flags.items():
        source = context.get_parameter_source(parameter)
        if source is not None and source.name == "COMMANDLINE":
            raise ValueError(f"{flag} has no meaning {where} a recording")
