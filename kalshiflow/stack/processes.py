"""Processes of our own: recognised although pids are reused, ended with all they started."""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

MARK = "RL_STACK_CHILD"  # in the environment of each process of a stack: "<stack>:<service>"


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, told from a later one with the same pid by the time it was created."""

    pid: int
    create_time: float

    def process(self) -> psutil.Process | None:
        """Give the process while it lives; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.create_time) < 0.05
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def identity(pid: int) -> Identity:
    """Describe the process `pid`, which lives; raises psutil.NoSuchProcess if it does not."""
    return Identity(pid, psutil.Process(pid).create_time())


def marked(stack: str, service: str | None = None) -> list[psutil.Process]:
    """Find the living processes of a stack, or of one of its services, by their environment.

    Environments are inherited, so this finds what a service started, orphans included.
    """
    wanted = f"{stack}:" if service is None else f"{stack}:{service}"
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
            matches = mark.startswith(wanted) if service is None else mark == wanted
            if matches and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # not ours to read, or gone already
    return found


def end(processes: Iterable[psutil.Process], grace: float) -> None:
    """Ask the processes to end, wait `grace` seconds at most, then kill those that are left."""
    asked = list(processes)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in asked:
            _signal(process, number)
        deadline = time.monotonic() + (grace if number == signal.SIGTERM else 5)
        while (asked := [p for p in asked if _lives(p)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not asked:
            return


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)  # psutil looks at the creation time first
    except psutil.Error:
        return


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
