"""The whole venue on two local ports: built from its configuration, served until told to stop."""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from math import isinf
from pathlib import Path

import uvicorn

from kalshiflow.exchange.environments import REST_PATH, WS_PATH, is_loopback
from kalshiflow.market.units import Cash
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.clock import SECOND, VenueClock
from kalshiflow.venue.core import Catalogue, State, Venue
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.facts import Fact
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.keys import ClientKey, client_key
from kalshiflow.venue.replay.capture import Capture, CaptureSource, load_capture
from kalshiflow.venue.rest.app import rest_app
from kalshiflow.venue.traders.market import Habits
from kalshiflow.venue.traders.synthetic import SyntheticSource, synthetic_listings
from kalshiflow.venue.websocket.hub import (
    Hub,
)
from kalshiflow.venue.websocket.server import HEARTBEAT_SECONDS, Sockets
from kalshiflow.venue.websocket.sessions import (
    QUEUE_LIMIT,
)

TICK_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.05
STEPS_AT_ONCE = 500
# How long a replay at top speed waits for a reader that is behind before it goes on without it.
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """How to run the venue.

    `port` is REST's; the WebSocket takes `ws_port`; 0 is any free one. `speed` is market seconds
    per second, infinite for as fast as readers read. `start` is market time in nanoseconds, by
    default now (a capture's own first frame for a replay). With `hold`, market time stands still
    until `POST /venue/start`; without it a replay begins once the books of all its markets are
    subscribed to. `begin` is the fraction of a capture's time that is applied silently. `lag` is
    the slow makers' delay in market seconds, `cash` what the account starts with.
    """

    port: int = 0
    ws_port: int = 0
    host: str = "127.0.0.1"
    markets: int = 24
    speed: float = 1.0
    seed: int = 7
    start: int | None = None
    hold: bool = False
    lag: float = 4.0
    cash: Cash = Cash(10_000 * 1_000_000)
    capture: Path | None = None
    begin: float = 0.0
    fill_model: FillModel = FillModel.PESSIMISTIC
    key_dir: Path | None = None
    queue_limit: int = QUEUE_LIMIT
    heartbeat_seconds: float = HEARTBEAT_SECONDS


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a running venue is reached, and the key to sign with."""

    rest: str
    ws: str
    key_id: str
    private_key_path: Path
    venue: Venue


@contextlib.asynccontextmanager
async def serve(config: VenueConfig) -> AsyncIterator[Serving]:
    """Run a venue within the context; nothing of it is left afterwards.

    Without `key_dir` the key lies in a temporary folder. Raises `OSError` where a port is taken,
    `ValueError` for a configuration that makes no venue, or one for other machines than this.
    """
    if not is_loopback(f"http://{config.host}"):
        raise ValueError(f"the venue serves this machine only, not {config.host}")
    with contextlib.ExitStack() as stack:
        key_dir = config.key_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        key = client_key(key_dir)
        rest_socket = stack.enter_context(_listener(config.host, config.port))
        ws_socket = stack.enter_context(_listener(config.host, config.ws_port))
        venue = build_venue(config, key)
        gate = Gate(venue.floor.accounts, _wall_milliseconds)
        hosts = ["127.0.0.1", "localhost", "::1", config.host]
        sockets = Sockets(
            venue.hub,
            gate,
            hosts=hosts,
            queue_limit=config.queue_limit,
            heartbeat_seconds=config.heartbeat_seconds,
        )
        rest_port, ws_port = rest_socket.getsockname()[1], ws_socket.getsockname()[1]
        app = rest_app(
            venue,
            gate,
            hosts=hosts,
            frames_sent=lambda: sockets.frames_sent,
            flush=sockets.flush,
        )
        server = _RestServer(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=2,
            )
        )
        serving = Serving(
            f"http://{config.host}:{rest_port}{REST_PATH}",
            f"ws://{config.host}:{ws_port}{WS_PATH}",
            key.key_id,
            key.private_key_path,
            venue,
        )
        caller_failed: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group, sockets.serving(ws_socket):
                rest = group.create_task(server.serve(sockets=[rest_socket]), name="venue-rest")
                others = [
                    group.create_task(sockets.beat(), name="venue-heartbeat"),
                    group.create_task(_run(config, venue, sockets), name="venue-clock"),
                ]
                await server.ready(rest)
                try:
                    yield serving
                except Exception as error:
                    caller_failed.append(error)
                    raise
                finally:
                    server.should_exit = True
                    for task in others:
                        task.cancel()
        except ExceptionGroup as group_error:
            if list(group_error.exceptions) == caller_failed:
                raise caller_failed[0] from None  # the caller's own error, as it was
            raise


def build_venue(
    config: VenueConfig,
    key: ClientKey | None,
    monotonic: Callable[[], int] = time.monotonic_ns,
) -> Venue:
    """Make a venue without servers; `key` opens its one account, `monotonic` drives its clock."""
    ids = Identifiers(config.seed)
    accounts = Accounts()
    if key is not None:
        user_id = ids.of("user", "trader")
        accounts.open(Account(user_id, config.cash, key_id=key.key_id, public_key=key.public_key))
    relay = _Relay()
    floor = Floor(ids, accounts, relay)
    hub = Hub(floor.find_market, floor.find_order)
    if config.capture is not None:
        venue = _replay(config, floor, hub, load_capture(config.capture), monotonic)
    else:
        venue = _synthetic(config, floor, hub, monotonic)
        if not config.hold:
            venue.clock.begin()
    relay.publish = hub.publish
    return venue


class _Relay:
    """Passes facts to the hub once there is one: what happens before concerns nobody."""

    def __init__(self) -> None:
        self.publish: Callable[[Fact], None] | None = None

    def __call__(self, fact: Fact) -> None:
        if self.publish is not None:
            self.publish(fact)


def _synthetic(config: VenueConfig, floor: Floor, hub: Hub, monotonic: Callable[[], int]) -> Venue:
    start = config.start
    if start is None:
        start = int(time.time()) * SECOND
    listings = synthetic_listings(config.markets, config.seed, start)
    source = SyntheticSource(floor, listings.markets, config.seed, start, Habits(lag=config.lag))
    clock = VenueClock(start, config.speed, monotonic)
    return Venue(clock, floor, hub, source, Catalogue((listings.series,), listings.events))


def _replay(
    config: VenueConfig, floor: Floor, hub: Hub, capture: Capture, monotonic: Callable[[], int]
) -> Venue:
    begin_at = capture.cut(config.begin)
    source = CaptureSource(floor, capture, begin_at, config.fill_model)
    clock = VenueClock(source.next_at() or capture.end, config.speed, monotonic)
    return Venue(clock, floor, hub, source, Catalogue(capture.series, capture.events_listed))


async def _run(config: VenueConfig, venue: Venue, sockets: Sockets) -> None:
    """Let market time pass, and send what it brings."""
    waits_for_readers = config.capture is not None and not config.hold
    while True:
        if waits_for_readers and not venue.clock.is_running and venue.is_covered():
            venue.clock.begin()
        steps = venue.advance(STEPS_AT_ONCE)
        sockets.flush()
        if steps == STEPS_AT_ONCE:
            if isinf(venue.clock.speed):
                await _readers(config, sockets)
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(_pause(venue))


def _pause(venue: Venue) -> float:
    if venue.state is not State.RUNNING:
        return TICK_SECONDS if venue.state is State.HOLDING else LONGEST_PAUSE_SECONDS
    due = venue.seconds_to_next()
    return min(max(due, TICK_SECONDS), LONGEST_PAUSE_SECONDS)


async def _readers(config: VenueConfig, sockets: Sockets) -> None:
    """Wait while a reader is far behind; one that stays so is left to overflow."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sockets.backlog() > config.queue_limit // 2:
                await asyncio.sleep(TICK_SECONDS)
                sockets.flush()


class _RestServer(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process's owner decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def ready(self, task: "asyncio.Task[None]") -> None:
        """Wait until requests are taken; raises what kept the server from it."""
        while not self.started:
            if task.done():
                await task
            await asyncio.sleep(0.001)


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as problem:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {problem.strerror}") from None
    listener.setblocking(False)
    return listener


def _wall_milliseconds() -> int:
    return time.time_ns() // 1_000_000
