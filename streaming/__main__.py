"""`python -m streaming`: the collector."""

import asyncio
import sys

import uvloop

from kalshiflow import logs
from kalshiflow.recording.spool import SpoolError
from kalshiflow.serving import PortTaken
from kalshiflow.settings import SettingsError, load
from kalshiflow.store.errors import StoreError
from streaming.app import run


def main() -> int:
    """Run the collector; what keeps it from working is told in one sentence, with exit code 1."""
    try:
        settings = load("streaming")
        logs.configure(settings.rl_log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except (SettingsError, StoreError, SpoolError, PortTaken) as refused:
        print(refused, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
