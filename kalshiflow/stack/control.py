"""Start a stack, wait for it, look at it and end it: what commands do to a supervisor."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from kalshiflow.stack.envfile import is_ours
from kalshiflow.stack.errors import StackFailed
from kalshiflow.stack.health import last_lines
from kalshiflow.stack.plan import (
    Phase,
    Plan,
    StackStatus,
    digest,
    load_plan,
    load_status,
    log_file,
    save_plan,
    stack_id,
    status_file,
)
from kalshiflow.stack.ports import check_ports
from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.stack.processes import MARK, end, marked

_STOP_SECONDS = 120


def running(state: Path) -> StackStatus | None:
    """Give the status of the stack whose supervisor lives, else None."""
    status = load_status(state)
    return status if status is not None and status.supervisor.process() is not None else None


def launch(plan: Plan, environ: Mapping[str, str] | None = None) -> None:
    """Start a detached supervisor for `plan`, whose state folder has none.

    Services inherit `environ` (ours). Raises `PortTaken` before anything is started.
    """
    (plan.state / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    save_plan(plan)
    check_ports(port for service in plan.services for port in service.ports)
    status_file(plan.state).unlink(missing_ok=True)
    log = log_file(plan.state, "supervisor")
    with log.open("ab") as output:
        subprocess.run(  # returns at once: the supervisor detaches itself
            [sys.executable, "-m", "kalshiflow.stack.supervisor", str(plan.state)],
            cwd=plan.folder,
            env={**(os.environ if environ is None else environ), MARK: f"{plan.stack}:supervisor"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
    while running(plan.state) is None:
        if not marked(plan.stack, "supervisor"):
            raise StackFailed(f"the supervisor did not start: {last_lines(log)}")
        time.sleep(0.05)


def change(plan: Plan, tell: Callable[[StackStatus], None]) -> StackStatus:
    """Give a running stack another plan: what differs is ended or started anew; wait for it."""
    status = running(plan.state)
    if status is None:
        raise StackFailed(f"there is no stack in {plan.state} to change")
    save_plan(plan)
    os.kill(status.supervisor.pid, signal.SIGHUP)
    wanted = digest(plan)
    while status is not None and status.plan != wanted:
        time.sleep(0.1)
        status = running(plan.state)
    return wait_until_up(plan.state, tell)


def wait_until_up(state: Path, tell: Callable[[StackStatus], None]) -> StackStatus:
    """Wait until every service is healthy; `tell` hears each look.

    Raises `StackFailed` when one has given up, or the supervisor is gone.
    """
    while True:
        status = running(state)
        if status is None:
            log = log_file(state, "supervisor")
            raise StackFailed(f"the supervisor is gone; {log} says: {last_lines(log)}")
        tell(status)
        for name, service in status.services.items():
            if service.phase == Phase.FAILED:
                raise StackFailed(f"{name} does not start; {service.detail}")
        if all(service.phase.is_up for service in status.services.values()):
            return status
        time.sleep(0.1)


def shut_down(state: Path) -> bool:
    """End everything of this stack, also what a killed supervisor left; False if nothing ran."""
    if not state.exists():
        return False
    plan = load_plan(state)
    status = load_status(state)
    supervisor = None if status is None else status.supervisor.process()
    if supervisor is not None:
        end([supervisor], grace=_STOP_SECONDS)
    left = marked(stack_id(state))
    end(left, grace=20)
    server = PostgresServer(state)
    did_run = supervisor is not None or bool(left) or server.status().running
    server.stop()
    if plan is not None and plan.env_file is not None and is_ours(plan.env_file):
        plan.env_file.unlink()
    status_file(state).unlink(missing_ok=True)
    return did_run


def remove_state(state: Path) -> None:
    """Delete all that a stack which is down has kept; its recordings and policies too."""
    if state.exists():
        PostgresServer(state).remove()
        shutil.rmtree(state)
