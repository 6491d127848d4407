"""Everything that serves one venue, put together: its limits, faults, log, sockets and REST."""

import time
from collections.abc import Coroutine, Mapping
from typing import Any

from starlette.middleware import Middleware

from kalshiflow.venue.auth import Gate
from kalshiflow.venue.build import Relay
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import Venue
from kalshiflow.venue.faults.hours import Hours
from kalshiflow.venue.faults.live import Faults
from kalshiflow.venue.faults.outlet import WatchedOutlet
from kalshiflow.venue.faults.reads import Reads
from kalshiflow.venue.faults.requests import RequestFaults
from kalshiflow.venue.limits import Limits
from kalshiflow.venue.log import Log
from kalshiflow.venue.members import Members
from kalshiflow.venue.orders_log import OrderLog
from kalshiflow.venue.rest import admin_accounts, admin_faults
from kalshiflow.venue.rest.app import rest_app
from kalshiflow.venue.rest.bounded import Bounded
from kalshiflow.venue.rest.logged import Logged
from kalshiflow.venue.running import run
from kalshiflow.venue.websocket.server import Sockets


class Stage:
    """A venue with all that stands between it and its clients; it begins with its jobs.

    `relay` is the one that the venue was built with.
    """

    def __init__(
        self, config: VenueConfig, venue: Venue, relay: Relay, members: Members, log: Log
    ) -> None:
        self.venue = venue
        self.members = members
        self.faults = Faults(config.seed, time.monotonic_ns, members.name_of, log)
        self._config = config
        self._log = log
        self._outlet = WatchedOutlet(self.faults, log)
        self._hosts = ("127.0.0.1", "localhost", config.host)
        self._watch_orders(relay)
        gate = Gate(venue.floor.accounts, self._now_ms, config.window_ms)
        self.sockets = self._sockets(gate)
        self.app = rest_app(
            venue,
            gate,
            hosts=self._hosts,
            frames_sent=lambda: self.sockets.frames_sent,
            flush=self.sockets.flush,
            limits=Limits(),
            strict_v1=config.strict_v1,
            compat=config.compat,
            admin_routes=[
                *admin_accounts.routes(members, config.cash, config.tier),
                *admin_faults.routes(self.faults),
            ],
            middleware=self._middleware(),
        )

    def jobs(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Give what has to be done as long as the venue runs, by names."""
        return {
            "venue-heartbeat": self.sockets.beat(),
            "venue-clock": run(self._config, self.venue, self.sockets),
            "venue-faults": Hours(self.faults, self._outlet, self.venue).keep(),
            "venue-log": self._log.keep(),
        }

    def _watch_orders(self, relay: Relay) -> None:
        reads = Reads(self.faults, self.venue.floor.accounts)
        self.venue.orders_of = reads.of
        relay.taps.append(reads.hear)
        if self._log.is_kept:
            relay.taps.append(OrderLog(self._log, self.venue).hear)

    def _sockets(self, gate: Gate) -> Sockets:
        config = self._config
        return Sockets(
            self.venue.hub,
            gate,
            hosts=self._hosts,
            outlet=self._outlet,
            queue_limit=config.queue_limit,
            connection_limit=config.connection_limit,
            command_rate=config.command_rate,
            heartbeat_seconds=config.heartbeat_seconds,
        )

    def _middleware(self) -> list[Middleware]:
        bounded, struck = Middleware(Bounded), Middleware(RequestFaults, faults=self.faults)
        if not self._log.is_kept:
            return [bounded, struck]
        # The log stands outside: it tells what was answered, whoever answered it.
        return [bounded, Middleware(Logged, log=self._log, now=self.venue.clock.now), struck]

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.faults.skew_ms()
