"""The whole venue on two local ports: built from its configuration, served until told to stop."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from kalshiflow.exchange.environments import REST_PATH, WS_PATH, is_loopback
from kalshiflow.serving import listen
from kalshiflow.venue.build import Relay, build_venue, recording_of
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import Venue
from kalshiflow.venue.faults.language import Fault, first_faults
from kalshiflow.venue.faults.live import Faults
from kalshiflow.venue.log import NO_LOG, Log, VenueLog
from kalshiflow.venue.members import Members, first_members
from kalshiflow.venue.rest.server import RestServer
from kalshiflow.venue.stage import Stage

__all__ = ["Serving", "build_venue", "serve"]


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a running venue is reached, and the key to sign with: the first client's."""

    rest: str
    ws: str
    key_id: str
    private_key_path: Path
    venue: Venue
    members: Members
    faults: Faults


@contextlib.asynccontextmanager
async def serve(config: VenueConfig) -> AsyncIterator[Serving]:
    """Run a venue within the context; nothing of it is left afterwards.

    Without `key_dir` the keys lie in a temporary folder. Raises `OSError` where a port is taken or
    a file cannot be read or made, `ValueError` for a configuration that makes no venue, or one for
    other machines than this.
    """
    if ":" in config.host:
        raise ValueError(f"the venue listens on an address of IPv4, not on {config.host}")
    if not is_loopback(f"http://{config.host}"):
        raise ValueError(f"the venue serves this machine only, not {config.host}")
    if config.log is not None:
        _check_log(config.log, config)
    faults = first_faults(config.fault_lines, config.faults)
    with contextlib.ExitStack() as stack:
        folder = config.key_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rest_socket = stack.enter_context(_listener(config.host, config.port))
        ws_socket = stack.enter_context(_listener(config.host, config.ws_port))
        relay = Relay()
        venue = build_venue(config, None, recording=await recording_of(config), relay=relay)
        members = first_members(config, venue, folder)
        log: Log = NO_LOG
        if config.log is not None:
            log = stack.enter_context(contextlib.closing(VenueLog(config.log)))
        stage = Stage(config, venue, relay, members, log)
        first = next(iter(members))
        serving = Serving(
            f"http://{config.host}:{rest_socket.getsockname()[1]}{REST_PATH}",
            f"ws://{config.host}:{ws_socket.getsockname()[1]}{WS_PATH}",
            first.key.key_id,
            first.key.private_key_path,
            venue,
            members,
            stage.faults,
        )
        async with _running(stage, rest_socket, ws_socket, faults):
            yield serving


@contextlib.asynccontextmanager
async def _running(
    stage: Stage, rest_socket: socket, ws_socket: socket, faults: Sequence[Fault]
) -> AsyncIterator[None]:
    server = RestServer(stage.app)
    caller_failed: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as group, stage.sockets.serving(ws_socket):
            rest = group.create_task(server.serve(sockets=[rest_socket]), name="venue-rest")
            jobs = [group.create_task(job, name=name) for name, job in stage.jobs().items()]
            await server.ready(rest)
            for fault in faults:
                stage.faults.add(fault)
            try:
                yield
            except Exception as error:
                caller_failed.append(error)
                raise
            finally:
                server.end()
                for job in jobs:
                    job.cancel()
    except ExceptionGroup as group_error:
        if list(group_error.exceptions) == caller_failed:
            raise caller_failed[0] from None  # the caller's own error, as it was
        raise


def _check_log(log: Path, config: VenueConfig) -> None:
    """Raise `ValueError` for a log that would be written into what the venue reads."""
    for read in (config.capture, config.faults):
        if read is not None and log.exists() and log.samefile(read):
            raise ValueError(f"{log} is read by the venue; its log needs a file of its own")


def _listener(host: str, port: int) -> socket:
    try:
        return listen(host, port)
    except OSError as problem:
        raise OSError(f"cannot listen on {host}:{port}: {problem.strerror}") from None
