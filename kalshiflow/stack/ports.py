"""TCP ports of this machine: is one free, who holds it, and the sentence for a taken one."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from kalshiflow.stack.errors import PortTaken

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Port:
    """A port, whose it is, and the variable that moves it."""

    number: int
    service: str
    variable: str


def is_free(port: int) -> bool:
    """Tell whether we could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Give different ports that nobody holds at the moment."""
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def check_ports(ports: Iterable[Port]) -> None:
    """Raise `PortTaken` for the first port that is not free or that two services want."""
    wanted: dict[int, Port] = {}
    for port in ports:
        if port.number in wanted:
            other = wanted[port.number]
            raise PortTaken(
                f"port {port.number} is set for {other.service} and for {port.service}; "
                f"set {other.variable} or {port.variable} to another port"
            )
        wanted[port.number] = port
        if not is_free(port.number):
            raise PortTaken(
                f"port {port.number}, which {port.service} needs, is taken{_by(port.number)}; "
                f"stop that, or set {port.variable} to another port"
            )


def _by(port: int) -> str:
    """Name the holder, where this user is allowed to know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr
            if listens and connection.laddr.port == port and connection.pid is not None:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""
