"""How to run the venue: one value that says it all."""

from dataclasses import dataclass
from pathlib import Path

from kalshiflow.market.units import Cash
from kalshiflow.simulator.overlay import FillModel

HEARTBEAT_SECONDS = 10.0
QUEUE_LIMIT = 100_000
CONNECTION_LIMIT = 200
MARKET_LIMIT = 500_000
COMMAND_RATE = 10_000
WINDOW_MS = 15_000


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A recorded session of a PostgreSQL database, by its id (`20261120T143000Z-4f09ac`)."""

    session_id: str
    database_url: str


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """How to run the venue.

    Serving: `port` is REST's; the WebSocket takes `ws_port`; 0 is any free one. `key_dir` holds
    the clients' keys, made where missing; `accounts` is how many clients there are, each with its
    own key and `cash`. `tier` names the rate limits (Kalshi's names, or "unlimited"), `window_ms`
    how far a signature's timestamp may be off. `strict_v1` answers the old order endpoints 410
    instead of serving them; `compat` tells markets in the words of the former API (a settled
    market is `settled`, not `finalized`), for clients that refuse today's; `trade_seq` says
    whether trade frames are numbered. `queue_limit` is the frames that may wait for one connection;
    `connection_limit` (per account), `market_limit` (subscriptions of one connection) and
    `command_rate` (a second) are Kalshi's.

    Market time: `speed` is market seconds per second, infinite for as fast as readers read.
    `start` is market time in nanoseconds, by default now (a recording's own first frame for a
    replay). With `hold`, market time stands still until `POST /venue/start`; without it a replay
    begins once the books of all its markets are subscribed to.

    Markets: synthetic ones, `markets` of them, from `seed`; `lag` is the slow makers' delay,
    `lifetime` how long a market is open (`None` is thirty days and more), both in market seconds;
    `activity` is the book changes a second of market time over all markets (`None`: as the traders'
    habits give); `habits` names a preset of them, `lively` or `real`. Or a recording: a `capture`
    file or a `recorded` session, of which the fraction `begin` is applied silently; `fill_model`
    says who left first where our orders took from it or rest in it.

    `faults` is a script of faults (see `kalshiflow.venue.faults`), `fault_lines` are more of them;
    `log` is the file in which the venue writes what it was asked and what it sent to whom.
    """

    port: int = 0
    ws_port: int = 0
    host: str = "127.0.0.1"
    key_dir: Path | None = None
    accounts: int = 1
    cash: Cash = Cash(10_000 * 1_000_000)
    tier: str = "basic"
    window_ms: int = WINDOW_MS
    strict_v1: bool = False
    compat: bool = False
    trade_seq: bool = True
    queue_limit: int = QUEUE_LIMIT
    connection_limit: int = CONNECTION_LIMIT
    market_limit: int = MARKET_LIMIT
    command_rate: int = COMMAND_RATE
    heartbeat_seconds: float = HEARTBEAT_SECONDS

    speed: float = 1.0
    start: int | None = None
    hold: bool = False

    markets: int = 24
    seed: int = 7
    lag: float = 4.0
    lifetime: float | None = None
    activity: float | None = None
    habits: str = "lively"
    capture: Path | None = None
    recorded: RecordedSession | None = None
    begin: float = 0.0
    fill_model: FillModel = FillModel.PESSIMISTIC

    faults: Path | None = None
    fault_lines: tuple[str, ...] = ()
    log: Path | None = None

    @property
    def is_replay(self) -> bool:
        """Say whether a recording, not traders, moves the markets."""
        return self.capture is not None or self.recorded is not None
