"""`python -m trader`: the trader."""

import asyncio
import sys

import structlog

from kalshiflow import logs
from kalshiflow.exchange.errors import Unauthorised
from kalshiflow.serving import PortTaken
from kalshiflow.settings import SettingsError, load
from kalshiflow.store.errors import StoreError
from trader.app import run
from trader.lifecycle import StateOverdue

REFUSALS = (SettingsError, StoreError, PortTaken, Unauthorised, StateOverdue)


def main() -> int:
    """Run the trader; what keeps it from beginning is told in one sentence, with exit code 1."""
    try:
        settings = load("trader")
        logs.configure(settings.rl_log_level)
        asyncio.run(run(settings))
    except REFUSALS as refused:
        return _refuse(refused)
    except BaseExceptionGroup as group:
        first = _first(group)
        if isinstance(first, REFUSALS):
            return _refuse(first)
        structlog.get_logger().exception("the trader failed")
        return 1
    return 0


def _refuse(refused: BaseException) -> int:
    print(refused, file=sys.stderr)  # noqa: T201
    return 1


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


if __name__ == "__main__":
    sys.exit(main())
