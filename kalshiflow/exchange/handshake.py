"""The opening handshake of a WebSocket: the way there, time-outs, refusals and their words."""

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from picows import WSError, WSHandshakeError, WSParsedURL, WSTransport, ws_connect
from python_socks import ProxyError

from kalshiflow.exchange.environments import is_loopback
from kalshiflow.exchange.errors import ConnectionRefused, Unreachable
from kalshiflow.exchange.listener import MAX_FRAME, FrameListener
from kalshiflow.exchange.refusals import handshake_refusal

_BUFFER = 64 * 2**10  # bytes that one read may bring
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b")
_RETRY_AFTER = re.compile(rb"^retry-after:[ \t]*(\d+)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_PROXIES = ("http", "https", "socks4", "socks5")

# Belongs to no tree of loggers: what picows would say, the errors raised here say.
_silence = logging.Logger("picows", logging.CRITICAL + 1)  # noqa: LOG001


async def open_socket(
    url: str, headers: Mapping[str, str], listener: FrameListener, open_timeout: float
) -> WSTransport:
    """Open a WebSocket for `listener`, within `open_timeout` seconds over all.

    No redirect is followed: a signature is for one host only. Raises a kind of `ConnectionRefused`.
    """
    line = _Line()
    try:
        async with asyncio.timeout(open_timeout):
            return await _shake_hands(url, headers, listener, line)
    except WSHandshakeError as refused:
        raise _refusal(url, refused) from None
    except TimeoutError:
        raise Unreachable(f"{url} did not answer within {open_timeout:g} s") from None
    except (OSError, WSError, ProxyError) as failed:
        raise Unreachable(f"{url} cannot be reached: {failed}") from failed
    finally:
        line.hang_up()


async def _shake_hands(
    url: str, headers: Mapping[str, str], listener: FrameListener, line: "_Line"
) -> WSTransport:
    proxy = proxy_for(url)
    transport, found = await ws_connect(
        lambda *_: listener,
        url,
        ssl_context=ssl.create_default_context() if url.startswith("wss:") else None,
        websocket_handshake_timeout=None,  # it would not cover the way there
        logger_name=_silence,
        enable_auto_pong=False,  # the listener wants to know of pings
        max_frame_size=MAX_FRAME,
        extra_headers={"User-Agent": "kalshiflow", **headers},
        max_redirects=0,
        proxy=proxy,
        read_buffer_init_size=_BUFFER,
        socket_factory=None if proxy and proxy.startswith("socks") else line.dial,
    )
    if found is None:  # picows takes an end without an answer for a success
        raise Unreachable(f"{url} cannot be reached: it hung up during the handshake")
    line.hand_over()
    return transport


def proxy_for(url: str) -> str | None:
    """Give the proxy that the environment names for an address; never one for this machine."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.netloc):
        return None
    named = getproxies()
    kinds = ("wss", "https", "all") if parts.scheme == "wss" else ("ws", "http", "all")
    proxy = next((named[kind] for kind in kinds if named.get(kind)), None)
    if proxy is None:
        return None
    proxy = proxy.replace("socks5h://", "socks5://", 1)
    told = urlsplit(proxy)
    if told.scheme not in _PROXIES or not told.hostname:
        # Its own words are not repeated: there may be a password in them.
        raise Unreachable(f"the environment's proxy for {url} is not the address of a proxy")
    return proxy


class _Line:
    """The line below a handshake. picows leaves it open when a handshake is given up."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    async def dial(self, there: WSParsedURL) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(there.host, there.port, type=socket.SOCK_STREAM)
        failures: list[OSError] = []
        for family, kind, protocol, _, address in found:
            line = socket.socket(family, kind, protocol)
            try:
                line.setblocking(False)
                await loop.sock_connect(line, address)
                self._socket = line
            except OSError as failed:
                failures.append(failed)
            else:
                return line
            finally:
                if self._socket is not line:
                    line.close()
        raise OSError("; ".join(str(failure) for failure in failures) or "it has no address")

    def hand_over(self) -> None:
        self._socket = None

    def hang_up(self) -> None:
        """End a line that was not handed over: its transport sees the end, and closes it."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _refusal(url: str, refused: WSHandshakeError) -> ConnectionRefused:
    head = refused.raw_header or b""
    told = _STATUS.match(head)
    status = int(told[1]) if told else 101
    if status == 101:
        return Unreachable(f"{url} cannot be reached: {refused}")
    after = _RETRY_AFTER.search(head)
    return handshake_refusal(status, refused.raw_body or b"", int(after[1]) if after else None)
