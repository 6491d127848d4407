"""Signed, throttled and retried requests to the exchange's REST address."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from kalshiflow.exchange import payloads
from kalshiflow.exchange.backoff import Backoff
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import is_loopback
from kalshiflow.exchange.errors import (
    ConnectionRefused,
    ExchangeError,
    ExchangeUnavailable,
    ProtocolError,
    RateLimited,
    UnknownOutcome,
    Unreachable,
)
from kalshiflow.exchange.offset import ClockOffset, DateClock
from kalshiflow.exchange.refusals import refusal_of
from kalshiflow.exchange.throttle import TokenBucket
from kalshiflow.exchange.times import PER_MILLISECOND

BodyT = TypeVar("BodyT")
Params = Mapping[str, str | int | Sequence[str] | None]

# What a request costs in tokens of the exchange's buckets.
DEFAULT_COST = 10
CHEAP_COST = 2

# Failures after which nothing was sent: a mutation that ends so was certainly not done.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Limits:
    """Our own rate limits, in tokens a second, and the buckets' sizes; the basic tier's.

    The buckets are a fifth smaller than the exchange's: requests that are sent evenly do not
    arrive so.
    """

    read_rate: float = 200
    read_capacity: float = 160
    write_rate: float = 100
    write_capacity: float = 80


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a read is tried in all, and the seconds between: doubling up to the cap."""

    attempts: int = 4
    initial: float = 0.25
    cap: float = 5.0


BASIC_TIER = Limits()
FOUR_ATTEMPTS = Retries()


def unix_milliseconds() -> int:
    """Give the wall clock, which signatures are checked against."""
    return time.time_ns() // 1_000_000


class RestSession:
    """One pool of connections. Paths are below /trade-api/v2 and begin with a slash."""

    def __init__(
        self,
        rest_url: str,
        credentials: Credentials | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now_ms: Callable[[], int] = unix_milliseconds,
        limits: Limits = BASIC_TIER,
        retries: Retries = FOUR_ATTEMPTS,
        timeout: float = 10,
    ) -> None:
        self._url = rest_url.rstrip("/")
        self._prefix = urlsplit(self._url).path
        self._credentials = credentials
        self._now_ms = now_ms
        self._retries = retries
        now = time.monotonic()
        self._reads = TokenBucket(limits.read_rate, limits.read_capacity, now)
        self._writes = TokenBucket(limits.write_rate, limits.write_capacity, now)
        self._dates = DateClock()
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=timeout,
            follow_redirects=False,  # a signature is for one host only
            trust_env=not is_loopback(self._url),
            headers={"Accept": "application/json"},
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    @property
    def clock_offset(self) -> ClockOffset | None:
        """Give how far the exchange's clock is from ours; `None` before its first answer."""
        return self._dates.offset

    async def get(
        self, path: str, body: type[BodyT], params: Params | None = None, cost: float = DEFAULT_COST
    ) -> BodyT:
        """Read a body; 429, 5xx and lost connections are tried again, with growing pauses.

        A pause that the exchange asks for is kept, up to the cap of ours.
        """
        backoff = Backoff(initial=self._retries.initial, cap=self._retries.cap)
        for remaining in reversed(range(self._retries.attempts)):
            try:
                return await self._get_once(path, body, params, cost)
            except (RateLimited, ExchangeUnavailable, Unreachable) as refused:
                if not remaining:
                    raise
                asked = _asked_pause(refused, self._retries.cap)
            await asyncio.sleep(max(asked, backoff.next_delay()))
        raise ValueError(f"{self._retries.attempts} attempts are none")

    async def mutate(
        self,
        method: str,
        path: str,
        body: msgspec.Struct | None = None,
        cost: float = DEFAULT_COST,
    ) -> bytes:
        """Send a mutation once and give the answer's bytes.

        Raises `UnknownOutcome` where it may or may not have been done; any other error means that
        it was not.
        """
        await self._wait(self._writes, cost)
        content = None if body is None else payloads.encode(body)
        try:
            answer = await self._request(method, path, content=content)
        except _NOT_SENT as failed:
            raise Unreachable(f"{method} {path} was not sent: {_named(failed)}") from failed
        except httpx.HTTPError as failed:
            raise UnknownOutcome(f"{method} {path} was not answered: {_named(failed)}") from failed
        if not answer.is_success:
            raise _refused(answer, mutates=True)
        return answer.content

    async def _get_once(
        self, path: str, body: type[BodyT], params: Params | None, cost: float
    ) -> BodyT:
        await self._wait(self._reads, cost)
        query = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            answer = await self._request("GET", path, params=query)
        except httpx.HTTPError as failed:
            raise Unreachable(f"GET {path} was not answered: {_named(failed)}") from failed
        if not answer.is_success:
            raise _refused(answer, mutates=False)
        return decoded(answer.content, body, path)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | Sequence[str]] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        headers: dict[str, str] = {}
        if self._credentials is not None:
            headers = self._credentials.headers(method, self._prefix + path, self._now_ms())
        if content is not None:
            headers["Content-Type"] = "application/json"
        sent_at = self._now_ms()
        answer = await self._http.request(
            method, self._url + path, params=params, content=content, headers=headers
        )
        if "age" not in answer.headers:  # else a cache answered, with a Date of long ago
            received_at = self._now_ms() + 1  # the clock's milliseconds are cut
            date = answer.headers.get("date")
            self._dates.see(date, sent_at * PER_MILLISECOND, received_at * PER_MILLISECOND)
        return answer

    async def _wait(self, bucket: TokenBucket, cost: float) -> None:
        pause = bucket.take(cost, time.monotonic())
        if pause:
            await asyncio.sleep(pause)


def decoded(raw: bytes, body: type[BodyT], path: str) -> BodyT:
    """Read an answer's body; raises `ProtocolError` where it is not what the path gives."""
    try:
        return payloads.decode(raw, body)
    except (ValueError, RecursionError) as unreadable:
        raise ProtocolError(f"{path}: {unreadable}") from unreadable


def _refused(answer: httpx.Response, *, mutates: bool) -> ExchangeError:
    after = answer.headers.get("retry-after", "")
    return refusal_of(
        answer.status_code,
        answer.content,
        mutates=mutates,
        retry_after=int(after) if after.isascii() and after.isdigit() else None,
    )


def _asked_pause(refused: ConnectionRefused, cap: float) -> float:
    return min(cap, refused.retry_after or 0.0)


def _named(failed: httpx.HTTPError) -> str:
    return f"{type(failed).__name__} {failed}".rstrip()
