"""One supervised service: start it, see that it is well, restart it with back-off, stop it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from kalshiflow.stack import health
from kalshiflow.stack.plan import Phase, Plan, Service, ServiceStatus, log_file
from kalshiflow.stack.processes import MARK, end, identity, marked

GIVE_UP_AFTER = 3  # failures in a row of a service that never was healthy
STEADY_SECONDS = 30.0  # so long in health, and earlier failures are forgotten
LONGEST_DELAY = 30.0


def restart_delay(failures: int) -> float:
    """Give the pause before the next start, in seconds, after so many failures in a row."""
    return min(0.5 * 2.0 ** (failures - 1), LONGEST_DELAY)


class Child:
    """The life of one service; `step` moves it on and never waits for long.

    Times are monotonic seconds. `status` is what people see.
    """

    def __init__(self, plan: Plan, service: Service) -> None:
        self.service = service
        self.status = ServiceStatus()
        self.announced: dict[str, str] = {}
        self.log = log_file(plan.state, service.name)
        self._plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._since = 0.0
        self._failures = 0
        self._was_healthy = False

    def step(self, now: float, *, may_start: bool, env: Mapping[str, str]) -> None:
        """Look at the process and do what is due. `env` is what other services announced."""
        match self.status.phase:
            case Phase.WAITING if may_start:
                self._start(now, env)
            case Phase.RESTARTING if now >= self._since + restart_delay(self._failures):
                self._start(now, env)
            case Phase.STARTING:
                self._look_at_start(now)
            case Phase.HEALTHY:
                self._look_at_health(now)
            case _:
                return

    def ask_to_stop(self) -> None:
        """Send TERM to the program itself; what it started is its own to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self, grace: float) -> None:
        """Wait `grace` seconds for the end, then kill; nothing it started is left either."""
        if self._process is not None:
            try:
                self._process.wait(timeout=grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end_leftovers()
        self.status.process = None
        self._enter(Phase.STOPPED, 0)

    def _start(self, now: float, env: Mapping[str, str]) -> None:
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        whole = {
            **os.environ,
            **self._plan.env,
            **env,
            **self.service.env,
            MARK: f"{self._plan.stack}:{self.service.name}",
            "PYTHONUNBUFFERED": "1",
        }
        with self.log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    self.service.command,
                    cwd=self._plan.folder,
                    env=whole,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as failed:
                self._process = None
                self._fail(now, f"cannot be started: {failed}")
                return
        self.status.process = identity(self._process.pid)
        self._enter(Phase.STARTING, now)

    def _look_at_start(self, now: float) -> None:
        code = self._exit_code()
        if code == 0 and self.service.health == "exit":
            self.status.process = None
            self._enter(Phase.DONE, now)
        elif code is not None:
            self._fail(now, self._exit_text(code))
        elif health.is_healthy(self.service, self.log, self._log_start):
            if self.service.exports:
                found = health.announced(self.service, self.log, self._log_start)
                self.announced = found or {}
            self._was_healthy = True
            self._enter(Phase.HEALTHY, now)
        elif now > self._since + self.service.start_seconds:
            self._fail(now, f"gave no sign of health in {self.service.start_seconds:g} s")

    def _look_at_health(self, now: float) -> None:
        if now > self._since + STEADY_SECONDS:
            self._failures = 0
        code = self._exit_code()
        if code is not None:
            self._fail(now, self._exit_text(code))

    def _fail(self, now: float, detail: str) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._end_leftovers()
        self._failures += 1
        self.status.restarts += 1
        self.status.process = None
        self.status.detail = detail
        is_hopeless = not self._was_healthy and self._failures >= GIVE_UP_AFTER
        self._enter(Phase.FAILED if is_hopeless else Phase.RESTARTING, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self.status.phase = phase
        self._since = now
        said = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f} {self.service.name}: {phase}"
        print(said, self.status.detail if phase != Phase.STOPPED else "", file=sys.stderr)

    def _exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def _exit_text(self, code: int) -> str:
        said = health.last_lines(self.log, self._log_start)
        how = f"ended by signal {-code}" if code < 0 else f"exited with {code}"
        return f"{how}: {said}" if said else how

    def _end_leftovers(self) -> None:
        end(marked(self._plan.stack, self.service.name), grace=3)


def rotate(log: Path, limit: int) -> None:
    """Keep a log under about `limit` bytes, with one older part beside it.

    The file stays the same one: its writer holds it open to append, and outlives a supervisor.
    """
    if not log.exists() or log.stat().st_size <= limit:
        return
    log.with_name(f"{log.name}.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
