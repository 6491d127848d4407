"""The collector as `python -m streaming` runs it, with one thing made odd for a test.

`python odd_collector.py NAME=VALUE...`, where NAME is `spool_bytes` (the spool's limit),
`segment_bytes` (a segment's), `lease_seconds` (how long a lease lasts), or `poison` (text: the
recorder fails on any frame that has it, as it would by a mistake of ours).
"""

import sys
from pathlib import Path
from typing import Any

from kalshiflow.exchange.feed import Feed
from kalshiflow.recording import holding
from kalshiflow.recording.spool import Spool
from streaming.__main__ import main


def spool(**bounds: int) -> None:
    """Bound the spool, or its segments."""
    real = Spool.open

    def bounded(folder: Path, **more: Any) -> Spool:
        return real(folder, **more | bounds)

    Spool.open = bounded


def lease_seconds(value: str) -> None:
    """Make leases short."""
    holding.LEASE_SECONDS = float(value)
    holding.RENEW_SECONDS = float(value) / 4
    holding.LOOK_SECONDS = 0.1


def poison(value: str) -> None:
    """Let the recorder fail on frames that have this text."""
    real, text = Feed.take, value.encode()

    def take(self: Feed, raw: bytes, received_at: int) -> Any:
        if text in raw:
            raise RuntimeError("this frame is poison")
        return real(self, raw, received_at)

    Feed.take = take


ODD = {
    "spool_bytes": lambda value: spool(limit_bytes=int(value)),
    "segment_bytes": lambda value: spool(segment_bytes=int(value)),
    "lease_seconds": lease_seconds,
    "poison": poison,
}

if __name__ == "__main__":
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        ODD[name](value)
    sys.exit(main())
