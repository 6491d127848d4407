"""Handshakes: who may connect, and the HTTP answers to those who may not."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from kalshiflow.exchange import payloads
from kalshiflow.exchange.environments import WS_PATH
from kalshiflow.venue.auth import Gate, Unauthenticated
from kalshiflow.venue.floor.accounts import Account

_JSON, _HTML, _TEXT = "application/json", "text/html", "text/plain; charset=utf-8"
_TOO_MANY = b'{"error":"too many requests"}'


class HandshakeRefused(Exception):
    """A handshake that is answered by this status and body, without any upgrade."""

    def __init__(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.body = body
        self.content_type = content_type


class TooManyConnections(HandshakeRefused):
    """One connection more than an account may have."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.TOO_MANY_REQUESTS, _TOO_MANY, _JSON)


def headers_of(request: Request) -> dict[str, str]:
    """Give a handshake's headers by their names in capitals; of a repeated one, the last."""
    return {name.upper(): value for name, value in request.headers.raw_items()}


def account_of(
    gate: Gate,
    hosts: frozenset[str],
    fault: Callable[[], HTTPStatus | None],
    path: str,
    headers: Mapping[str, str],
) -> Account:
    """Give the account that signed a handshake; raises `HandshakeRefused`.

    `hosts` are the names under which the venue may be called; a status that `fault` gives refuses
    whoever asks. Header names are in capitals.
    """
    if _name_of(headers.get("HOST", "")) not in hosts:
        raise HandshakeRefused(HTTPStatus.BAD_REQUEST, b"Invalid host header", _TEXT)
    status = fault()
    if status is not None:
        raise _outage(status)
    bare = path.partition("?")[0]
    if bare != WS_PATH:
        raise HandshakeRefused(HTTPStatus.NOT_FOUND, b"404 page not found", _TEXT)
    try:
        return gate.account_of(headers, "GET", bare)
    except Unauthenticated as refused:
        body = payloads.encode(refused.body)
        raise HandshakeRefused(HTTPStatus.UNAUTHORIZED, body, _JSON) from None


def answer(protocol: ServerProtocol, refused: HandshakeRefused) -> Response:
    """Write the answer to a refused handshake."""
    response = protocol.reject(refused.status, "")
    response.body = refused.body
    for name, value in (
        ("Content-Length", str(len(refused.body))),
        ("Content-Type", refused.content_type),
    ):
        del response.headers[name]
        response.headers[name] = value
    return response


def _outage(status: HTTPStatus) -> HandshakeRefused:
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyConnections()
    page = f"<html><body><h1>{status.value} {status.phrase}</h1></body></html>"
    return HandshakeRefused(status, page.encode(), _HTML)


def _name_of(host: str) -> str:
    """Give a Host header's name without its port."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).strip("[]")
