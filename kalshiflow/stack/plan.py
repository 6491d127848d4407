"""What a supervisor runs, as values, and the files in which it and the commands meet."""

import os
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from kalshiflow.stack.files import write_private
from kalshiflow.stack.ports import Port
from kalshiflow.stack.processes import Identity


@dataclass(frozen=True, slots=True)
class Service:
    """One program of the stack.

    `health` is `http://…` (answers 200), `tcp://host:port` (accepts), `log:TEXT` (has written it),
    or `exit` for a program that does its work once. `exports` maps keys of the JSON line that the
    program prints when it serves to variables of the services started after it.
    """

    name: str
    command: tuple[str, ...]
    health: str
    env: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    exports: dict[str, str] = field(default_factory=dict)
    url: str = ""
    start_seconds: float = 120
    stop_seconds: float = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one supervisor needs. `owner` is a process without which the stack ends too.

    Services run in `folder` with `env`. Where `has_postgres`, a PostgreSQL of the state folder
    comes first of all and goes last. `env_file` is written by us and goes with the stack.
    """

    state: Path
    folder: Path
    env: dict[str, str]
    services: tuple[Service, ...]
    has_postgres: bool
    env_file: Path | None = None
    owner: Identity | None = None

    @property
    def stack(self) -> str:
        return stack_id(self.state)


class Phase(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"
    STARTING = "starting"
    HEALTHY = "healthy"
    DONE = "done"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_up(self) -> bool:
        return self in {Phase.HEALTHY, Phase.DONE}


@dataclass(slots=True)
class ServiceStatus:
    """One service as the supervisor sees it; `detail` is for people."""

    phase: Phase = Phase.WAITING
    process: Identity | None = None
    restarts: int = 0
    detail: str = ""


@dataclass(slots=True)
class StackStatus:
    """The whole stack as the supervisor sees it.

    `announced` are the exported variables, `plan` says which plan it follows.
    """

    supervisor: Identity
    services: dict[str, ServiceStatus]
    announced: dict[str, str] = field(default_factory=dict)
    plan: str = ""


def stack_id(state: Path) -> str:
    """Name the stack of a state folder; processes carry it as their mark."""
    return sha256(os.fsencode(state.resolve())).hexdigest()[:16]


def plan_file(state: Path) -> Path:
    return state / "plan.json"


def status_file(state: Path) -> Path:
    return state / "status.json"


def log_file(state: Path, service: str) -> Path:
    return state / "logs" / f"{service}.log"


def digest(plan: Plan) -> str:
    """Tell plans apart; the same before it is saved and after it is loaded."""
    saved = msgspec.json.decode(_encoded(plan), type=Plan, dec_hook=_decode)
    return sha256(_encoded(saved)).hexdigest()  # a whole number comes back as a decimal one


def save_plan(plan: Plan) -> None:
    write_private(plan_file(plan.state), _encoded(plan))


def load_plan(state: Path) -> Plan | None:
    try:
        content = plan_file(state).read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(content, type=Plan, dec_hook=_decode)


def save_status(state: Path, status: StackStatus) -> None:
    write_private(status_file(state), msgspec.json.encode(status))


def load_status(state: Path) -> StackStatus | None:
    try:
        return msgspec.json.decode(status_file(state).read_bytes(), type=StackStatus)
    except FileNotFoundError:
        return None


def _encoded(plan: Plan) -> bytes:
    return msgspec.json.encode(plan, enc_hook=str)


def _decode(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(f"{kind}: {value!r}")
