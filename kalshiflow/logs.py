"""How every program logs: one line per event on standard error, as key=value with a UTC time."""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Set the least severe level that is written: debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Its pool prints a traceback each time that the database is away, which we say in one line.
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)
