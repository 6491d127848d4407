"""Is a service there: the probes that a service's `health` names."""

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

from kalshiflow.stack.plan import Service

_TIMEOUT = 2.0
_READ = 100_000


def is_healthy(service: Service, log: Path, log_start: int) -> bool:
    """Probe once; a program that exports must also have printed its JSON line."""
    if service.exports and announced(service, log, log_start) is None:
        return False
    kind, _, rest = service.health.partition(":")
    if kind == "http":
        return answers(service.health)
    if kind == "tcp":
        parts = urlsplit(service.health)
        return _accepts(str(parts.hostname), int(parts.port or 0))
    return kind == "log" and rest in _text(log, log_start)


def answers(url: str) -> bool:
    """Tell whether GET `url` on this machine is answered with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(parts.hostname), int(parts.port or 80), timeout=_TIMEOUT
    )
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def announced(service: Service, log: Path, log_start: int) -> dict[str, str] | None:
    """Read the variables that the program exports from the JSON line that it has printed."""
    for line in _text(log, log_start).splitlines():
        if not line.startswith("{"):
            continue
        try:
            said = json.loads(line)
        except ValueError:
            continue  # a line that is still being written
        if set(service.exports) <= set(said):
            return {variable: str(said[key]) for key, variable in service.exports.items()}
    return None


def last_lines(log: Path, start: int = 0, count: int = 3) -> str:
    """Give the end of a log in one line, for a message."""
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return ""
    start = max(start if start <= size else 0, size - _READ)
    lines = [line.strip() for line in _text(log, start).splitlines() if line.strip()]
    return " / ".join(lines[-count:])


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT).close()
    except OSError:
        return False
    return True


def _text(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read(_READ).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
