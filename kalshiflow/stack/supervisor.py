"""The supervisor of one stack: a process of its own that starts, restarts and ends the services.

`python -m kalshiflow.stack.supervisor STATE` runs the plan that lies in the state folder, until it
is asked to stop (SIGTERM), or until the plan's owner is gone. SIGHUP: there is another plan.
"""

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from kalshiflow.stack.children import Child, rotate
from kalshiflow.stack.errors import PostgresError
from kalshiflow.stack.plan import Phase, Plan, Service, StackStatus, digest, load_plan, save_status
from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.stack.processes import identity

LOG_LIMIT = 10_000_000
_BUSY_PAUSE = 0.1
_CALM_PAUSE = 1.0


def stop_levels(services: Iterable[Service]) -> list[list[str]]:
    """Give the order to stop in: each level depends on nothing that stops before it."""
    left = {service.name: set(service.depends_on) for service in services}
    levels: list[list[str]] = []
    while left:
        needed = set().union(*left.values())
        level = sorted(set(left) - needed)
        if not level:
            raise ValueError(
                f"services depend on each other in a circle: {', '.join(sorted(left))}"
            )
        levels.append(level)
        left = {name: needs for name, needs in left.items() if name not in level}
    return levels


class Supervisor:
    """Runs a plan, and another one when told (SIGHUP). The status file is all that it says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._children = {service.name: Child(plan, service) for service in plan.services}
        self._postgres = PostgresServer(plan.state) if plan.has_postgres else None
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._said: object = None
        self._announced: dict[str, str] = {}
        self._me = identity(os.getpid())

    def run(self) -> None:
        """Keep the services running until told to stop; whatever happens, end them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self._reload.set())
        try:
            while not self._stop.is_set() and self._has_owner():
                if self._reload.is_set():
                    self._reload.clear()
                    self._follow(load_plan(self._plan.state) or self._plan)
                self._step(time.monotonic())
                self._stop.wait(_CALM_PAUSE if self._is_calm() else _BUSY_PAUSE)
        finally:
            self._end(self._children)
            if self._postgres is not None:
                self._postgres.stop()

    def _has_owner(self) -> bool:
        return self._plan.owner is None or self._plan.owner.process() is not None

    def _is_calm(self) -> bool:
        return all(
            child.status.phase.is_up or child.status.phase == Phase.FAILED
            for child in self._children.values()
        )

    def _step(self, now: float) -> None:
        self._keep_postgres()
        for child in self._children.values():
            needs = [self._children[name].status.phase for name in child.service.depends_on]
            child.step(now, may_start=all(phase.is_up for phase in needs), env=self._announced)
            self._announced.update(child.announced)
            rotate(child.log, LOG_LIMIT)
        self._tell()

    def _follow(self, plan: Plan) -> None:
        """End what the new plan has not, or has otherwise; what it has unchanged runs on."""
        kept = {
            service.name: self._children[service.name]
            for service in plan.services
            if service.name in self._children
            and self._children[service.name].service == service
            and self._plan.env == plan.env
        }
        self._end([name for name in self._children if name not in kept])
        self._plan = plan
        self._children = {
            service.name: kept.get(service.name) or Child(plan, service)
            for service in plan.services
        }

    def _keep_postgres(self) -> None:
        if self._postgres is None or self._postgres.status().running:
            return
        try:
            self._postgres.start()
        except PostgresError as failed:
            print(f"postgres: {failed}", file=sys.stderr)  # tried again at the next step

    def _tell(self) -> None:
        services = {name: child.status for name, child in self._children.items()}
        status = StackStatus(self._me, services, self._announced, digest(self._plan))
        told = repr(status)
        if told != self._said:
            save_status(self._plan.state, status)
            self._said = told

    def _end(self, names: Collection[str]) -> None:
        for level in stop_levels(self._plan.services):
            ending = [self._children[name] for name in level if name in names]
            for child in ending:
                child.ask_to_stop()
            for child in ending:
                child.stop(child.service.stop_seconds)
            self._tell()


def main() -> None:
    state = Path(sys.argv[1])
    if os.fork():
        os._exit(0)  # the command that started us is not our parent, and owes us nothing
    with (state / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another supervisor works in {state}")
        plan = load_plan(state)
        if plan is None:
            sys.exit(f"there is no plan in {state}")
        Supervisor(plan).run()


if __name__ == "__main__":
    main()
