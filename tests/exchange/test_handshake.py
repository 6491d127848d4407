"""Opening a connection: who may stand between, who may refuse it and how, and how it is given up."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from contextlib import asynccontextmanager

import pytest
from bare_socket import bare_server, frame
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kalshiflow.exchange.connection import connect
from kalshiflow.exchange.errors import (
    ConnectionRefused,
    ExchangeUnavailable,
    RateLimited,
    Unauthorised,
    Unreachable,
)
from kalshiflow.exchange.handshake import proxy_for

KALSHI = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
PROXY_NAMES = ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def address(talk, **options):
    async with asyncio.timeout(20), bare_server(talk, **options) as port:
        yield f"ws://127.0.0.1:{port}/trade-api/ws/v2"


async def refusal(credentials, talk, **options):
    async with address(talk) as url:
        with pytest.raises(ConnectionRefused) as refused:
            async with connect(url, credentials, **options):
                pass
    return refused.value


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            (
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n"
                b"<html><head><title>502</title></head>\r\n<body>Bad <b>gateway</b></body></html>"
            ),
            ExchangeUnavailable,
            "HTTP 502 Bad gateway",
        ),
        (b"HTTP/1.1 520 \r\n\r\n", ExchangeUnavailable, "HTTP 520"),
        (b"HTTP/1.1 503\r\n\r\n", ExchangeUnavailable, "HTTP 503"),
        (b"HTTP/1.0 503 Busy\r\n\r\nback soon", ExchangeUnavailable, "HTTP 503 back soon"),
        (
            (
                b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"
                b'28\r\n{"code":"bad_key","message":"who is it"}\r\n0\r\n\r\n'
            ),
            Unauthorised,
            "HTTP 401 bad_key who is it",
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", ConnectionRefused, "HTTP 404"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", ConnectionRefused, "HTTP 200 hello"),
    ],
)
async def test_whoever_refuses_is_understood_by_the_status_and_quoted(
    credentials, answer, error, words
):
    async def talk(wire):
        await wire.send(answer)

    refused = await refusal(credentials, talk)

    assert type(refused) is error
    assert str(refused) == words


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        (b"Retry-After: 7\r\n", 7),
        (b"retry-after:30 \r\n", 30),
        (b"Retry-After: soon\r\n", None),
        (b"", None),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(credentials, head, seconds):
    async def talk(wire):
        await wire.send(b"HTTP/1.1 429 Too Many Requests\r\n" + head + b"\r\n")

    refused = await refusal(credentials, talk)

    assert isinstance(refused, RateLimited)
    assert refused.retry_after == seconds


async def test_a_redirect_is_not_followed(credentials):
    visits = []

    async def talk(wire):
        visits.append(wire)
        await wire.send(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n")

    refused = await refusal(credentials, talk)

    assert str(refused) == "HTTP 302"
    assert len(visits) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"\x15\x03\x01\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none_leaves_the_exchange_unreachable(credentials, answer):
    async def talk(wire):
        await wire.send(answer)

    refused = await refusal(credentials, talk)

    assert isinstance(refused, Unreachable)
    assert "cannot be reached" in str(refused)


async def test_an_unknown_host_is_unreachable(credentials):
    with pytest.raises(Unreachable, match="cannot be reached"):
        async with connect("ws://exchange.invalid:80/", credentials):
            pass


@pytest.mark.parametrize("way", ["cancelled", "timed out"])
async def test_a_handshake_that_is_given_up_is_hung_up(credentials, way):
    asked, gone = asyncio.Event(), asyncio.Event()

    async def talk(wire):
        asked.set()
        assert await wire.reader.read() == b""
        gone.set()

    async def opening(url, patience):
        async with connect(url, credentials, open_timeout=patience):
            pass

    async with address(talk) as url:
        task = asyncio.create_task(opening(url, 10 if way == "cancelled" else 0.1))
        await asked.wait()
        if way == "cancelled":
            task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        await gone.wait()

    assert type(end) is (asyncio.CancelledError if way == "cancelled" else Unreachable)


# --- TLS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Give a certificate of 127.0.0.1 that only those trust who are told to, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def encrypted(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def talk(wire):
        await wire.accept()
        await wire.send(frame(b"y" * 100_000) + frame(b"second"))
        await wire.until_gone()

    async with asyncio.timeout(20), bare_server(talk, ssl=context) as port:
        yield f"wss://127.0.0.1:{port}/"


async def test_frames_come_over_tls_from_a_server_that_is_trusted(
    credentials, certificate, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with encrypted(certificate) as url, connect(url, credentials) as connection:
        frames = [await connection.receive() for _ in range(2)]
        await connection.list_subscriptions()

    assert [each.raw for each in frames] == [b"y" * 100_000, b"second"]


async def test_a_server_that_is_not_trusted_is_unreachable(credentials, certificate):
    async with encrypted(certificate) as url:
        with pytest.raises(Unreachable, match="certificate"):
            async with connect(url, credentials):
                pass


# --- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, KALSHI, None),
        ({"https_proxy": "http://p:3128"}, KALSHI, "http://p:3128"),
        ({"https_proxy": "http://p:1", "wss_proxy": "http://q:2"}, KALSHI, "http://q:2"),
        ({"all_proxy": "socks5h://p:1080"}, KALSHI, "socks5://p:1080"),
        ({"http_proxy": "http://p:3128"}, KALSHI, None),
        ({"https_proxy": "http://p:3128", "no_proxy": "kalshi.com"}, KALSHI, None),
        (
            {"https_proxy": "http://p:3128", "http_proxy": "http://p:3128"},
            "ws://127.0.0.1:8/",
            None,
        ),
    ],
)
def test_the_environment_names_the_proxy_but_never_for_this_machine(
    monkeypatch, environment, url, proxy
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(url) == proxy


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "ftp://user:secret@p:1", "http://:3128"])
async def test_a_proxy_that_is_no_address_is_told_without_its_secrets(
    credentials, monkeypatch, proxy
):
    monkeypatch.setenv("https_proxy", proxy)

    with pytest.raises(Unreachable, match="not the address of a proxy") as unreachable:
        async with connect(KALSHI, credentials):
            pass

    assert "secret" not in str(unreachable.value)


async def test_a_proxy_is_asked_for_the_exchanges_host_and_may_refuse(credentials, monkeypatch):
    asked = []

    async def proxy(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    async with server, asyncio.timeout(10):
        with pytest.raises(Unreachable, match="407"):
            async with connect(KALSHI, credentials):
                pass

    assert asked[0].startswith(b"CONNECT external-api-ws.kalshi.com:443 HTTP/1.1\r\n")
    assert b"kalshi-access" not in asked[0].lower()  # our signature is for the exchange only


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_frames_come_through_a_proxy(credentials, monkeypatch, kind):
    asked = []

    async def talk(wire):
        await wire.accept(frame(b"through"))
        await wire.until_gone()

    async def proxy(reader, writer):
        if kind == "http":
            asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            _, methods = await reader.readexactly(2)
            await reader.readexactly(methods)
            writer.write(b"\x05\x00")
            head = await reader.readexactly(5)
            asked.append((await reader.readexactly(head[4] + 2))[:-2] + b":80")
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
        onward, behind = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(reader, behind))
            group.create_task(_carry(onward, writer))
        ended.set()

    ended = asyncio.Event()
    async with asyncio.timeout(10), bare_server(talk) as port:
        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        monkeypatch.setenv("http_proxy", f"{kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server:
            async with connect("ws://exchange.test/", credentials) as connection:
                heard = await connection.receive()
            await ended.wait()

    assert heard.raw == b"through"
    assert asked == [b"exchange.test:80"]


async def _carry(reader, writer):
    while piece := await reader.read(2**16):
        writer.write(piece)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
